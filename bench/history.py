"""Figures over time: bench/history.jsonl has a line for each row of each run, and a run is compared with those before.

CPU of one and the same program differs here by a fifth between hours.  So CPU is judged by the best of a run's
repetitions, for noise only adds, and in units of something measured in the same run: the raw client loop among the
peers, else a plain Python loop.  A figure has fallen when it is more than 15 % worse than the median of the last runs
on the same kind of machine, and worse than each of them.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.kit import Row
from handraise.settings import ROOT

Entry = dict[str, Any]

FILE = ROOT / "bench" / "history.jsonl"
FALL = 0.15
LAST = 5
"""So many runs before are looked at."""
FEWEST = 3
"""With fewer there is nothing to compare with yet."""
_BEST = "cpu_us_best"
_PACED = frozenset({_BEST, "ready_s", "first_event_s"})
"""What takes longer on a slower machine in proportion; the rest is waiting, or memory."""
_JUDGED = (*_PACED, "p50_ms", "p99_ms", "rss_mib", "bytes_a_lead", "bytes_of_another_lead")
_KEPT = ("cpu_us_per_event", "events_per_s_per_core", "rss_mib", "cold_us_per_event", *_JUDGED)
_REFERENCE = "aiokafka"
"""The name of the row that is the unit among the peers: its code is not ours to make slower."""
_SAME = ("machine", "benchmark", "contender", "job", "unit")


def entries(rows: Iterable[Row], yardstick_ns: float, at: str, commit: str, machine: str) -> list[Entry]:
    """The lines for the rows of one run of one benchmark; rows without a measurement are left out.

    `yardstick_ns`: what a round of the plain Python loop took in that run.
    """
    measured = [row for row in rows if row.get("cpu_us_per_event") is not None or row.get("rss_mib") is not None]
    reference = next((row for row in measured if row.get("name") == _REFERENCE and row["runs"]), None)
    unit = ("aiokafka loop, us", min(reference["runs"])) if reference else ("Python loop, ns", yardstick_ns)
    found = []
    for row in measured:
        figures = {name: row[name] for name in _KEPT if row.get(name) is not None}
        if row["runs"]:
            figures[_BEST] = min(row["runs"])
        same = {"benchmark": row["benchmark"], "contender": row["contender"], "job": row["job"]}
        run = {"at": at, "commit": commit, "machine": machine, "unit": unit[0], "pace": unit[1]}
        found.append({**run, **same, "figures": figures})
    return found


def falls(new: Iterable[Entry], before: Sequence[Entry]) -> list[str]:
    """What has become worse, in words; of the peers' figures only our own."""
    found = []
    for entry in new:
        if entry["benchmark"] == "peers" and not entry["contender"].startswith("Handraise"):
            continue
        earlier = [other for other in before if all(other[name] == entry[name] for name in _SAME)][-LAST:]
        for name in _JUDGED:
            past = [value for other in earlier if (value := _judged(other, name)) is not None]
            now = _judged(entry, name)
            if now is None or len(past) < FEWEST:
                continue
            usual = statistics.median(past)
            if now > usual * (1 + FALL) and now > max(past):
                which = ", ".join(entry[part] for part in ("benchmark", "contender", "job"))
                worse = f"{now / usual - 1:.0%} worse than the median of the last {len(past)} runs"
                found.append(f"{which}: {name} is {entry['figures'][name]:g}, {worse}")
    return found


def _judged(entry: Entry, name: str) -> float | None:
    value: float | None = entry["figures"].get(name)
    return value / entry["pace"] if value is not None and name in _PACED else value


def read(file: Path = FILE) -> list[Entry]:
    """All lines so far, oldest first."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def append(new: Iterable[Entry], file: Path = FILE) -> None:
    """Write the lines behind those that are there."""
    with file.open("a") as lines:
        lines.writelines(json.dumps(entry) + "\n" for entry in new)


def commit() -> str:
    """The commit that is checked out, with a + where files were changed since; "unknown" without a repository."""
    try:
        head = _git("rev-parse", "--short=10", "HEAD")
        changed = _git("status", "--porcelain", "--", ".", f":!{FILE.relative_to(ROOT)}")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + "+" * bool(changed)


def _git(*words: str) -> str:
    run = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True)
    return run.stdout.strip()


def machine() -> str:
    """The kind of this machine: cores, processor, architecture."""
    model = platform.processor()
    information = Path("/proc/cpuinfo")
    if information.exists():
        named = [
            line.partition(":")[2].strip() for line in information.read_text().splitlines() if "model name" in line
        ]
        model = named[0] if named else model
    return f"{os.cpu_count()} cores, {model or 'unknown'}, {platform.machine()}"
