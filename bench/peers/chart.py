"""The comparison as a picture: one line for each contender, its cost on a logarithmic scale, by what it guarantees."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from bench.kit import Row
from bench.peers.contenders import AT_LEAST_ONCE, ONCE

_WIDTH, _LEFT, _RIGHT, _TOP, _LINE = 900, 330, 120, 92, 30
_TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
_CLASSES = {ONCE: "once", AT_LEAST_ONCE: "least"}
_STYLE = """
.card { fill: #ffffff; } .title { fill: #14181f; font-size: 17px; font-weight: 600; }
.name, .value { fill: #14181f; } .ours { font-weight: 700; } .quiet { fill: #5b6472; } .grid { stroke: #dfe3e8; }
.dot.once { fill: #0b6e4f; } .dot.least { fill: #c2570c; } .dot.none { fill: #6b7280; }
.span.once { stroke: #0b6e4f; } .span.least { stroke: #c2570c; } .span.none { stroke: #6b7280; }
.span { stroke-width: 5; stroke-opacity: 0.35; stroke-linecap: round; }
.band { fill: #0b6e4f; fill-opacity: 0.07; }
text { font: 14px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; } .quiet { font-size: 12.5px; }
@media (prefers-color-scheme: dark) {
  .card { fill: #14181f; } .title, .name, .value { fill: #edf0f4; } .quiet { fill: #a3acb9; } .grid { stroke: #303846; }
  .dot.once { fill: #4cc79a; } .dot.least { fill: #f0985a; } .dot.none { fill: #9aa3b0; }
  .span.once { stroke: #4cc79a; } .span.least { stroke: #f0985a; } .span.none { stroke: #9aa3b0; }
  .band { fill: #4cc79a; fill-opacity: 0.1; }
}
"""


def chart(rows: Sequence[Row]) -> str:
    """An SVG of the rows that were measured and right, cheapest first; for light and dark surroundings."""
    shown = sorted(
        (row for row in rows if row["cpu_us_per_event"] and not row.get("wrong")),
        key=lambda row: row["cpu_us_per_event"],
    )
    costs = [cost for row in shown for cost in (*row["runs"], row["cpu_us_per_event"])]
    low = max(tick for tick in _TICKS if tick <= min(costs) or tick == _TICKS[0])
    high = min(tick for tick in _TICKS if tick >= max(costs) or tick == _TICKS[-1])
    bottom = _TOP + _LINE * len(shown)

    def across(cost: float) -> float:
        share = math.log(cost / low) / math.log(high / low)
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {bottom + 62}" role="img" aria-labelledby="t">',
        f"<title id='t'>CPU time of an event on the simple job, {len(shown)} contenders</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="card" width="{_WIDTH}" height="{bottom + 62}" rx="10"/>',
        '<text class="title" x="24" y="34">CPU time of one event, in microseconds (less is better)</text>',
        '<text class="quiet" x="24" y="56">decode, decayed score, alert, changelog; one core, '
        f"the same events; logarithmic scale; {_when(shown)}</text>",
    ]
    for tick in (tick for tick in _TICKS if low <= tick <= high):
        x = across(tick)
        parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{_TOP - 14}" y2="{bottom}"/>')
        parts.append(f'<text class="quiet" x="{x}" y="{bottom + 18}" text-anchor="middle">{tick:,}</text>')
    for number, row in enumerate(shown):
        parts += _line(row, _TOP + _LINE * number, across)
    parts += _legend(bottom + 46)
    return "\n".join([*parts, "</svg>", ""])


def _when(rows: Sequence[Row]) -> str:
    """The day, how often each was run, and how many processes wanted a core before."""
    return "; ".join(sorted({f"{row['at'][:10]}, runs: {len(row['runs'])}, load {row['load_before']}" for row in rows}))


def _line(row: Row, top: int, across: Callable[[float], float]) -> list[str]:
    kind, cost, middle = _CLASSES.get(row["guarantee"], "none"), row["cpu_us_per_event"], top + 4
    ours = " ours" if row["title"].startswith("Handraise") else ""
    start, end = across(min(row["runs"])), across(max(row["runs"]))
    name = escape(f"{row['title']}, {row['format']}")
    band = f'<rect class="band" x="12" y="{top - 11}" width="{_WIDTH - 24}" height="{_LINE}" rx="6"/>' if ours else ""
    return [
        band,
        f'<text class="name{ours}" x="24" y="{middle + 5}">{name}'
        f'<tspan class="quiet" font-weight="400">, {row["guarantee"]}</tspan></text>',
        f'<line class="span {kind}" x1="{start}" x2="{end}" y1="{middle}" y2="{middle}"/>',
        f'<circle class="dot {kind}" cx="{across(cost)}" cy="{middle}" r="6.5"/>',
        f'<text class="value{ours}" x="{max(end, across(cost)) + 14}" y="{middle + 5}">{cost:,.1f}</text>',
    ]


def _legend(y: int) -> list[str]:
    parts, x = [], 24
    for kind, words in (("once", "exactly once"), ("least", "at least once"), ("none", "no guarantee as run")):
        parts.append(f'<circle class="dot {kind}" cx="{x + 6}" cy="{y - 4}" r="6"/>')
        parts.append(f'<text class="quiet" x="{x + 20}" y="{y}">{words}</text>')
        x += 130
    parts.append(f'<text class="quiet" x="{x + 30}" y="{y}">dot: median; bar: from the best to the worst run</text>')
    return parts
