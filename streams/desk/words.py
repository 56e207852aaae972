"""What people are told: all texts of the desk's notices."""

from __future__ import annotations

from collections.abc import Sequence

from streams.desk.roster import Person
from streams.desk.state import Case
from streams.desk.zones import Zone

VISITOR = "visitor"
_ASKS = {
    "contact_request": "{who} asks to be contacted",
    "hot_lead": "{who} is hot",
    "qualified": "{who} qualified",
    "suspect": "{who} asks to be contacted; it may be spam",
}


def headline(case: Case) -> str:
    """Who wants what: `Jonas Vik of Brightwater Pharma asks to be contacted: “…”`."""
    words = _ASKS[case.follow_up_class].format(who=case.who)
    if case.preferred_channel:
        words += f", best by {case.preferred_channel}"
    return f"{words}: “{case.message}”" if case.message else words


def name(who: str, company: str, otherwise: str) -> str:
    """A person in words, from what is known."""
    if company:
        return f"{who or 'Somebody'} of {company}"
    return who or otherwise


def by(due: int | None, zone: Zone) -> str:
    """A deadline as the end of a sentence."""
    return "." if due is None else f"; by {zone.clock(due)}."


def promise(owner: Person | None, due: int | None, slot: int | None, zone: Zone) -> str:
    """What the visitor is told: who will call, by when."""
    if owner is not None and due is not None:
        return f"{owner.name} will contact you by {zone.clock(due)} ({zone.city} time)."
    if slot is not None:
        return f"Thank you. We will contact you from {zone.clock(slot)} ({zone.city} time) on."
    return "Thank you. We have your request and will contact you."


def digest(cases: Sequence[Case], count: int) -> str:
    """Several leads in one text: the first of them, and how many more."""
    named = "; ".join(headline(case) for case in cases)
    more = f"; and {count - len(cases)} more" if count > len(cases) else ""
    return f"{count} {'leads' if count > 1 else 'lead'} for you: {named}{more}."


def because(reason: str) -> str:
    """A reason as the end of a sentence."""
    return f": {reason.replace('_', ' ')}" if reason else ""


def missing_reason(kind: str, reasons: Sequence[str]) -> str:
    """Why an activity without a known reason changes nothing."""
    return f"{kind} needs a reason, one of: {', '.join(reasons)}"


def refused(kind: str, case: Case) -> str:
    """Why an activity changes nothing."""
    return f"{kind} changes nothing: the request of {case.who} is {case.status}"
