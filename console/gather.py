"""What a page shows, gathered from the history and what is newer: works with either of them away."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import lru_cache
from typing import NamedTuple, TypeVar

from console import views, words
from console.curve import Standing, moved_to, read, standing
from console.history import Asked, Away, History, KnownLead
from console.live import Live, Request
from console.views import Reader, Row
from streams.desk.rules import DeskRules
from streams.rules import Rules

MOST_ROWS = 100
_PENDING = 200
_FRESH_MS = 30_000
"""In lists a score is of the last half minute: in so short a time none loses a tenth of a point."""
_MOST_STANDINGS = 4_096
_T = TypeVar("_T")


class Queue(NamedTuple):
    """A reader's own page: what they are to do next."""

    hands: list[Row]
    leads: list[Row]
    qualified: list[Row]
    served: str
    """When the last hand was answered and how fast, in words; empty if none was."""


class Waiting(NamedTuple):
    """A queue of the desk."""

    name: str
    responsible: str
    waiting: int
    next_slot: str


class Colleague(NamedTuple):
    """A person, as managers see them."""

    id: str
    name: str
    presence: str
    shift: str
    on_shift: bool
    hands: int
    leads: int
    capacity: int


class Board(NamedTuple):
    """The desk: is anybody waiting?"""

    answer: str
    anybody: bool
    queues: list[Waiting]
    rows: list[Row]
    people: list[Colleague]


class Gather:
    """Gathers."""

    def __init__(self, history: History, live: Live, rules: Rules, desk_rules: DeskRules) -> None:
        self.history, self.live, self.rules, self.desk_rules = history, live, rules, desk_rules
        self._standing = lru_cache(_MOST_STANDINGS)(self._stand)

    def obey(self, rules: Rules, desk_rules: DeskRules) -> None:
        """Show what these rules say from here on."""
        self.rules, self.desk_rules = rules, desk_rules
        self._standing.cache_clear()

    async def queue(self, reader: Reader, now: int) -> Queue:
        """A reader's own requests and those that nobody has."""
        asked: list[Asked] = []
        for kind, whose in self._lists(reader):
            asked += await self._or(self.history.open_requests(kind, whose, MOST_ROWS), [])
        asked += await self._or(self.history.pending(_PENDING), [])
        found = [await self._whole(each) for each in self._newest(asked) if views.concerns(each, reader)]
        rows = await self.rows(found, reader, now)
        by_kind: dict[str, list[Row]] = {}
        for row in rows:
            by_kind.setdefault("hand" if row.is_hand else row.kind, []).append(row)
        served = await self._served(now)
        return Queue(by_kind.get("hand", []), by_kind.get(views.HOT, []), by_kind.get(views.QUALIFIED, []), served)

    async def board(self, reader: Reader, now: int) -> Board:
        """The whole desk."""
        asked = await self._or(self.history.open_requests("hands", "all", MOST_ROWS), [])
        asked += await self._or(self.history.pending(_PENDING), [])
        found = [await self._whole(each) for each in self._newest(asked) if views.is_open(each)]
        hands = [each for each in found if each.hand is not None]
        rows = sorted(await self.rows(hands, reader, now), key=views.order_of_desk)
        waiting = [row for row in rows if row.kind == views.HAND and not row.owned]
        queues = []
        for name, responsible in self.desk_rules.routing.queues.items():
            there = [each for each in hands if each.assignment is not None and each.assignment.queue == name]
            slots = [each.assignment.next_slot_at for each in there if each.assignment and each.assignment.next_slot_at]
            slot = words.clock(min(slots), now, reader.zone) if slots else ""
            queues.append(Waiting(name, self._name(responsible), len(there), slot))
        return Board(
            self._answer(waiting, rows),
            bool(waiting) or any(row.late for row in rows),
            queues,
            rows,
            await self._people(reader, now),
        )

    async def request(self, request_id: str) -> Request | None:
        """One request as it stands; what the topics have told in full needs no history."""
        live = self.live.request(request_id)
        if live is not None and live.hand is not None and live.assignment is not None:
            return live
        asked = await self._or(self.history.request(request_id), None)
        return self.live.over(asked) if asked is not None else self.live.request(request_id)

    async def _whole(self, request: Request) -> Request:
        """With who asks: a decision may be younger than the console, and its hand older."""
        if request.hand is not None or request.waiting is not None:
            return request
        return await self.request(request.id) or request

    async def row(self, request: Request, reader: Reader, now: int) -> Row:
        """One request as a row."""
        return (await self.rows([request], reader, now))[0]

    async def rows(self, requests: list[Request], reader: Reader, now: int) -> list[Row]:
        """Requests as rows, the most urgent first; leads that raised no hand with their scores and reasons."""
        ids = list(dict.fromkeys(id for each in requests if each.hand is None and (id := _lead_of(each))))
        known = await self._or(self.history.leads(ids), {}) if ids else {}
        await self._follow(known)
        made = []
        for request in requests:
            id = _lead_of(request)
            lead = known.get(id)
            alert = self.live.alerts.get(id) or (lead.alert if lead else None)
            stands = self._standing(lead.memory, now // _FRESH_MS) if lead and lead.memory else None
            made.append(views.row(request, reader, self.desk_rules, now, standing=stands, alert=alert))
        return sorted(made, key=views.order)

    def standing(self, lead: KnownLead, now: int) -> Standing | None:
        """Where a lead stands, by what the workers remember; None if that is not here."""
        found = read(lead.memory)
        return standing(found, self.rules, now // 1_000) if found else None

    def _stand(self, memory: bytes, moment: int) -> Standing | None:
        found = read(memory)
        return standing(found, self.rules, moment * _FRESH_MS // 1_000) if found else None

    async def _follow(self, known: dict[str, KnownLead]) -> None:
        """Requests name the lead as it was then: what it is a part of now stands for it."""
        moved = {id: to for id, lead in known.items() if (to := moved_to(lead.memory))}
        if moved:
            found = await self._or(self.history.leads(list(moved.values())), {})
            known |= {id: found[to] for id, to in moved.items() if to in found}

    def _lists(self, reader: Reader) -> list[tuple[str, str]]:
        queues = self.desk_rules.routing.queues
        return [
            ("hands", f"rep:{reader.id}"),
            ("leads", f"rep:{reader.id}"),
            *(("hands", f"queue:{name}") for name in queues),
            *(("leads", f"queue:{name}") for name, responsible in queues.items() if responsible == reader.id),
        ]

    def _newest(self, asked: list[Asked]) -> list[Request]:
        found = {each.id: each for each in self.live.urgent()}
        for each in asked:
            found[each.id] = self.live.over(each)
        return list(found.values())

    def _answer(self, waiting: list[Row], rows: list[Row]) -> str:
        late = [row for row in rows if row.late]
        untouched = [row for row in rows if row.kind == views.HAND and not row.calm]
        if waiting:
            have = "has" if len(waiting) == 1 else "have"
            first = min(waiting, key=lambda row: row.asked_at)
            return f"{words.count(len(waiting), 'person', 'people')} {have} no owner; {first.who} asked {first.asked}."
        if late:
            first = min(late, key=lambda row: row.due)
            are = "answer is" if len(late) == 1 else "answers are"
            return f"{len(late)} {are} late; {first.who} asked {first.asked}."
        if untouched:
            wait, each = ("person waits", "it has") if len(untouched) == 1 else ("people wait", "each has")
            return f"{len(untouched)} {wait} for a first answer; {each} an owner."
        if rows:
            are = "is" if len(rows) == 1 else "are"
            return f"Nobody is waiting; {words.count(len(rows), 'request')} {are} being answered."
        return "Nobody is waiting."

    async def _people(self, reader: Reader, now: int) -> list[Colleague]:
        said = await self._or(self.history.presence(), {}) | self.live.presence
        loads = await self._or(self.history.loads(list(self.desk_rules.roster.people)), {})
        people = []
        for person in self.desk_rules.roster.people.values():
            until, begins = person.on_until(now), person.next_start(now)
            if until:
                shift = f"until {words.clock(until, now, reader.zone)}"
            elif person.hours.on_leave(now):
                shift = "on leave"
            else:
                shift = f"from {words.clock(begins, now, reader.zone)}" if begins else "no hours"
            spoken = said.get(person.id)
            state = spoken.state if spoken and (spoken.until is None or now < spoken.until) else "on"
            hands, leads = loads.get(person.id, (0, 0))
            people.append(Colleague(person.id, person.name, state, shift, bool(until), hands, leads, person.capacity))
        return people

    async def presence(self, reader: Reader, now: int) -> str:
        """What a reader has said of themselves last."""
        said = self.live.presence.get(reader.id) or (await self._or(self.history.presence(), {})).get(reader.id)
        return said.state if said and (said.until is None or now < said.until) else "on"

    async def _served(self, now: int) -> str:
        asked = await self._or(self.history.last_served(), None)
        if asked is None or asked.hand is None or asked.touched is None:
            return ""
        took = max(asked.touched - asked.hand.received_at, 1_000)
        return f"The last one was answered {words.ago(now - asked.touched)}, after {words.span(took)}."

    def _name(self, id: str) -> str:
        person = self.desk_rules.roster.people.get(id)
        return person.name if person else id

    async def _or(self, answer: Awaitable[_T], otherwise: _T) -> _T:
        try:
            return await answer
        except Away:
            return otherwise


def _lead_of(request: Request) -> str:
    if request.hand is not None:
        return request.hand.lead_id
    if request.assignment is not None:
        return request.assignment.lead_id
    return request.waiting.lead_id if request.waiting is not None else ""


def reader_of(desk_rules: DeskRules, rep: str) -> Reader | None:
    """Somebody of the roster; None if it has nobody with that id."""
    person = desk_rules.roster.people.get(rep)
    if person is None:
        return None
    return Reader(person, any(team.manager == rep for team in desk_rules.roster.teams.values()))
