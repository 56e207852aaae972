"""Requests as rows: everything a template shows, in words, for one reader at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote

from console import words
from console.curve import Standing
from console.live import Request
from schemas.records import LeadAlert
from streams.desk.lifecycle import FINAL, OPEN, POSSIBLE
from streams.desk.roster import Person
from streams.desk.rules import DeskRules
from streams.desk.zones import Zone

HAND, SUSPECT, HOT, QUALIFIED = "contact_request", "suspect", "hot_lead", "qualified"
_PRIMARY = {"accepted": "contacted", "attempted": "contacted"}


class Reader(NamedTuple):
    """Who looks at a page."""

    person: Person
    is_manager: bool

    @property
    def id(self) -> str:
        """The person's id in the roster."""
        return self.person.id

    @property
    def zone(self) -> Zone:
        """Whose clock times are shown in."""
        return self.person.hours.zone


@dataclass(frozen=True, slots=True)
class Row:
    """A request, in words."""

    id: str
    lead_id: str
    kind: str
    """The class by which it is followed up."""
    version: str
    """Another one for each decision of the desk, and when one was taken back."""
    who: str
    company: str
    message: str
    contact: tuple[tuple[str, str], ...]
    """(link, text) of ways to reach them; a link may be empty."""
    wishes: str
    asked: str
    asked_at: int
    owner: str
    """Who has it, in words; `owner pending` while nobody does."""
    status: str
    pending: bool
    mine: bool
    owned: bool
    """Whether a person has it, be it the reader or somebody else."""
    calm: bool
    """Whether somebody has said that they are at it."""
    is_open: bool
    late: bool
    reasons: str
    trace: tuple[str, ...]
    due: int
    """When the next thing has to have happened (ms); 0: nothing is due."""
    since: int
    """From when the countdown's bar runs (ms)."""
    left: str
    slot: str
    took: str
    primary: str
    """The activity of the button that stands out; empty if there is none."""
    others: tuple[str, ...]
    score: int | None
    """Points; None if not known."""
    standing: Standing | None

    @property
    def way(self) -> str:
        """The way to the last decision."""
        return " · ".join(self.trace[1:] or self.trace)

    @property
    def is_hand(self) -> bool:
        """Whether somebody has raised a hand."""
        return self.kind in (HAND, SUSPECT)


def is_open(request: Request) -> bool:
    """Whether something is still to be done."""
    return request.assignment is None or request.assignment.status in OPEN


def is_part_of_a_hand(request: Request) -> bool:
    """Whether a lead that was followed up has raised a hand since: then the hand's row stands for both."""
    return request.id.startswith("w") and kind_of(request) in (HAND, SUSPECT)


def kind_of(request: Request) -> str:
    """The class by which it is followed up, as far as is known."""
    if request.assignment is not None:
        return request.assignment.follow_up_class
    if request.hand is not None:
        return HAND if request.hand.verdict == "human" else SUSPECT
    return HOT


def concerns(request: Request, reader: Reader) -> bool:
    """Whether a request stands on the reader's page: theirs, or a raised hand that nobody has and they could take."""
    assignment = request.assignment
    if not is_open(request) or is_part_of_a_hand(request):
        return False
    if assignment is None:
        return request.hand is not None
    if assignment.owner is not None:
        return assignment.owner == reader.id
    if assignment.follow_up_class == HAND:
        return True
    return assignment.responsible == reader.id and assignment.follow_up_class in (SUSPECT, HOT)


def order(row: Row) -> tuple[int, int, str]:
    """What is due first comes first, what is not due last."""
    return (row.due or 1 << 62, row.asked_at, row.id)


def order_of_desk(row: Row) -> tuple[bool, int, int, str]:
    """What nobody has comes first."""
    return (row.owned, *order(row))


def row(
    request: Request,
    reader: Reader,
    rules: DeskRules,
    now: int,
    *,
    standing: Standing | None = None,
    alert: LeadAlert | None = None,
) -> Row:
    """The row of a request; `standing` and `alert` are of its lead, as far as they are known."""
    hand, waiting, assignment = request.hand, request.waiting, request.assignment
    asked_at = hand.requested_at if hand else assignment.requested_at if assignment else waiting.at if waiting else 0
    lead_id = hand.lead_id if hand else assignment.lead_id if assignment else waiting.lead_id if waiting else ""
    email = hand.email if hand else waiting.email if waiting else alert.email if alert else None
    who = (hand.name if hand else "") or email or (hand.phone if hand else "") or (alert.user_id if alert else "")
    owner = _name(rules, assignment.owner) if assignment and assignment.owner else ""
    mine = bool(assignment and assignment.owner == reader.id)
    due = assignment.due_at or 0 if assignment else 0
    status = assignment.status if assignment else "pending"
    activities = _possible(request, reader, mine)
    if status in FINAL:
        activities = ("", *activities)
    score = standing.score if standing else waiting.score_millipoints if waiting else None
    if score is None and hand is not None:
        score = hand.score_millipoints
    return Row(
        id=request.id,
        lead_id=lead_id,
        kind=kind_of(request),
        version=f"{assignment.source_offset if assignment else -1}{'-' if request.taken_back else ''}",
        who=who or words.SOMEBODY,
        company=hand.company if hand else "",
        message=hand.message if hand else "",
        contact=_contact(email, hand.phone if hand else None),
        wishes=_wishes(request, alert, reader, now),
        asked=words.ago(now - asked_at),
        asked_at=asked_at,
        owner="you" if mine else owner or _queue(request, rules),
        status=_status(request, reader, rules, now),
        pending=assignment is None,
        mine=mine,
        owned=bool(owner),
        calm=status in ("accepted", "attempted"),
        is_open=is_open(request),
        late=bool(due) and due < now and status != "queued",
        reasons=_reasons(request, standing, alert),
        trace=assignment.trace if assignment else (),
        due=due if status != "queued" else 0,
        since=assignment.decided_at if assignment else asked_at,
        left=words.left(due - now) if due and status != "queued" else "",
        slot=words.clock(assignment.next_slot_at, now, reader.zone) if assignment and assignment.next_slot_at else "",
        took=f"{request.took_ms:,} ms" if request.took_ms is not None else "",
        primary=activities[0] if activities else "",
        others=activities[1:],
        score=None if score is None else round(score / 1_000),
        standing=standing,
    )


def has_it(request: Request, rules: DeskRules, reader: Reader, now: int) -> str:
    """Who has a request, since when: `Ana has it since 10:41`."""
    assignment = request.assignment
    if assignment is None:
        return "nobody has it yet"
    if is_part_of_a_hand(request) and is_open(request):
        return "has raised a hand"
    at = words.clock(assignment.decided_at, now, reader.zone)
    status = words.STATUS.get(assignment.status, assignment.status)
    if assignment.status in FINAL:
        who = f" by {_first(_name(rules, assignment.owner))}" if assignment.owner else ""
        return f"{status}{who} at {at}"
    if assignment.owner is None:
        return f"it waits in the queue {assignment.queue}"
    who = "you have" if assignment.owner == reader.id else f"{_first(_name(rules, assignment.owner))} has"
    return f"{who} it since {at}"


def _possible(request: Request, reader: Reader, mine: bool) -> tuple[str, ...]:
    """Activities that the desk would carry out for the reader, the likeliest first."""
    if request.assignment is None:
        return ("accept",)
    status = request.assignment.status
    possible = [kind for kind in words.KINDS if status in POSSIBLE[kind]]
    if kind_of(request) != SUSPECT:
        possible = [kind for kind in possible if kind != "release"]
    elif "release" in possible:
        possible = ["release", "spam"]
    first = _PRIMARY.get(status, "accept") if mine or status not in _PRIMARY else "accept"
    if mine and status in _PRIMARY:
        possible = [kind for kind in possible if kind not in ("accept", "no_show")]
    elif not mine:
        possible = [kind for kind in possible if kind in ("accept", "release", "spam", "reopen")]
    return tuple(sorted(possible, key=lambda kind: kind != first))


def _status(request: Request, reader: Reader, rules: DeskRules, now: int) -> str:
    assignment = request.assignment
    if assignment is None:
        return "the desk decides anew" if request.taken_back else "owner pending"
    if assignment.status == "queued":
        who = f", {_first(_name(rules, assignment.responsible))} watches it" if assignment.responsible else ""
        return f"waits{who}"
    if assignment.status == "attempted":
        return f"no answer, try {assignment.attempt}"
    if assignment.status == "accepted":
        return f"taken {words.clock(assignment.decided_at, now, reader.zone)}"
    return words.STATUS.get(assignment.status, assignment.status)


def _reasons(request: Request, standing: Standing | None, alert: LeadAlert | None) -> str:
    """Why: for a hand the way to its owner, for a lead what it did."""
    if request.hand is not None:
        trace = request.assignment.trace if request.assignment else ()
        return " · ".join(trace[1:] or trace)
    if alert is not None and standing is not None and not standing.hot and alert.at >= standing.lead.as_of * 1_000:
        return " · ".join(reason.text for reason in alert.reasons)  # the history has not heard of it yet
    if standing is not None and standing.reasons:
        return " · ".join(standing.reasons)
    if request.waiting is not None:
        return " · ".join(request.waiting.reasons)
    return " · ".join(reason.text for reason in alert.reasons) if alert else ""


def _wishes(request: Request, alert: LeadAlert | None, reader: Reader, now: int) -> str:
    """How to follow up: what whoever asked wishes, or the policy for a hot lead."""
    hand = request.hand
    if hand is None:
        follow_up = alert.follow_up if alert and kind_of(request) == HOT else ""
        return words.FOLLOW_UP.get(follow_up, follow_up)
    said = [words.TOPICS.get(hand.topic, hand.topic)]
    if hand.preferred_channel:
        said.append(f"best by {words.CHANNELS.get(hand.preferred_channel, hand.preferred_channel)}")
    if hand.call_after and hand.call_after > now:
        said.append(f"not before {words.clock(hand.call_after, now, reader.zone)}")
    if hand.country:
        said.append(hand.country)
    return " · ".join(word for word in said if word)


def _contact(email: str | None, phone: str | None) -> tuple[tuple[str, str], ...]:
    found = []
    if phone:
        digits = "".join(each for each in phone if each.isdigit() or each == "+")
        found.append((f"tel:{digits}" if digits else "", phone))
    if email:
        found.append((f"mailto:{quote(email, safe='@+.-_')}", email))
    return tuple(found)


def _queue(request: Request, rules: DeskRules) -> str:
    if request.assignment is None:
        return "owner pending"
    return f"queue {request.assignment.queue}" if request.assignment.queue else "nobody"


def _name(rules: DeskRules, id: str | None) -> str:
    person = rules.roster.people.get(id or "")
    return person.name if person else id or ""


def _first(name: str) -> str:
    return name.split(" ")[0]
