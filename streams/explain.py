"""The ledger of points behind a score, row by row; the rows add up to the score exactly."""

from __future__ import annotations

from typing import NamedTuple

from streams.decay import FRACTION_BITS, forward, to_millipoints, value
from streams.ledger import is_worth, rows
from streams.links import SIZE, read
from streams.rules import Rules, group_of, half_life_of
from streams.score import behaviour
from streams.state import Lead


class LedgerRow(NamedTuple):
    """One row: a match of a rule, the sum of old matches, or what a cap took away."""

    rule: str
    """The rule's id; `before:GROUP` for points folded into a sum, `cap:GROUP` and `cap` for what caps take away."""
    event_id: str | None
    at_s: int | None
    raw_millipoints: int
    """What the rule gives."""
    limited_millipoints: int
    """What is left of it after limits and clearing."""
    decayed_millipoints: int
    """What is left of that at the time of the explanation."""
    device: str | None = None
    """The id of the device it came from; None for the lead's own key, or none."""


class Explanation(NamedTuple):
    """A score and the rows that add up to it."""

    score_millipoints: int
    as_of_s: int
    rows: list[LedgerRow]


def explain(lead: Lead, rules: Rules, at_s: int) -> Explanation:
    """The ledger of a lead at a time (seconds) not before its newest event.

    Rows are rounded so that they add up: each differs from its own rounded value by at most one milli-point.
    """
    exact: list[tuple[LedgerRow, int]] = []
    groups: dict[int, int] = {}

    def enter(row: LedgerRow, group: int, fixed: int) -> None:
        exact.append((row, fixed))
        groups[group] = groups.get(group, 0) + fixed

    for event in rows(lead, rules):
        for row in event:
            rule, points = row.rule, 0
            if is_worth(row, lead):
                forwarded = forward(rule.millipoints, row.at, rule.half_life_s, lead.line)
                points = value(forwarded, rule.half_life_s, lead.line, at_s)
            limited = rule.millipoints if is_worth(row, lead) else 0
            device = read(lead.links, SIZE * (row.origin - 1)).id.decode() if row.origin else None
            entry = LedgerRow(rule.id, row.event_id.hex(), row.at, rule.millipoints, limited, 0, device)
            enter(entry, rule.group, points)
    for channel, total in sorted(lead.base.items()):
        group = group_of(channel)
        worth = value(total, half_life_of(channel), lead.line, at_s)
        then = to_millipoints(value(total, half_life_of(channel), lead.line, lead.line))
        name = rules.group_names.get(group, str(group))
        enter(LedgerRow(f"before:{name}", None, lead.line, then, then, 0), group, worth)
    total = 0
    for group, fixed in sorted(groups.items()):
        capped = min(fixed, rules.caps.get(group, 0) << FRACTION_BITS)
        total += capped
        if capped < fixed:
            exact.append((LedgerRow(f"cap:{rules.group_names.get(group, group)}", None, None, 0, 0, 0), capped - fixed))
    score = behaviour(lead, rules, at_s)
    clipped = min(max(total, 0), rules.cap << FRACTION_BITS)
    if clipped != total:
        exact.append((LedgerRow("cap", None, None, 0, 0, 0), clipped - total))
    return Explanation(score, at_s, _rounded(exact, score))


def sum_in_words(row: LedgerRow, rules: Rules) -> str:
    """What a row says that is no match of a rule: a sum of old points, or what a cap takes away; empty for a match."""
    kind, colon, group = row.rule.partition(":")
    if row.event_id is not None:
        return ""
    if kind == "before":
        return f"earlier points of the group {group}"
    if colon:
        cap = next((rules.caps[code] for code, known in rules.group_names.items() if known == group), 0)
        return f"the group {group} gives at most {cap // 1_000}"
    return "a score is never below 0" if row.decayed_millipoints > 0 else f"a score is at most {rules.cap // 1_000}"


def _rounded(exact: list[tuple[LedgerRow, int]], score: int) -> list[LedgerRow]:
    """Rows with milli-points whose running sums are the rounded running sums, so that the last one is the score.

    The score rounds a sum of sums, the rows a sum of single values; what lies between (below a milli-point) goes to
    the last row.
    """
    result, running, shown = [], 0, 0
    for place, (row, fixed) in enumerate(exact, 1):
        running += fixed
        upto = score if place == len(exact) else to_millipoints(running)
        result.append(row._replace(decayed_millipoints=upto - shown))
        shown = upto
    return result
