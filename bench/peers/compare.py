"""The comparison: every contender in turns, several times, and a row of figures for each."""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import sys
import time
from collections.abc import Collection, Iterator

from bench import kit
from bench import leads as leads_bench
from bench.kit import Row
from bench.peers import events, latency
from bench.peers.contenders import CONTENDERS, ONCE, OURS, PROMPT, Contender
from bench.peers.environments import Unavailable
from bench.peers.events import Fields, Pairs, Stream
from bench.peers.measure import Failed, Measurement, measure
from bench.peers.oracle import Truth, truth

LEADS = 30_000
RUNS = 3
SIMPLE = "simple: decayed score, alert on crossing, changelog"
WHOLE_NAME = "whole"
WHOLE = "whole: verdicts, duplicates, 27 rules, states, all public outputs"
_ROUNDS = {"large": 3, "middle": 1, "small": 1}
_SHARES = {"large": 1.0, "middle": 0.5, "small": 0.08}


@contextlib.contextmanager
def cores() -> Iterator[int | None]:
    """A core for who is measured; this process, and the broker it starts, keep to the others. None: not possible."""
    if not hasattr(os, "sched_setaffinity") or len(free := sorted(os.sched_getaffinity(0))) < 2:
        yield None
        return
    os.sched_setaffinity(0, free[:-1])
    try:
        yield free[-1]
    finally:
        os.sched_setaffinity(0, free)


class Streams:
    """The events on Kafka in all the forms that contenders want, and what is right for each."""

    def __init__(self, leads: int) -> None:
        self.round = events.one_round(leads, time.time_ns() // 1_000_000)
        self.events = sum(map(len, self.round))
        self._read = [[events.fields(value) for _, value in part] for part in self.round]
        self._streams: dict[tuple[str, str], Stream] = {}
        self._truths: dict[str, Truth] = {}

    async def put(self, kafka: str, wanted: Collection[Contender]) -> None:
        """Put there what those contenders read."""
        for kind in sorted({(each.format, each.size) for each in wanted}):
            stream = self._streams[kind] = self._stream(*kind)
            await events.put(kafka, stream)

    def of(self, contender: Contender) -> tuple[Stream, Truth]:
        """What a contender reads, and what is right."""
        if contender.size not in self._truths:
            self._truths[contender.size] = truth(self._events(contender.size))
        return self._streams[contender.format, contender.size], self._truths[contender.size]

    def _cut(self, size: str) -> list[tuple[Pairs, list[Fields]]]:
        """The latest part of the round, as dense as the whole."""
        kept = [round(len(part) * _SHARES[size]) for part in self.round]
        return [(part[-n:], read[-n:]) for part, read, n in zip(self.round, self._read, kept, strict=True)]

    def _stream(self, format_: str, size: str) -> Stream:
        cut = self._cut(size)
        parts = [pairs for pairs, _ in cut]
        if format_ == "JSON":
            parts = [
                [(key, events.in_json(key, event)) for (key, _), event in zip(pairs, read, strict=True)]
                for pairs, read in cut
            ]
        return Stream(f"events.{format_}.{size}".lower(), parts, _ROUNDS[size])

    def _events(self, size: str) -> Iterator[tuple[bytes, str, int]]:
        for number in range(_ROUNDS[size]):
            for pairs, read in self._cut(size):
                for (key, _), event in zip(pairs, read, strict=True):
                    yield events.by_another_lead(key, number), event.kind, event.occurred_at


def run(
    kafka: str | None = None,
    leads: int = LEADS,
    runs: int = RUNS,
    names: Collection[str] = (),
    seconds: float = latency.SECONDS,
) -> list[Row]:
    """The simple job by all contenders, or by those named; beside them our whole lead fold over the same events.

    Then the latency of alerts, over so many seconds for each who is asked for it.  Without `kafka` a broker is started.
    """
    with contextlib.ExitStack() as stack:
        core = stack.enter_context(cores())
        kafka = kafka or stack.enter_context(kit.cluster())
        results = [Result(each) for each in CONTENDERS if not names or each.name in names]
        for result in results:
            result.install()
        streams = Streams(leads)
        asyncio.run(streams.put(kafka, [each.contender for each in results if not each.skipped]))
        whole = []
        for number in range(runs):
            for result in results if number % 2 == 0 else reversed(results):
                result.measure(kafka, streams, core)
            if WHOLE_NAME in names or not names:
                whole.append(_whole(kafka, streams, core))
        prompt = [each for each in PROMPT if not names or each.name in names]
        late = latency.run(kafka, prompt, streams.round, core, seconds, latency.BURST * leads // LEADS)
    rows = _compared([result.row(streams, core is not None) for result in results])
    return [*([_whole_row(whole, streams)] if whole else []), *rows, *late]


class Result:
    """What has come of one contender."""

    def __init__(self, contender: Contender) -> None:
        self.contender, self.skipped = contender, ""
        self._runs: list[Measurement] = []

    def install(self) -> None:
        """Have what it needs."""
        try:
            self.contender.command()
        except Unavailable as reason:
            self.skipped = str(reason)

    def measure(self, kafka: str, streams: Streams, core: int | None) -> None:
        """One run more; one that failed is the last."""
        if not self.skipped:
            print(f"  {self.contender.name}", file=sys.stderr, flush=True)
            try:
                self._runs.append(asyncio.run(measure(kafka, self.contender, *streams.of(self.contender), core)))
            except Failed as reason:
                self.skipped = str(reason)

    def row(self, streams: Streams, pinned: bool) -> Row:
        """Its row."""
        contender, runs = self.contender, self._runs
        what: Row = {
            "name": contender.name,
            "title": contender.title,
            "format": contender.format,
            "guarantee": contender.guarantee,
        }
        what |= {"state": contender.state, "tuned": contender.tuned}
        if self.skipped:
            return kit.row(contender.full_title, SIMPLE, None, None, **what, skipped=self.skipped)
        cold = [each.cold_us for each in runs if each.cold_us is not None]
        return kit.row(
            contender.full_title,
            SIMPLE,
            [each.cpu_us for each in runs],
            max(each.rss_mib for each in runs),
            **what,
            **({"cold_us_per_event": round(statistics.median(cold), 2)} if cold else {}),
            wall_events_per_s=round(statistics.median(each.wall_events_per_s for each in runs)),
            events=streams.of(contender)[0].count,
            pinned=pinned,
            wrong="; ".join(sorted({phrase for each in runs for phrase in each.wrong})),
        )


def _compared(rows: list[Row]) -> list[Row]:
    """The rows, ours with how it stands beside those that were right."""
    cost = {row["name"]: row["cpu_us_per_event"] for row in rows if row["cpu_us_per_event"] and not row["wrong"]}
    python = [each for name, each in cost.items() if name != OURS.name and not name.startswith("kafka_streams")]
    ours = cost.get(OURS.name)
    for row in rows:
        if row["name"] == OURS.name and ours:
            if streams := cost.get("kafka_streams_avro_once"):
                row["of_kafka_streams"] = round(ours / streams, 2)
            if python:
                row["best_python"] = round(min(python) / ours, 2)
            if faust := cost.get("faust"):
                row["faust"] = round(faust / ours, 1)
    return rows


def _whole(kafka: str, streams: Streams, core: int | None) -> Row:
    """Our lead fold with all that it publishes, as the leads worker runs it."""
    print("  the whole lead fold", file=sys.stderr, flush=True)
    parts, prefix = dict(enumerate(streams.round)), f"whole{time.time_ns()}."
    return asyncio.run(leads_bench.through_lane(kafka, prefix, parts, streams.events, "leads", core=core))


def _whole_row(runs: list[Row], streams: Streams) -> Row:
    return kit.row(
        "Handraise's lead fold, Avro, exactly once",
        WHOLE,
        [each["cpu_us"] for each in runs],
        max(each["rss_mib"] for each in runs),
        name=WHOLE_NAME,
        title="Handraise's lead fold",
        format="Avro",
        guarantee=ONCE,
        state="in memory; changelog",
        wall_events_per_s=round(statistics.median(each["wall_events_per_s"] for each in runs)),
        events=streams.events,
    )
