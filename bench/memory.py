"""What a lead costs in memory after ten events: the growth of a process that folds them, all included.

The records come through a pipe from a process that makes them, so that the measured one holds nothing but the fold:
the dict of states, keys, agenda, memo of rules, and what the allocator does not give back.
"""

from __future__ import annotations

import gc
import json
import struct
import sys
import time
from collections.abc import Iterator
from typing import IO, Any

from bench import kit
from bench.kit import Row
from bench.traffic import SECRET, Recorded, traffic
from handraise.rules import load
from handraise.settings import ROOT
from streams import state
from streams.compiled import compact_states, lead_fold
from streams.fold import States
from streams.identity import lead_id
from streams.lead_fold import LeadFold
from streams.state import Lead

BATCH_RECORDS = 4_000
_EVENTS = 10
_MODELS = 10_000
_SEED = 31
_HEAD = struct.Struct("<HI")


def run(leads: int = 50_000, warm: int = 10_000) -> list[Row]:
    """A row with so many leads, and one with twice as many: what does not grow with leads weighs half there."""
    rows = []
    with kit.process("-m", "bench.memory", "fold", str(leads), str(warm)) as child:
        for _ in range(2):
            found: Row = json.loads(child.line("row "))
            job = f"ten events a lead, {found.pop('leads')} leads in one partition's fold"
            rows.append(kit.row("memory of a lead", job, None, found.pop("rss_mib"), **found))
    return rows


def _write(leads: int, warm: int, out: IO[bytes]) -> None:
    """Records of `warm` leads, then of `leads`, then of as many others, as key and value with their lengths.

    To fold is what takes the time here, so the same visitors come again and again under other keys.
    """
    models = min(_MODELS, leads)
    events = traffic(_SEED, models, time.time_ns() // 1_000_000, _EVENTS, "all")
    for part, total in enumerate((warm, leads, leads)):
        for start in range(0, total, models):
            names: dict[bytes, bytes] = {}
            for key, value in events:
                name = names.get(key)
                if name is None:
                    kind: Any = key[:1].decode()
                    name = names[key] = lead_id(kind, f"{key!r} {part} {start}", SECRET).encode()
                out.write(_HEAD.pack(len(name), len(value)) + name + value)
        out.write(_HEAD.pack(0, 0))
    out.flush()


def _records(source: IO[bytes]) -> Iterator[list[Recorded]]:
    """Batches up to the end mark."""
    now_ms, offset, batch = time.time_ns() // 1_000_000, 0, []
    while (head := _HEAD.unpack(source.read(_HEAD.size))) != (0, 0):
        batch.append(Recorded(offset, now_ms, source.read(head[0]), source.read(head[1])))
        offset += 1
        if len(batch) == BATCH_RECORDS:
            yield batch
            batch = []
    yield batch


def _fold(fold: LeadFold, source: IO[bytes]) -> int:
    events = 0
    for batch in _records(source):
        events += fold.apply(batch)
        fold.seal()
    return events


def _measure(leads: int, warm: int) -> None:
    with kit.process("-m", "bench.memory", "write", str(leads), str(warm)) as writer:
        source = writer.child.stdout
        assert source is not None
        rules = load(ROOT / "rules").rules
        gc.set_threshold(50_000)
        _fold(lead_fold(0, {}, rules, 1), source)  # code, memos and buffers are there when it counts
        gc.collect()
        before = kit.rss_mib()
        states = compact_states()
        fold = lead_fold(0, states, rules, 1)
        held, grown = 0, 0.0
        for _ in range(2):
            _fold(fold, source)
            gc.collect()
            more, growth = len(states) - held, (kit.rss_mib() - before) * 2**20 - grown
            held, grown = held + more, grown + growth
            print("row", json.dumps(_figures(states, grown / held, growth / more)), flush=True)


def _figures(states: States, bytes_a_lead: float, bytes_of_another: float) -> Row:
    decoded = (state.decode(value) for key, value in states.items() if key[:1] != b"\x00")
    return {
        "leads": len(states),
        "rss_mib": kit.rss_mib(),
        "bytes_a_lead": round(bytes_a_lead),
        "bytes_of_another_lead": round(bytes_of_another),
        "encoded_state_bytes": round(sum(map(len, states.values())) / len(states)),
        "scored_events_a_lead": round(sum(lead.events for lead in decoded if isinstance(lead, Lead)) / len(states), 1),
    }


if __name__ == "__main__":
    if sys.argv[1] == "write":
        _write(int(sys.argv[2]), int(sys.argv[3]), sys.stdout.buffer)
    else:
        _measure(int(sys.argv[2]), int(sys.argv[3]))
