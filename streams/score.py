"""The behaviour score of a lead at any time, its strongest reasons, and when it will have fallen below a mark."""

from __future__ import annotations

from typing import NamedTuple

from streams.decay import FRACTION_BITS, decay, forward, to_millipoints, value
from streams.ledger import is_worth, rows
from streams.rules import DAY_S, Rule, Rules, group_of, half_life_of
from streams.state import Lead

_MAX_STEPS = 3
_RATE_BITS = 24


class Strength(NamedTuple):
    """What one rule contributes."""

    rule: Rule
    millipoints: int
    times: int
    """Its matches on record, those cut by a limit included."""


def behaviour(lead: Lead, rules: Rules, at: int) -> int:
    """The score in milli-points at a time (seconds) not before the lead's newest event."""
    return _score(lead, rules, at)[0]


def behaviour_and_ceiling(lead: Lead, rules: Rules, at: int) -> tuple[int, int]:
    """The score, and a value in milli-points that it will not exceed later, as long as no points are added."""
    score, negative = _score(lead, rules, at)
    return score, score + to_millipoints(negative) + 2  # two roundings


def _score(lead: Lead, rules: Rules, at: int) -> tuple[int, int]:
    """The score in milli-points, and the sum of the negative points in units of 2^-16, without their sign."""
    groups: dict[int, int] = {}
    negative = days = factor = shift = 0
    for channel, total in lead.sums.items():
        if channel & 511 != days:  # most channels of a lead share one half-life
            days = channel & 511
            factor, shift = decay(days * DAY_S, lead.line, at)
        points = total * factor >> shift
        if points < 0:
            negative -= points
        group = channel >> 9
        groups[group] = groups[group] + points if group in groups else points
    score, caps = 0, rules.caps
    for group, points in groups.items():
        cap = caps.get(group, 0) << FRACTION_BITS
        score += points if points < cap else cap
    millipoints = score + (1 << FRACTION_BITS - 1) >> FRACTION_BITS
    return (0 if millipoints < 0 else min(millipoints, rules.cap)), negative


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

    It may be too early: then the crossing is nearer, and asking again gives a better answer.  Few steps are taken at
    once, because most leads do something before the time comes.
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

    Each positive channel p·2^(-x/h) lies above its tangent, p - p·x·ln 2/h, and negative ones only shrink.  So in x
    seconds a group loses at most x times the sum of its p·ln 2/h (ln 2 < 0.6932), and a group above its cap loses
    nothing until that has taken off what is above it.
    """
    points_of: dict[int, int] = {}
    rate_of: dict[int, int] = {}
    for channel, total in lead.sums.items():
        group, half_life_s = group_of(channel), half_life_of(channel)
        points = value(total, half_life_s, lead.line, at)
        points_of[group] = points_of.get(group, 0) + points
        if points > 0:
            rate_of[group] = rate_of.get(group, 0) + (points * 6_932 << _RATE_BITS) // (10_000 * half_life_s) + 1
    score = rate = uncapped_rate = 0
    until_uncapped = 365 * DAY_S
    for group, points in points_of.items():
        cap = rules.caps.get(group, 0) << FRACTION_BITS
        group_rate = rate_of.get(group, 0)
        rate += group_rate
        if points > cap:
            until_uncapped = min(until_uncapped, (points - cap << _RATE_BITS) // group_rate)
        else:
            uncapped_rate += group_rate
        score += min(points, cap)
    if min(to_millipoints(score), rules.cap) < mark:
        return -1
    # Rounding makes half a milli-point of the mark; an eighth stays as a margin for the steps of the decay table.
    slack = max(score - (mark << FRACTION_BITS) + (3 << FRACTION_BITS - 3), 0) << _RATE_BITS
    return max(slack // max(rate, 1), min(until_uncapped, slack // max(uncapped_rate, 1)))
