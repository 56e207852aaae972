"""The read side in memory, for tests of the console; held to the one in Redis by a contract suite."""

from __future__ import annotations

from collections.abc import Iterable

from console.history import Asked, Away, KnownLead
from schemas.codec import decode
from schemas.readside import tokens
from schemas.records import (
    Activity,
    Assignment,
    LeadAlert,
    LeadDuplicate,
    LeadState,
    LeadTransition,
    Notice,
    Presence,
    RaisedHand,
    Record,
    Waited,
    Waiting,
)
from streams.desk.lifecycle import FINAL
from streams.state import Lead, Moved
from streams.state import decode as decode_state

NO_DUE = 1 << 53
TOUCHED = {"accepted", "attempted", "contacted", "won", "lost"}


class MemoryHistory:
    """Everything that was told, looked through anew for each question."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.memories: dict[str, bytes] = {}
        self.away = ""
        """Why it cannot answer; empty if it can."""

    def tell(self, *records: Record) -> None:
        """Take in what stands on the topics."""
        self.records += records

    def remember(self, lead_id: str, value: bytes) -> None:
        """What the workers remember of a lead."""
        self.memories[lead_id] = value

    async def open_requests(self, kind: str, whose: str, most: int) -> list[Asked]:
        """See `History`."""
        found = [each for each in self._requests() if self._is_open(each, kind, whose)]
        return sorted(found, key=lambda each: (self._due(each), each.id))[:most]

    async def loads(self, people: list[str]) -> dict[str, tuple[int, int]]:
        """See `History`."""
        found = {}
        for each in people:
            hands, leads = [await self.open_requests(kind, f"rep:{each}", 1 << 30) for kind in ("hands", "leads")]
            found[each] = len(hands), len(leads)
        return found

    async def pending(self, most: int) -> list[Asked]:
        """See `History`."""
        hands = sorted((each for each in self._requests() if each.hand), key=lambda each: each.hand.received_at)  # type: ignore[union-attr]
        return [each for each in hands[-most:] if each.assignment is None]

    async def request(self, request_id: str) -> Asked | None:
        """See `History`."""
        return next((each for each in self._requests() if each.id == request_id), None)

    async def last_served(self) -> Asked | None:
        """See `History`."""
        closed = [each for each in self._requests() if each.assignment and each.assignment.status in FINAL]
        served = [each for each in closed if each.hand and each.touched]
        return max(served, key=lambda each: each.assignment.decided_at, default=None)  # type: ignore[union-attr]

    async def standing(self, lead_id: str) -> str | None:
        """See `History`."""
        self._answer()
        while isinstance(moved := self._state(lead_id), Moved):
            lead_id = moved.to
        return lead_id or None

    async def leads(self, lead_ids: list[str]) -> dict[str, KnownLead]:
        """See `History`."""
        self._answer()
        found = {}
        for id in lead_ids:
            state = self._last(LeadState, lambda each, id=id: each.lead_id == id)
            alert = self._last(LeadAlert, lambda each, id=id: each.lead_id == id)
            owned = [each for each in self.records if isinstance(each, Assignment) and each.owner]
            owner = next((each.owner for each in reversed(owned) if id in self._ids_of(each.request_id)), None)
            if state or alert or owner or id in self.memories:
                found[id] = KnownLead(id, state, alert, self.memories.get(id), owner)
        return found

    async def hot(self, most: int) -> list[str]:
        """See `History`."""
        self._answer()
        last = {each.lead_id: each for each in self.records if isinstance(each, LeadState)}
        hot = sorted((each for each in last.values() if each.hot), key=lambda each: -(each.hot_since or 0))
        return [each.lead_id for each in hot][:most]

    async def requests_of(self, lead_ids: list[str]) -> list[Asked]:
        """See `History`."""
        wanted = set(lead_ids)
        found = [each for each in self._requests() if wanted & set(self._ids_of(each.id))]
        return sorted(found, key=lambda each: -self._asked_at(each))

    async def timeline(self, lead_ids: list[str], request_ids: list[str], most: int) -> list[Record]:
        """See `History`."""
        self._answer()
        found = []
        for each in self.records:
            match each:
                case LeadTransition(lead_id=id, at=at) | LeadAlert(lead_id=id, at=at) if id in lead_ids:
                    found.append((at, each))
                case Activity(request_id=None, lead_id=id, at=at) if id in lead_ids:
                    found.append((at, each))
                case Assignment(request_id=id, decided_at=at) if id in request_ids:
                    found.append((at, each))
                case Activity(request_id=id, at=at) | Notice(request_id=id, at=at) if id in request_ids:
                    found.append((at, each))
        return [each for _, each in sorted(found, key=lambda row: -row[0])][:most]

    async def duplicates(self, lead_id: str) -> list[LeadDuplicate]:
        """See `History`."""
        self._answer()
        last = {
            (each.evidence_id, each.lead_id, each.other_id): each
            for each in self.records
            if isinstance(each, LeadDuplicate) and lead_id in (each.lead_id, each.other_id)
        }
        return list(last.values())

    async def search(self, text: str, most: int) -> list[str]:
        """See `History`."""
        self._answer()
        texts: dict[str, list[str]] = {}
        for each in self.records:
            if isinstance(each, RaisedHand):
                texts.setdefault(each.lead_id, []).extend([each.name, each.company, each.email or ""])
        for id, memory in self.memories.items():
            state = decode_state(memory)
            if isinstance(state, Lead):
                texts.setdefault(id, []).extend(known.value for known in state.known)
        words = tokens(text)

        def fits(said: Iterable[str]) -> bool:
            known = [token for each in said for token in tokens(each)]
            return bool(words) and all(any(token.startswith(word) for token in known) for word in words)

        return sorted(id for id, said in texts.items() if fits(said))[:most]

    async def alerts(self, most: int) -> list[LeadAlert]:
        """See `History`."""
        self._answer()
        found = [each for each in self.records if isinstance(each, LeadAlert)]
        return sorted(found, key=lambda each: -each.at)[:most]

    async def presence(self) -> dict[str, Presence]:
        """See `History`."""
        self._answer()
        return {each.rep: each for each in self.records if isinstance(each, Presence)}

    async def behind(self, now: int) -> str:
        """See `History`."""
        return self.away

    async def close(self) -> None:
        """See `History`."""

    def _answer(self) -> None:
        if self.away:
            raise Away(self.away)

    def _requests(self) -> list[Asked]:
        self._answer()
        found: dict[str, Asked] = {}

        def change(id: str, **fields: object) -> None:
            found[id] = found.get(id, Asked(id, None, None, None, None))._replace(**fields)  # type: ignore[arg-type]

        for each in self.records:
            match each:
                case RaisedHand():
                    change(each.request_id, hand=each)
                case Assignment(request_id=id, status=status):
                    change(id, assignment=each)
                    if status in TOUCHED and found[id].touched is None:
                        change(id, touched=each.decided_at)
                case Waited():
                    waiting = decode(each.waiting)
                    assert isinstance(waiting, Waiting)
                    change(f"w{each.partition}-{each.offset}", waiting=waiting)
        return list(found.values())

    def _is_open(self, asked: Asked, kind: str, whose: str) -> bool:
        assignment = asked.assignment
        if assignment is None or assignment.status in FINAL:
            return False
        is_hand = assignment.follow_up_class in ("contact_request", "suspect")
        names = {"all", f"rep:{assignment.owner}", f"queue:{assignment.queue}"}
        return is_hand == (kind == "hands") and whose in names

    def _due(self, asked: Asked) -> int:
        return asked.assignment.due_at or NO_DUE if asked.assignment else NO_DUE

    def _asked_at(self, asked: Asked) -> int:
        if asked.hand is not None:
            return asked.hand.requested_at
        return asked.assignment.requested_at if asked.assignment else asked.waiting.at if asked.waiting else 0

    def _ids_of(self, request_id: str) -> list[str]:
        ids = []
        for each in self.records:
            match each:
                case RaisedHand(request_id=id) if id == request_id:
                    ids += [each.lead_id, *each.identifiers]
                case Assignment(request_id=id, lead_id=lead) if id == request_id:
                    ids.append(lead)
                case Waited(partition=partition, offset=offset) if f"w{partition}-{offset}" == request_id:
                    waiting = decode(each.waiting)
                    ids += [waiting.lead_id] if isinstance(waiting, Waiting) else []
        return ids

    def _state(self, lead_id: str) -> Lead | Moved | object:
        memory = self.memories.get(lead_id)
        return decode_state(memory) if memory else None

    def _last(self, cls: type, fits: object) -> object:
        return next((each for each in reversed(self.records) if isinstance(each, cls) and fits(each)), None)  # type: ignore[operator]
