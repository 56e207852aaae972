"""``python -m bench.document``: from build/bench.json the figures of docs/performance.md, and docs/peers.svg."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import NamedTuple

from bench.kit import Row
from bench.peers.chart import chart
from bench.peers.compare import SIMPLE
from bench.peers.contenders import CONTENDERS
from bench.peers.page import tables
from handraise.settings import ROOT

SOURCE = ROOT / "build" / "bench.json"
PAGE = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "peers.svg"
BEGIN, END = "<!-- figures: python -m bench.document -->", "<!-- end of figures -->"


class _Figure(NamedTuple):
    """One line of the first table."""

    benchmark: str
    row: int
    what: str
    name: str
    unit: str
    goal: str
    reached: Callable[[float], bool]


_LATE = len(CONTENDERS) + 1
"""The row of our latency: the whole fold and the contenders stand before it."""
_FIGURES = (
    _Figure(
        "leads", 0, "lead fold through the lane, per core", "events_per_s_per_core", "events/s", "≥ 100,000",
        lambda it: it >= 100_000,
    ),
    _Figure(
        "desk", 0, "raised hands decided, 200 people, 30 rules, per core", "events_per_s_per_core", "hands/s",
        "≥ 10,000", lambda it: it >= 10_000,
    ),
    _Figure("latency", 0, "HTTP event to alert, read uncommitted, p50", "p50_ms", "ms", "≤ 40", lambda it: it <= 40),
    _Figure("latency", 0, "the same, p99", "p99_ms", "ms", "≤ 120", lambda it: it <= 120),
    _Figure("latency", 2, "raised hand to assignment, uncommitted, p50", "p50_ms", "ms", "≤ 20", lambda it: it <= 20),
    _Figure("latency", 2, "the same, p99", "p99_ms", "ms", "≤ 100", lambda it: it <= 100),
    _Figure("latency", 4, "raised hand to a browser's stream, p50", "p50_ms", "ms", "≤ 20", lambda it: it <= 20),
    _Figure("latency", 4, "the same, p99", "p99_ms", "ms", "≤ 100", lambda it: it <= 100),
    _Figure(
        "latency", 9, "the same while 100,000 qualified leads wait, p99", "p99_ms", "ms", "≤ 150",
        lambda it: it <= 150,
    ),
    _Figure("console", 0, "page of a busy queue, p99", "p99_ms", "ms", "≤ 50", lambda it: it <= 50),
    _Figure("console", 1, "page of the desk, p99", "p99_ms", "ms", "≤ 50", lambda it: it <= 50),
    _Figure("console", 2, "page of a lead, p99", "p99_ms", "ms", "≤ 50", lambda it: it <= 50),
    _Figure("latency", 10, "HTTP event to alert at 1,000 events/s, p50", "p50_ms", "ms", "≤ 25", lambda it: it <= 25),
    _Figure("latency", 10, "the same, p99", "p99_ms", "ms", "≤ 60", lambda it: it <= 60),
    _Figure(
        "latency", 19, "raised hand to a browser's stream, the lead fold saturated, p50", "p50_ms", "ms", "≤ 20",
        lambda it: it <= 20,
    ),
    _Figure("latency", 19, "the same, p99", "p99_ms", "ms", "≤ 100", lambda it: it <= 100),
    _Figure(
        "restart", 0, "restart with 1,000,000 leads, to the first event", "first_event_s", "s", "≤ 10",
        lambda it: it <= 10,
    ),
    _Figure(
        "restart", 0, "memory of a worker with 1,000,000 leads", "rss_mib", "MiB", "≤ 476 (500 MB)",
        lambda it: it <= 476,
    ),
    _Figure(
        "scale", 1, "cost of an event among 5,000,000 leads, to that among 50,000", "to_few", "times", "≤ 1.1",
        lambda it: it <= 1.1,
    ),
    _Figure(
        "memory", 1, "memory after 10 events, by 100,000 leads", "bytes_a_lead", "bytes", "≤ 600",
        lambda it: it <= 600,
    ),
    _Figure(
        "memory", 1, "the same, growth by the second 50,000 leads", "bytes_of_another_lead", "bytes", "≤ 600",
        lambda it: it <= 600,
    ),
    _Figure(
        "gateway", 0, "gateway, batches of 20, per core", "events_per_s_per_core", "events/s", "≥ 30,000",
        lambda it: it >= 30_000,
    ),
    _Figure(
        "gateway", 1, "gateway, one event a request, per core", "events_per_s_per_core", "events/s", "≥ 10,000",
        lambda it: it >= 10_000,
    ),
    _Figure(
        "peers", 1, "simple job: our cost over warm Kafka Streams' (Avro, exactly once)", "of_kafka_streams", "×",
        "≤ 1.3", lambda it: it <= 1.3,
    ),
    _Figure(
        "peers", 1, "simple job: the cost of the best other Python over ours", "best_python", "×", "≥ 2",
        lambda it: it >= 2,
    ),
    _Figure("peers", 1, "simple job: the cost of a Faust agent over ours", "faust", "×", "≥ 25", lambda it: it >= 25),
    _Figure("peers", _LATE, "simple job: alert at 1,000 events/s, p50", "p50_ms", "ms", "≤ 25", lambda it: it <= 25),
    _Figure("peers", _LATE, "the same, p99", "p99_ms", "ms", "≤ 60", lambda it: it <= 60),
)  # fmt: skip
_COMMON = ("contender", "job", "runs", "benchmark", "at", "load_before")


def figures(rows: list[Row]) -> str:
    """The tables in Markdown: first against the goals, then all rows."""
    lines = ["| what | goal | measured | reached | command |", "|---|---|---|---|---|"]
    for figure in _FIGURES:
        own = [row for row in rows if row.get("benchmark") == figure.benchmark]
        value = own[figure.row].get(figure.name) if len(own) > figure.row else None
        measured = "not measured" if value is None else f"{value:,} {figure.unit}"
        verdict = "–" if value is None else "yes" if figure.reached(value) else "**no**"
        command = f"`python -m bench {figure.benchmark}`"
        lines.append(f"| {figure.what} | {figure.goal} | {measured} | {verdict} | {command} |")
    lines += [
        "",
        "All of it, as measured (names as in `build/bench.json`; CPU in µs an event, medians of the runs):",
        "",
    ]
    peers = [row for row in rows if row.get("benchmark") == "peers"]
    for row in (row for row in rows if row not in peers):
        lines.append(
            f"* **{row['contender']}**, {row['job']} ({row.get('at')}, load before: {row.get('load_before')})  "
        )
        shown = [f"{name} {value:,}" for name, value in row.items() if name not in _COMMON and _is_number(value)]
        runs = "" if len(row["runs"]) < 2 else f"; runs {', '.join(map(str, row['runs']))}"
        lines.append(f"  {', '.join(shown)}{runs}")
    if peers:
        lines += [
            "",
            f"Beside others ({peers[0]['at']}, load before: {peers[0]['load_before']}; `python -m bench peers`):",
            "",
        ]
        lines += tables(peers)
    return "\n".join(lines)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def main() -> int:
    """Put the figures into the page and draw the picture; returns the exit code."""
    page = PAGE.read_text()
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin and end, f"{PAGE} has no place for figures: {BEGIN} … {END}"
    rows = json.loads(SOURCE.read_text())
    PAGE.write_text(f"{before}{BEGIN}\n{figures(rows)}\n{END}{after}")
    if compared := [row for row in rows if row.get("job") == SIMPLE]:
        PICTURE.write_text(chart(compared))
    return 0


if __name__ == "__main__":
    sys.exit(main())
