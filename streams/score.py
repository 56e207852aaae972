"""The behaviour score of a lead at any time, its strongest reasons, and when it will have fallen below a mark."""

from __future__ import annotations

from typing import NamedTuple

from streams.decay import FRACTION_BITS, forward, to_millipoints, value
from streams.ledger import is_worth, rows
from streams.rules import DAY_S, Rule, Rules, group_of, half_life_of
from streams.state import Lead

_MAX_STEPS = 256


class Strength(NamedTuple):
    """What one rule contributes."""

    rule: Rule
    millipoints: int
    times: int
    """Its matches on record, those cut by a limit included."""


def behaviour(lead: Lead, rules: Rules, at: int) -> int:
    """The score in milli-points at a time (seconds) not before the lead's newest event."""
    total = 0
    for group, points in _groups(lead, at).items():
        total += min(points, rules.caps.get(group, 0) << FRACTION_BITS)
    return min(max(to_millipoints(total), 0), rules.cap)


def _groups(lead: Lead, at: int) -> dict[int, int]:
    """group → decayed points before its cap, in units of 2^-16 milli-points."""
    groups: dict[int, int] = {}
    line = lead.line
    for channel, total in lead.sums.items():
        group = group_of(channel)
        groups[group] = groups.get(group, 0) + value(total, half_life_of(channel), line, at)
    return groups


def strengths(lead: Lead, rules: Rules, at: int) -> list[Strength]:
    """Rules by the sum of their decayed points at a time, strongest first, only those above zero (ties by code).

    Recent events only: what was folded into the base has no rule any more.
    """
    totals: dict[int, int] = {}
    times: dict[int, int] = {}
    for event in rows(lead, rules):
        for row in event:
            rule = row.rule
            times[rule.code] = times.get(rule.code, 0) + 1
            if is_worth(row, lead):
                totals[rule.code] = totals.get(rule.code, 0) + forward(
                    rule.millipoints, row.at, rule.half_life_s, lead.line
                )
    found = []
    for code, total in totals.items():
        rule = rules.by_code[code]
        found.append(Strength(rule, to_millipoints(value(total, rule.half_life_s, lead.line, at)), times[code]))
    return sorted((s for s in found if s.millipoints > 0), key=lambda s: (-s.millipoints, s.rule.code))


def earliest_below(lead: Lead, rules: Rules, mark: int, start: int) -> int:
    """A time after `start` (seconds) at which the score may first be below `mark` milli-points; never too late.

    Steps as far as decay cannot yet have reached the mark; the steps shrink towards the crossing.
    """
    at = start
    for _ in range(_MAX_STEPS):
        step = _safe_step(lead, rules, mark, at)
        if step < 0:
            break
        at += max(1, step)
    return max(at, start + 1)


def _safe_step(lead: Lead, rules: Rules, mark: int, at: int) -> int:
    """Seconds for which the score cannot fall below the mark; negative if it is below it.

    Positive points fall no faster than by the shortest half-life h, and negative ones only shrink.  So in x seconds
    the score loses at most (positive points) · (1 - 2^(-x/h)), which is at most (positive points) · x/h · ln 2, and
    ln 2 < 7/10.  A group without negative points loses no more than that share of its capped value.
    """
    positive: dict[int, int] = {}
    net: dict[int, int] = {}
    shortest = 365 * DAY_S
    for channel, total in lead.sums.items():
        group, half_life_s = group_of(channel), half_life_of(channel)
        points = value(total, half_life_s, lead.line, at)
        net[group] = net.get(group, 0) + points
        if points > 0:
            positive[group] = positive.get(group, 0) + points
            shortest = min(shortest, half_life_s)
    score = loss = 0
    for group, points in net.items():
        capped = min(points, rules.caps.get(group, 0) << FRACTION_BITS)
        score += capped
        loss += capped if points == positive.get(group, 0) else positive.get(group, 0)
    if to_millipoints(score) < mark:
        return -1
    return ((score - (mark << FRACTION_BITS)) * shortest * 10) // (7 * max(loss, 1)) if loss else 365 * DAY_S
