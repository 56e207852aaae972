"""What an event costs in the lead fold where there are many leads, beside what it costs where there are few.

The same traffic: people who visit a site within ten minutes, about seven events each; two in five have been there
before.  What differs is how many other leads lie between them.  Two processes, each with its leads in memory, fold the
same records in turns, a few batches at a time, so that both meet the same neighbours on the machine.
"""

from __future__ import annotations

import json
import marshal
import statistics
import sys
import tempfile
import time
from itertools import count as count_up
from itertools import cycle, islice
from pathlib import Path

from bench import kit
from bench.kit import Measured, Row
from bench.restart import states_of
from bench.traffic import Recorded, traffic
from handraise.rules import load
from handraise.settings import ROOT
from streams.compiled import compact_states, lead_fold
from streams.lead_fold import LeadFold

SEED = 41
BATCH_RECORDS = 4_000
TURN = 16_000
EARLIER = 3
"""The first part of the traffic, one in so many events, are visits on the days before: they are not measured."""
MODELS = 10_000
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


def run(few: int = 50_000, many: int = 5_000_000, visitors: int = 30_000, turn: int = TURN) -> list[Row]:
    """A row for each number of leads, with the ratio of what an event costs, turn by turn of so many events."""
    with tempfile.NamedTemporaryFile() as file:
        marshal.dump(traffic(SEED, visitors, time.time_ns() // 1_000_000), file)
        file.flush()
        arguments = ("-m", "bench.scale", file.name, str(min(MODELS, few)), str(turn))
        with (
            kit.process(*arguments, str(few), listens=True) as small,
            kit.process(*arguments, str(many), listens=True) as large,
        ):
            sizes = [json.loads(child.line("ready ")) for child in (small, large)]
            turns: list[tuple[float, float]] = []
            while (cost := _turn(small)) is not None:
                other = _turn(large)
                assert other is not None
                turns.append((cost, other))
            memory = small.rss_mib(), large.rss_mib()
    ratio = statistics.median(other / cost for cost, other in turns)
    return [
        kit.row(
            "lead fold among many leads",
            f"visits of {visitors} people among {leads} leads of {size:.0f} B, in memory",
            [each[number] for each in turns],
            memory[number],
            **({"to_few": round(ratio, 3)} if number else {}),
        )
        for number, (leads, size) in enumerate(sizes)
    ]


def _turn(child: Measured) -> float | None:
    """CPU microseconds an event of the next few batches; None after the last."""
    assert child.child.stdin is not None
    child.child.stdin.write(b"go\n")
    child.child.stdin.flush()
    said: float | None = json.loads(child.line("turn "))
    return said


def _name(number: int) -> bytes:
    """The id of an anonymous lead, as good as drawn."""
    mixed = (number + 1) * 0x9E3779B97F4A7C15F39CC0605CEDC834 >> 16
    return b"a_" + "".join(_LETTERS[mixed >> 5 * place & 31] for place in range(16)).encode()


def _measure(path: str, models: int, per_turn: int, leads: int) -> None:
    rules, now_ms = load(ROOT / "rules").rules, time.time_ns() // 1_000_000
    with Path(path).open("rb") as file:
        events = marshal.load(file)  # noqa: S302 - written by our parent
    count = len(events) // EARLIER
    earlier: dict[bytes, bytes] = {}
    _fold(lead_fold(0, earlier, rules, 1), _records(events[:count], now_ms))
    states, others = compact_states(), cycle(states_of(models))
    apart, names = round(leads / len(earlier)) - 1, map(_name, count_up())
    for key, value in earlier.items():
        states[key] = value
        states.update(zip(islice(names, apart), others, strict=False))
    size = statistics.fmean(map(len, states.values()))
    fold = lead_fold(0, states, rules, 1)
    kit.quiet_gc()
    print("ready", json.dumps([len(states), size]), flush=True)
    for start in range(count, len(events) - per_turn, per_turn):
        sys.stdin.readline()
        # Made anew: the records of a worker have just come out of a socket.
        turn = marshal.loads(marshal.dumps(events[start : start + per_turn], 2))  # noqa: S302
        records = _records(turn, now_ms)
        began = time.process_time()
        _fold(fold, records)
        print("turn", (time.process_time() - began) / per_turn * 1e6, flush=True)
    sys.stdin.readline()
    print("turn null", flush=True)


def _records(events: list[tuple[bytes, bytes]], now_ms: int) -> list[Recorded]:
    return [Recorded(number, now_ms, *event) for number, event in enumerate(events)]


def _fold(fold: LeadFold, records: list[Recorded]) -> None:
    for start in range(0, len(records), BATCH_RECORDS):
        fold.apply(records[start : start + BATCH_RECORDS])
        fold.seal()


if __name__ == "__main__":
    _measure(sys.argv[1], *map(int, sys.argv[2:]))
