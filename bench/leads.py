"""What an event costs in the lead fold: through the fenced lane on real Kafka, and its parts alone.

Contenders, interleaved in each run: the worker as it is, the same lane with a fold that only counts, and over the same
records in memory the lead fold alone, the same without its kernel, and the lead fold with visitors who sign in.
"""

from __future__ import annotations

import asyncio
import json
import marshal
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from bench import kit
from bench.kit import Row
from bench.sampling import sampled
from bench.traffic import Recorded, by_partition, traffic
from deploy.probe import free_port
from handraise.rules import load
from handraise.settings import ROOT
from streams.compiled import CompiledFold, compact_states
from streams.lead_fold import LeadFold
from streams.publish import INBOX

SEED = 7
RUN_RECORDS = 1_000
BATCH_RECORDS = 4_000
PROFILE = ROOT / "build" / "profile-leads.txt"
LANE_PROFILE = ROOT / "build" / "profile-lane.txt"
_PATIENCE_S = 180.0
_POLL_S = 0.02


def run(kafka: str | None = None, leads: int = 30_000, runs: int = 3, profile: bool = False) -> list[Row]:
    """About ten events a lead over four partitions, one worker.  Without `kafka` a broker is started.

    `profile`: also write where the time goes, of the fold alone and of the worker's main thread, to build/.
    """
    if kafka is None:
        with kit.cluster() as own:
            return run(own, leads, runs, profile)
    end_ms = time.time_ns() // 1_000_000
    events = traffic(SEED, leads, end_ms)
    parts = dict(enumerate(by_partition(events, kit.PARTITIONS)))
    size = statistics.fmean(len(value) for _, value in events)
    linking, signing = (
        dict(enumerate(by_partition(traffic(SEED, leads, end_ms, tells=tells), kit.PARTITIONS)))
        for tells in ("all", "all, later")
    )
    found: dict[str, list[Row]] = {name: [] for name in _NAMES}
    with tempfile.NamedTemporaryFile() as file, tempfile.NamedTemporaryFile() as signing_in:
        marshal.dump([parts[partition] for partition in parts], file)
        marshal.dump([signing[partition] for partition in signing], signing_in)
        file.flush()
        signing_in.flush()
        for number in range(runs):
            for name, fold, told in (
                ("lane", "leads", parts),
                ("linking", "leads", linking),
                ("signing", "leads", signing),
                ("counting", "counting", parts),
            ):
                prefix = f"bench{number}{name}{end_ms}."
                count = sum(map(len, told.values()))
                found[name].append(asyncio.run(through_lane(kafka, prefix, told, count, fold)))
            found["alone"].append(_alone("measure", file.name, "compiled"))
            found["python"].append(_alone("measure", file.name, "python"))
            found["signing_in"].append(_alone("measure", signing_in.name, "compiled"))
        if profile:
            LANE_PROFILE.parent.mkdir(exist_ok=True)
            _alone("profile", file.name, str(PROFILE))
            prefix = f"bench-profile{end_ms}."
            asyncio.run(through_lane(kafka, prefix, parts, len(events), "leads", str(LANE_PROFILE)))
    job = f"{len(events)} events of {leads} leads, Avro of {size:.0f} B on average, {kit.PARTITIONS} partitions"
    return [_median(_NAMES[name], job, measured) for name, measured in found.items()]


_NAMES = {
    "lane": "lead fold in the fenced lane",
    "linking": "lead fold in the lane, who is known links a new identifier",
    "signing": "lead fold in the lane, who is known reads anonymously first",
    "counting": "a fold that counts, in the same lane",
    "alone": "lead fold alone, records from memory",
    "python": "the same without the compiled kernel",
    "signing_in": "lead fold alone, two visitors in five sign in midway",
}


def _median(name: str, job: str, measured: list[Row]) -> Row:
    """One row of several runs: each further figure is the median too."""
    costs = [each.pop("cpu_us") for each in measured]
    rss = max(each.pop("rss_mib") for each in measured)
    further = {key: round(statistics.median(each[key] for each in measured), 3) for key in measured[0]}
    return kit.row(name, job, costs, rss, **further)


async def through_lane(
    kafka: str,
    prefix: str,
    parts: dict[int, list[tuple[bytes, bytes]]],
    events: int,
    fold: str,
    *profile: str,
    core: int | None = None,
) -> Row:
    """So many events through one worker, in new topics: its CPU, its memory, and what its lane says of itself.

    `core`: the core it keeps to.
    """
    await kit.create_topics(kafka, prefix)
    await kit.preload(kafka, f"{prefix}lead.events", parts)
    port = free_port()
    arguments = ("-m", "bench.worker", kafka, prefix, str(kit.PARTITIONS), str(port), str(events), fold, *profile)
    yardstick = kit.yardstick_ns()
    with kit.process(*arguments) as worker:
        if core is not None:
            os.sched_setaffinity(worker.child.pid, {core})
        cpu_s, began_s = (float(word) for word in worker.line("first ").split())
        before = worker.usage()
        worker.line("all")
        until = time.monotonic() + _PATIENCE_S
        # All is folded; what is left is the last transactions, and the mail in them.
        while (seen := kit.metrics(port)).get(_RECORDS, 0) < events + seen.get(_MAIL, 0):
            assert time.monotonic() < until, f"{seen.get(_RECORDS)} of {events} records were committed"
            time.sleep(_POLL_S)  # noqa: ASYNC251 -- nothing else is to run in this loop
        after, seconds = worker.usage(), time.monotonic() - began_s
        memory = worker.rss_mib()
    threads = sorted((after.threads_s[each] - before.threads_s.get(each, 0) for each in after.threads_s), reverse=True)
    return {
        "cpu_us": (after.cpu_s - cpu_s) / events * 1e6,
        "rss_mib": memory,
        "kernel_us": (after.kernel_s - before.kernel_s) / events * 1e6,
        "first_thread_us": threads[0] / events * 1e6,
        "second_thread_us": threads[1] / events * 1e6 if len(threads) > 1 else 0.0,
        "wall_events_per_s": events / seconds,
        "records_a_transaction": seen[_RECORDS] / seen[_BATCHES],
        "changes_per_event": seen[_CHANGES] / events,
        "mail_per_event": seen.get(_MAIL, 0) / events,
        "outputs_per_event": sum(count for name, count in seen.items() if name.startswith(_OUTPUTS)) / events,
        "transaction_ms": 1e3 * seen[_TRANSACTION + "_sum" + _ROLE] / seen[_TRANSACTION + "_count" + _ROLE],
        "yardstick_ns": yardstick,
    }


_ROLE = '{role="leads"}'
_RECORDS = f"handraise_lane_records_total{_ROLE}"
_BATCHES = f"handraise_lane_batches_total{_ROLE}"
_CHANGES = f"handraise_lane_changes_total{_ROLE}"
_OUTPUTS = "handraise_lane_outputs_total"
_MAIL = 'handraise_lane_outputs_total{role="leads",topic="lead.events"}'
_TRANSACTION = "handraise_lane_transaction_seconds"


def _alone(*what: str) -> Row:
    with kit.process("-m", "bench.leads", *what) as child:
        row: Row = json.loads(child.line("row "))
    return row


def _records(path: str) -> list[list[Recorded]]:
    """The records of each partition, from a file."""
    now_ms = time.time_ns() // 1_000_000
    with Path(path).open("rb") as file:
        return [[Recorded(n, now_ms, *event) for n, event in enumerate(part)] for part in marshal.load(file)]  # noqa: S302


def _fold(parts: list[list[Recorded]], kind: type[LeadFold]) -> tuple[Counter[str], float]:
    """Fold all, the partitions in turns as a worker does, and the mail that they send each other.

    Returns the outputs by topic, and CPU seconds spent in `seal`.
    """
    rules = load(ROOT / "rules").rules
    states = compact_states if kind is CompiledFold else dict
    folds = [kind(partition, states(), rules, len(parts)) for partition in range(len(parts))]
    mail: list[list[Recorded]] = [[] for _ in parts]
    said: Counter[str] = Counter()
    sealing, at, longest = 0.0, 0, max(map(len, parts))
    while at < longest or any(mail):
        for partition, (fold, part) in enumerate(zip(folds, parts, strict=True)):
            batch, mail[partition] = mail[partition] + part[at : at + BATCH_RECORDS], []
            for start in range(0, len(batch), RUN_RECORDS):
                fold.apply(batch[start : start + RUN_RECORDS])
            began = time.process_time()
            sealed = fold.seal()
            sealing += time.process_time() - began
            said.update(output.topic for output in sealed.outputs)
            said["changes"] += len(sealed.changes)
            for output in sealed.outputs:
                if output.topic == INBOX:
                    assert output.key is not None
                    assert output.value is not None
                    mail[output.partition].append(Recorded(longest, part[0].timestamp, output.key, output.value))
        at += BATCH_RECORDS
    return said, sealing


def _measure(path: str, kind: str) -> Row:
    parts = _records(path)
    events = sum(map(len, parts))
    kit.quiet_gc()
    yardstick, memory, began = kit.yardstick_ns(), kit.rss_mib(), time.process_time()
    said, sealing = _fold(parts, CompiledFold if kind == "compiled" else LeadFold)
    spent = time.process_time() - began
    return {
        "cpu_us": spent / events * 1e6,
        "rss_mib": kit.rss_mib() - memory,
        "seal_us": sealing / events * 1e6,
        "changes_per_event": said.pop("changes") / events,
        "outputs_per_event": said.total() / events,
        **{f"{topic}_per_event": count / events for topic, count in sorted(said.items())},
        "yardstick_ns": yardstick,
    }


def _profile(path: str, report: str) -> Row:
    parts = _records(path)
    kit.quiet_gc()
    with sampled() as samples:
        _fold(parts, CompiledFold)
    Path(report).write_text(samples.report(sum(map(len, parts))))
    return {}


if __name__ == "__main__":
    what, *given = sys.argv[1:]
    print("row", json.dumps(_profile(*given) if what == "profile" else _measure(*given)), flush=True)
