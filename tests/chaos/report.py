"""The report of a run: build/chaos.json, and the same as a table."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterable
from typing import Any

from tests.chaos.audit import Verdict
from tests.chaos.company import ROOT

REPORT = ROOT / "build" / "chaos.json"
MOST_WORDS = 20
"""Findings of each sort that the report tells in words."""
_FIGURES = {
    "lost": "lost",
    "doubled": "doubled (read committed, without looking at ids)",
    "without_cause": "without cause",
    "wrong": "wrong",
    "state_differences": "states that differ",
    "longest_pause_s": "longest time from an event in the inbox to what it caused, s",
    "seconds_under_load": "seconds under load",
    "seconds_of_audit": "seconds of audit",
    "seed": "seed",
    "commit": "commit",
}


def commit() -> str:
    """What is run: the commit, marked if the tree differs from it; "unknown" without a repository."""
    words = ("describe", "--always", "--dirty", "--abbrev=12")
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def of(verdict: Verdict, struck: Iterable[tuple[float, str, str]], **more: Any) -> dict[str, Any]:
    """The report, as data."""
    struck = list(struck)
    targets: dict[str, Counter[str]] = {}
    for _, kind, target in struck:
        targets.setdefault(target, Counter())[kind] += 1
    return {
        "faults": dict(Counter(kind for _, kind, _ in struck)),
        "faults_by_target": {target: dict(kinds) for target, kinds in targets.items()},
        "lost": len(verdict.missing),
        "doubled": len(verdict.doubled),
        "without_cause": len(verdict.without_cause),
        "wrong": len(verdict.wrong),
        "state_differences": len(verdict.states),
        "longest_pause_s": round(verdict.longest_pause_s, 2),
        "commit": commit(),
        "compared": dict(verdict.counts),
        "words": [
            words
            for sort in (verdict.missing, verdict.doubled, verdict.without_cause, verdict.wrong, verdict.states)
            for words in sort[:MOST_WORDS]
        ],
        **more,
    }


def write(report: dict[str, Any]) -> None:
    """Write it to build/chaos.json."""
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=1))


def table(report: dict[str, Any]) -> str:
    """The report in a table of Markdown."""
    kinds = list(report["faults"])
    rows = [f"| | {' | '.join(kinds)} | all |", "|" + "---|" * (len(kinds) + 2)]
    for target, counts in {**report["faults_by_target"], "all": report["faults"]}.items():
        cells = [str(counts.get(kind, "")) for kind in kinds]
        rows.append(f"| {target} | {' | '.join(cells)} | {sum(counts.values())} |")
    rows += ["", "| | |", "|---|---|"]
    rows.append(f"| events | {report['events']:,}, {report['events_over_http']:,} of them over HTTP |")
    rows += [f"| {words} | {report[name]} |" for name, words in _FIGURES.items()]
    rows.append(f"| compared | {', '.join(f'{count:,} {what}' for what, count in report['compared'].items())} |")
    return "\n".join(rows)
