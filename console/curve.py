"""A lead's score now, its reasons and its curve, from what the workers remember of it."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from streams import state
from streams.explain import Explanation, explain
from streams.ledger import is_worth, rebuild, rows
from streams.reasons import top_reasons
from streams.rewind import rewind
from streams.rules import Rules, group_of, half_life_of
from streams.score import behaviour
from streams.state import Lead, Moved

DAY_S = 86_400
BEFORE_S = 14 * DAY_S
AFTER_S = DAY_S
STEPS = 28
"""Points of a curve up to now; a few more lie between now and tomorrow."""
_STEPS_AFTER = 3


class Curve(NamedTuple):
    """Points of a score over the last fourteen days, and on to tomorrow if nothing happens."""

    past: list[float]
    """Oldest first; the last one is now."""
    ahead: list[float]
    """From now on, the first one is now."""


class Standing(NamedTuple):
    """Where a lead stands at a moment."""

    score: int
    """Milli-points."""
    level: int
    """1 (most) to 4."""
    hot: bool
    reasons: tuple[str, ...]
    curve: Curve
    lead: Lead


def read(memory: bytes | None) -> Lead | None:
    """The lead in what is remembered; None for a forwarding address, and for what this release cannot read."""
    found = opened(memory)
    return found if isinstance(found, Lead) else None


def opened(memory: bytes | None) -> state.State | None:
    """What is remembered; None if nothing is, or if this release cannot read it."""
    try:
        return state.decode(memory) if memory else None
    except msgspec.MsgspecError:
        return None


def moved_to(memory: bytes | None) -> str | None:
    """The lead that has what was under this key, if it has moved."""
    found = opened(memory)
    return found.to if isinstance(found, Moved) else None


def standing(lead: Lead, rules: Rules, now_s: int) -> Standing:
    """The lead now, under these rules whichever it was judged by last; its own time never runs backwards."""
    _under(lead, rules)
    at = max(now_s, lead.as_of, lead.last_seen)
    score = behaviour(lead, rules, at)
    reasons = tuple(reason.text for reason in top_reasons(lead, rules, at))
    return Standing(score, rules.level(score), lead.hot_since > 0, reasons, curve(lead, rules, at), lead)


def ledger(lead: Lead, rules: Rules, now_s: int) -> Explanation:
    """Every point of the score, as rows that add up."""
    _under(lead, rules)
    return explain(lead, rules, max(now_s, lead.as_of, lead.last_seen))


def _under(lead: Lead, rules: Rules) -> None:
    """Workers bring a lead under promoted rules when something happens to it; who looks, at once."""
    if lead.model != rules.number:
        rebuild(lead, rules)


def ledger_at(lead: Lead, rules: Rules, at_s: int) -> Explanation | None:
    """The same at another time, without what happened later; None for a time before the ledger begins."""
    then = rewind(lead, rules, at_s)
    return explain(then, rules, at_s) if then is not None else None


def curve(lead: Lead, rules: Rules, at_s: int) -> Curve:
    """For the eye: by floats, and in the light of what is known now (limits and clearing as they stand)."""
    points: list[tuple[int, int, float, int]] = []
    for event in rows(lead, rules):
        for row in event:
            if is_worth(row, lead):
                rule = row.rule
                points.append((row.at, rule.group, rule.millipoints / 1_000, rule.half_life_s))
    for channel, total in lead.base.items():
        points.append((lead.line, group_of(channel), total / 65_536_000, half_life_of(channel)))

    def score(at: int) -> float:
        groups: dict[int, float] = {}
        for since, group, worth, half_life in points:
            if since <= at:
                groups[group] = groups.get(group, 0.0) + worth * 2.0 ** ((since - at) / half_life)
        total = sum(min(worth, rules.caps.get(group, 0) / 1_000) for group, worth in groups.items())
        return min(max(total, 0.0), rules.cap / 1_000)

    past = [score(at_s - BEFORE_S * (STEPS - step) // STEPS) for step in range(STEPS + 1)]
    ahead = [score(at_s + AFTER_S * step // _STEPS_AFTER) for step in range(_STEPS_AFTER + 1)]
    return Curve(past, ahead)
