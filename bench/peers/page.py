"""The comparison in Markdown, for docs/performance.md."""

from __future__ import annotations

from collections.abc import Sequence

from bench.kit import Row

_SIMPLE_HEAD = (
    "| contender | events | guarantee as run | state | CPU µs an event | cold | events/s per core | MiB | right |",
    "|---|---|---|---|---|---|---|---|---|",
)
_LATE_HEAD = ("| contender | guarantee as run | set | p50 ms | p99 ms | CPU µs an event |", "|---|---|---|---|---|---|")


def tables(rows: Sequence[Row]) -> list[str]:
    """The lines of two tables: cost, cheapest first and skipped ones last, and latency."""
    late = [row for row in rows if "p50_ms" in row or (row.get("skipped") and "state" not in row)]
    cost = sorted((row for row in rows if row not in late), key=lambda row: row["cpu_us_per_event"] or float("inf"))
    lines = [*_SIMPLE_HEAD, *map(_cost, cost)]
    if late:
        lines += ["", *_LATE_HEAD, *map(_late, late)]
    return lines


def _cost(row: Row) -> str:
    tuned = f" ({row['tuned']})" if row.get("tuned") else ""
    start = f"| {row['title']} | {row['format']} | {row['guarantee']} | {row['state']}{tuned} |"
    if row.get("skipped"):
        return f"{start} skipped: {_one_line(row['skipped'])} | | | | |"
    runs, cold = row["runs"], row.get("cold_us_per_event")
    spread = f" ({min(runs):,.1f} to {max(runs):,.1f})" if len(runs) > 1 else ""
    right = f"**wrong**: {row['wrong']}" if row.get("wrong") else "yes" if "wrong" in row else "–"
    return (
        f"{start} {row['cpu_us_per_event']:,.1f}{spread} | {'–' if cold is None else f'{cold:,.1f}'} | "
        f"{row['events_per_s_per_core']:,} | {row['rss_mib']:,.0f} | {right} |"
    )


def _late(row: Row) -> str:
    start = f"| {row['title']}, {row['format']} | {row['guarantee']} | {row['tuned'] or '–'} |"
    if row.get("skipped"):
        return f"{start} skipped: {_one_line(row['skipped'])} | | |"
    return f"{start} {row['p50_ms']} | {row['p99_ms']} | {row['cpu_us_per_event']:,.0f} |"


def _one_line(text: str) -> str:
    return " ".join(text.replace("|", "/").split())[:160]
