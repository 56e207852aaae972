"""Raised hands of the demo: who asked for what, who has it until when and why, and how long that took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from handraise.demo.story import Act, is_hand
from handraise.subscriber import Seen
from schemas.records import Assignment, RaisedHand
from streams.identity import event_id

TOPICS = ("desk.events", "lead.assignments")
OVER = frozenset({"contacted", "won", "lost", "spam", "expired"})


@dataclass
class Request:
    """One raised hand, as far as it is known."""

    hand: RaisedHand
    score: int
    """Milli-points of the lead when it asked."""
    said: list[Assignment] = field(default_factory=list)
    took_ms: float | None = None
    """From the request's being posted to its owner's being read; None for what was not posted from here."""

    @property
    def last(self) -> Assignment | None:
        """What holds now."""
        return self.said[-1] if self.said else None

    @property
    def is_open(self) -> bool:
        """Whether somebody is to do something."""
        return self.last is None or self.last.status not in OVER

    @property
    def who(self) -> str:
        """Whoever asks, in words."""
        name = self.hand.name or self.hand.email or self.hand.phone or "A visitor"
        return f"{name}, {self.hand.company}" if self.hand.company else name


class Requests:
    """Fed by the sender with what is posted, and by a subscriber with what comes of it."""

    def __init__(self, source: str, people: Mapping[str, str], worth: Callable[[Sequence[str]], int]) -> None:
        """`people`: names by id.  `worth`: the milli-points that leads have now."""
        self._source, self._people, self._worth = source, people, worth
        self._posted: dict[str, float] = {}
        self._asked: dict[str, Request] = {}
        self._early: dict[str, list[Assignment]] = {}
        self._owners: dict[str, str] = {}
        self.screen_ms: list[float] = []
        """From each request's being posted to its being shown, owner included, in a browser's stream."""
        self._shown: set[str] = set()
        self.assigned = 0
        """Requests that somebody or a queue has had, leads that qualified or got hot included."""
        self._seen: set[str] = set()

    def posting(self, acts: Sequence[Act]) -> None:
        """These are on their way."""
        now = time.monotonic()
        for act in acts:
            if is_hand(act.call):
                self._posted.setdefault(event_id(self._source, act.message_id).hex(), now)

    def seen(self, records: Iterable[Seen]) -> list[Request]:
        """Enter what has come; the requests of which something new was said."""
        changed = []
        for record in records:
            match record.value:
                case RaisedHand(request_id=id) as hand if id not in self._asked:
                    score = hand.score_millipoints
                    request = Request(hand, self._worth(hand.identifiers) if score is None else score)
                    self._asked[id] = request
                    changed += [self._enter(request, each) for each in self._early.pop(id, ())]
                case Assignment(request_id=id, lead_id=lead) as assignment:
                    if id not in self._seen:
                        self._seen.add(id)
                        self.assigned += 1
                    self._owners[lead] = self.holder(assignment)
                    if id in self._asked:
                        changed.append(self._enter(self._asked[id], assignment))
                    elif assignment.follow_up_class in ("contact_request", "suspect"):
                        self._early.setdefault(id, []).append(assignment)
        return changed

    def shown(self, request_id: str) -> None:
        """A browser has been told who has it."""
        posted = self._posted.get(request_id)
        if posted is not None and request_id not in self._shown:
            self._shown.add(request_id)
            self.screen_ms.append(1_000 * (time.monotonic() - posted))

    def _enter(self, request: Request, assignment: Assignment) -> Request:
        posted = self._posted.get(assignment.request_id)
        if posted is not None and not request.said:
            request.took_ms = 1_000 * (time.monotonic() - posted)
        request.said.append(assignment)
        return request

    def holder(self, assignment: Assignment) -> str:
        """Who has it, in words."""
        if assignment.owner is None:
            return f"queue {assignment.queue}"
        return self._people.get(assignment.owner, assignment.owner)

    def owner_of(self, lead_id: str) -> str:
        """Who follows a lead up, in words; empty if nobody."""
        return self._owners.get(lead_id, "")

    @property
    def open(self) -> list[Request]:
        """Hands that wait for somebody, the newest first."""
        return [each for each in reversed(self._asked.values()) if each.is_open]

    @property
    def took_ms(self) -> list[float]:
        """How long each took to get its owner."""
        return [each.took_ms for each in self._asked.values() if each.took_ms is not None]

    @property
    def settled(self) -> bool:
        """Whether each hand that was posted has an owner or a queue."""
        return all(id in self._asked and self._asked[id].said for id in self._posted)
