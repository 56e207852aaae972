"""``python -m bench [NAME...]``: run benchmarks, print a table, write build/bench.json, add to bench/history.jsonl.

Names: leads, desk, mirror, console, latency, restart, memory, scale, gateway, replay, peers; without any, all of them.
The file keeps the rows of benchmarks that were not run, so that one can be repeated alone.  Exit code 1: a figure has
fallen against the runs before it (bench/history.py says how that is judged).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable

from bench import console, desk, gateway, history, latency, leads, memory, mirror, replay, restart, scale
from bench.kit import Row, yardstick_ns
from bench.latency import Scene
from bench.peers import compare
from handraise.settings import ROOT

FILE = ROOT / "build" / "bench.json"
_COLUMNS = ("contender", "job", "cpu_us_per_event", "events_per_s_per_core", "rss_mib")
_HEADS = ("contender", "job", "CPU µs/event", "events/s/core", "RSS MiB", "further")


def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="leads, desk, mirror, console, latency, …; default: all"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it runs, measures little")
    parser.add_argument("--profile", action="store_true", help="leads, desk: also write build/profile-*.txt")
    given = parser.parse_args(arguments)
    benchmarks = _benchmarks(given.quick, given.profile)
    if unknown := [name for name in given.names if name not in benchmarks]:
        parser.error(f"there is no benchmark {', '.join(unknown)}; name any of: {', '.join(benchmarks)}")
    rows, fallen = _kept(), list[str]()
    for name in given.names or benchmarks:
        began, load, yardstick = time.monotonic(), os.getloadavg()[0], yardstick_ns()
        print(f"{name} …", file=sys.stderr, flush=True)
        measured = benchmarks[name]()
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        at = time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime())
        marks = {"benchmark": name, "at": at, "load_before": round(load, 1)}
        fresh = [{**row, **marks} for row in measured]
        rows = [row for row in rows if row.get("benchmark") != name] + fresh
        _write(rows)
        print(table(fresh), flush=True)
        if not given.quick:
            pace = min(yardstick, yardstick_ns())
            entries = history.entries(fresh, pace, at, history.commit(), history.machine())
            fallen += history.falls(entries, history.read())
            history.append(entries)
    for phrase in fallen:
        print(f"fallen: {phrase}", file=sys.stderr)
    return 1 if fallen else 0


def _benchmarks(quick: bool, profile: bool) -> dict[str, Callable[[], list[Row]]]:
    if quick:
        return {
            "leads": lambda: leads.run(leads=1_000, runs=1, profile=profile),
            "desk": lambda: desk.run(count=2_000, runs=1, profile=profile),
            "mirror": lambda: mirror.run(count=10_000, runs=1),
            "console": lambda: console.run(count=5, runs=1),
            "latency": lambda: latency.run(scenes=[Scene(6.0), Scene(3.0, waiting=500), Scene(3.0, backlog=10_000)]),
            "restart": lambda: restart.run(leads=20_000, runs=1),
            "memory": lambda: memory.run(leads=10_000, warm=2_000),
            "scale": lambda: scale.run(few=10_000, many=50_000, visitors=2_000, turn=4_000),
            "gateway": lambda: gateway.run(seconds=1.0, runs=1),
            "replay": lambda: replay.run(leads=1_000, runs=1),
            "peers": lambda: compare.run(leads=1_000, runs=1, seconds=2.0),
        }
    return {
        "leads": lambda: leads.run(profile=profile),
        "desk": lambda: desk.run(profile=profile),
        "mirror": mirror.run,
        "console": console.run,
        "latency": latency.run,
        "restart": restart.run,
        "memory": memory.run,
        "scale": scale.run,
        "gateway": gateway.run,
        "replay": replay.run,
        "peers": compare.run,
    }


def _kept() -> list[Row]:
    """The rows of earlier runs."""
    try:
        rows: list[Row] = json.loads(FILE.read_text())
    except (OSError, ValueError):
        return []
    return rows


def _write(rows: list[Row]) -> None:
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(rows, indent=2) + "\n")


def table(rows: list[Row]) -> str:
    """The rows as aligned text."""
    shown = [_HEADS]
    for row in rows:
        cells = ["–" if row.get(name) is None else str(row[name]) for name in _COLUMNS]
        hidden = (*_COLUMNS, "runs", "benchmark", "at")
        further = ", ".join(f"{name} {value}" for name, value in row.items() if name not in hidden)
        shown.append((*cells, further))  # type: ignore[arg-type]
    widths = [max(len(line[column]) for line in shown) for column in range(len(_HEADS) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[-1]]) for line in shown
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
