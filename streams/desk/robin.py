"""Smooth weighted round robin (as nginx has it): in proportion to weights, evenly spread, without chance."""

from __future__ import annotations

from collections.abc import Sequence

from streams.desk.roster import Person


def pick(credits: dict[str, int], candidates: Sequence[Person], weighted: bool) -> tuple[Person, int]:
    """The next of the candidates (at least one, in the roster's order), and what it costs them; changes `credits`.

    Each candidate gains their weight; who has most pays the sum of the weights.  Who is not among the candidates keeps
    their credit.  Ties go to the first.
    """
    best, most, total = candidates[0], None, 0
    for person in candidates:
        weight = person.weight if weighted else 1
        total += weight
        credit = credits[person.id] = credits.get(person.id, 0) + weight
        if most is None or credit > most:
            best, most = person, credit
    credits[best.id] -= total
    return best, total


def give_back(credits: dict[str, int], person: str, paid: int) -> None:
    """Return what a person has paid; then all move together, so that their sum is near 0 and no newcomer starves."""
    credits[person] = credits.get(person, 0) + paid
    excess = sum(credits.values()) // len(credits)
    for each in credits:
        credits[each] -= excess
