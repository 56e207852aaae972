"""What the topics have said since the console began: laid over the history, which is behind by a moment or more."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

from console.history import Asked
from console.hub import Happening
from schemas.codec import Undecodable, decode
from schemas.records import Assignment, LeadAlert, Presence, RaisedHand, Waited, Waiting
from streams.desk.lifecycle import OPEN

MOST = 20_000
"""Requests, alerts and mail that are remembered: the newest."""
TOUCHED = frozenset({"accepted", "attempted", "contacted", "won", "lost"})
"""Statuses that somebody's doing has brought about."""
_T = TypeVar("_T")


class Request(NamedTuple):
    """A request as it stands."""

    id: str
    hand: RaisedHand | None
    waiting: Waiting | None
    assignment: Assignment | None
    touched: int | None
    """When somebody first took, tried or reached it (ms)."""
    took_ms: int | None = None
    """From the gateway to the console, owner included; None if the console was not there."""
    taken_back: bool = False
    """Somebody was named, and that was withdrawn: the desk decides anew."""


class Live:
    """The newest records of each request, lead and person."""

    def __init__(self) -> None:
        self.hands: dict[str, RaisedHand] = {}
        self.waiting: dict[str, Waiting] = {}
        self.alerts: dict[str, LeadAlert] = {}
        self.presence: dict[str, Presence] = {}
        self.heard = 0
        """When the desk's last tick was heard (ms)."""
        self._assignments: dict[str, tuple[Assignment, ...]] = {}
        self._touched: dict[str, int] = {}
        self._took_ms: dict[str, int] = {}
        self._taken_back: set[str] = set()

    def apply(self, happening: Happening) -> None:
        """Take in what happened, or was withdrawn."""
        match happening.record:
            case RaisedHand() as hand:
                _put(self.hands, hand.request_id, hand)
            case Waited() as mail:
                self._wait(mail)
            case LeadAlert() as alert:
                if not happening.withdrawn:
                    _put(self.alerts, alert.lead_id, alert)
            case Presence() as presence:
                self.presence[presence.rep] = presence
            case Assignment() as assignment:
                self._assign(assignment, happening)

    def request(self, id: str) -> Request | None:
        """What is known of a request here; None if that is nothing."""
        hand, waiting, assignments = self.hands.get(id), self.waiting.get(id), self._assignments.get(id, ())
        if not (hand or waiting or assignments):
            return None
        assignment = assignments[-1] if assignments else None
        took_ms, taken_back = self._took_ms.get(id), id in self._taken_back
        return Request(id, hand, waiting, assignment, self._touched.get(id), took_ms, taken_back)

    def over(self, asked: Asked) -> Request:
        """What the history knows of a request, with what is newer here."""
        live = self.request(asked.id)
        if live is None:
            return Request(*asked)
        newest = max((live.assignment, asked.assignment), key=lambda each: each.source_offset if each else -1)
        return live._replace(
            hand=live.hand or asked.hand,
            waiting=live.waiting or asked.waiting,
            assignment=newest,
            touched=asked.touched or live.touched,
        )

    def before(self, id: str) -> Assignment | None:
        """The last but one word on a request; None if that was not heard here."""
        assignments = self._assignments.get(id, ())
        return assignments[-2] if len(assignments) > 1 else None

    def urgent(self) -> list[Request]:
        """Hands and hot leads that are open; not whoever has qualified: they may be many, and are in the history."""
        ids = [id for id in self.hands if id not in self._assignments]
        for id, (*_, last) in self._assignments.items():
            if last.status in OPEN and last.follow_up_class != "qualified":
                ids.append(id)
        return [found for id in ids if (found := self.request(id)) is not None]

    def _assign(self, assignment: Assignment, happening: Happening) -> None:
        id = assignment.request_id
        known = tuple(each for each in self._assignments.get(id, ()) if each != assignment)
        if happening.withdrawn:
            if known:
                self._assignments[id] = known
            else:
                self._assignments.pop(id, None)
            self._took_ms.pop(id, None)
            self._taken_back.add(id)
            return
        self._taken_back.discard(id)
        # Two are enough: what is withdrawn was said last, and what it replaced stands again.
        _put(self._assignments, id, (*known, assignment)[-2:])
        if assignment.status in TOUCHED and id not in self._touched:
            _put(self._touched, id, assignment.decided_at)
        hand = self.hands.get(id)
        if hand is not None and not known:
            _put(self._took_ms, id, max(happening.at - hand.received_at, 0))

    def _wait(self, mail: Waited) -> None:
        try:
            waiting = decode(mail.waiting)
        except Undecodable:
            return  # the desk rejects it
        if isinstance(waiting, Waiting):
            _put(self.waiting, f"w{mail.partition}-{mail.offset}", waiting)


def _put(into: dict[str, _T], key: str, value: _T) -> None:
    into.pop(key, None)
    into[key] = value
    if len(into) > MOST:
        del into[next(iter(into))]
