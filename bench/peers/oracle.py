"""What the simple job must come to, by another formula than the contenders': each score is a sum over all events.

A contender carries one number and decays it; here the score at an event is added up anew from everything the lead has
done so far.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from bench.peers.job import COOL_AT, HALF_LIFE_MS, HOT_AT, POINTS

TOLERANCE = 1e-9
"""How far a score may be off, of its size: sums of doubles in another order differ by some 1e-15."""


class Truth(NamedTuple):
    """What is right for one stream of events."""

    scores: dict[bytes, float]
    """The final score of each lead, at its latest event."""
    alerts: dict[bytes, int]
    """How many alerts each lead must have caused; those without are left out."""


def truth(events: Iterable[tuple[bytes, str, int]]) -> Truth:
    """From (lead, kind, time in ms), in the order of each lead."""
    done: dict[bytes, list[tuple[float, int]]] = {}
    hot: set[bytes] = set()
    found = Truth({}, {})
    for lead, kind, at in events:
        mine = done.setdefault(lead, [])
        mine.append((POINTS.get(kind, 0.0), at))
        now = max(time for _, time in mine)
        score = math.fsum(points * 2.0 ** ((time - now) / HALF_LIFE_MS) for points, time in mine)
        found.scores[lead] = score
        if lead in hot:
            if score < COOL_AT:
                hot.discard(lead)
        elif score >= HOT_AT:
            hot.add(lead)
            found.alerts[lead] = found.alerts.get(lead, 0) + 1
    return found


def differences(expected: Truth, scores: dict[bytes, float], alerts: dict[bytes, int]) -> list[str]:
    """What a contender's result has wrong, a phrase for each kind; empty when it is right."""
    wrong = []
    if missing := expected.scores.keys() - scores.keys():
        wrong.append(f"{len(missing)} leads without a state")
    if strange := scores.keys() - expected.scores.keys():
        wrong.append(f"{len(strange)} states of nobody")
    off = [
        lead
        for lead in expected.scores.keys() & scores.keys()
        if not math.isclose(expected.scores[lead], scores[lead], rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    ]
    if off:
        wrong.append(f"{len(off)} final scores off")
    lost = sum(max(0, count - alerts.get(lead, 0)) for lead, count in expected.alerts.items())
    excess = sum(max(0, count - expected.alerts.get(lead, 0)) for lead, count in alerts.items())
    if lost:
        wrong.append(f"{lost} alerts missing")
    if excess:
        wrong.append(f"{excess} alerts too many")
    return wrong
