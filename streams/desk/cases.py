"""What can happen to a case: it is routed, given to somebody, taken by somebody, put into a queue, closed."""

from __future__ import annotations

from streams.desk import robin, words
from streams.desk.choose import Choice, Desk, Wanted, choose, hindrance, next_slot
from streams.desk.digest import Digests
from streams.desk.lifecycle import FINAL, OPEN
from streams.desk.memory import Memory
from streams.desk.publish import DeskPublisher
from streams.desk.roster import Person
from streams.desk.routing import Asked, FollowUp, Route
from streams.desk.routing_file import CHECK_QUEUE, CLASSES, MANAGER_QUEUE, SUSPECT
from streams.desk.rules import DeskRules
from streams.desk.state import Case
from streams.desk.worktime import Schedule, add_without
from streams.desk.zones import DAY_MS

KEPT_MS = 30 * DAY_MS
"""So long a request stays open at most, and is remembered after it was closed."""
ALWAYS = Schedule(lambda start, end: [(start, end)])
_ROOM = "has no room"
_NOBODY: tuple[tuple[str, str], ...] = ()


class Cases:
    """Changes cases, remembers them, and says so; `at` is the time of the record that is being folded (ms)."""

    def __init__(self, rules: DeskRules, memory: Memory, publisher: DeskPublisher) -> None:
        self.rules, self.memory, self.publisher = rules, memory, publisher
        self.desk = Desk(rules, memory.reps, memory.load, memory.credits)
        self.digests = Digests(rules, memory, publisher)

    # -- time

    def follow_up(self, case: Case) -> FollowUp:
        """How the case's class is followed up."""
        return self.rules.routing.classes[case.follow_up_class]

    def person(self, case: Case) -> Person | None:
        """Its owner, if the roster still has them."""
        return self.rules.roster.people.get(case.owner)

    def schedule(self, case: Case) -> Schedule:
        """The working time in which its deadlines count."""
        pool = self.rules.routing.pools.get(case.pool)
        if pool is not None and (self.follow_up(case).by_pool if case.owner else case.status == "queued"):
            return pool.schedule
        person = self.rules.roster.people.get(case.owner or case.responsible)
        return person.schedule if person else ALWAYS

    def wait(self, case: Case, since: int, working_ms: int) -> None:
        """The case is to be looked at after so much working time."""
        case.since, case.left = since, working_ms
        case.due = case.promised = self.after(case, working_ms)
        if case.status in ("assigned", "offered"):
            case.promised = self._first_touch(case)

    def after(self, case: Case, working_ms: int) -> int:
        """The moment so much working time after the case's wait began; outages do not count."""
        due = add_without(self.schedule(case), case.since, working_ms, self.memory.clock.outages)
        return due if due is not None else case.since + KEPT_MS

    def deadline(self, case: Case) -> int | None:
        """When the owner has to have done something; None if nothing is due."""
        return None if case.status in FINAL else case.promised

    def _first_touch(self, case: Case) -> int:
        """When the case is taken away from its owner, if nothing happens."""
        ladder, rung, working_ms = self.follow_up(case).ladder, case.rung, case.left
        while rung + 1 < len(ladder) and ladder[rung].do == "remind":
            rung += 1
            working_ms += ladder[rung].wait_ms
        return self.after(case, working_ms) if working_ms != case.left else case.due

    # -- somebody asks

    def receive(self, case: Case, at: int, cause: str, owner: str | None) -> None:
        """A new case: a part of one that is open for the same person, or one to be routed.

        `owner`: who has the lead, as far as the reading side knows.
        """
        known = {found.asks[0].request_id: found for each in case.identifiers if (found := self._known(case, each))}
        is_open = [found for found in known.values() if found.status in OPEN]
        if is_open:
            main = min(is_open, key=lambda it: (it.asks[0].requested_at, it.asks[0].request_id))
            for other in (*(each for each in is_open if each is not main), case):
                self._absorb(main, other, at)
            self.memory.hold(main)
            return self._asked_again(main, at)
        favourites = []
        if known:
            last = max(known.values(), key=lambda it: (it.decided_at, it.asks[0].request_id))
            favourites.append((last.owner or last.former, "had the last request of the same person"))
        if owner:
            favourites.append((owner, "has the lead"))
        self.memory.hold(case)
        self.route(case, at, cause, tuple(favourites))
        return None

    def doubt(self, case: Case, at: int, reasons: tuple[str, ...]) -> None:
        """A hand that may be spam waits for somebody to look at it."""
        case.follow_up_class = SUSPECT
        self._put_into(case, CHECK_QUEUE, "queued", at)
        self.wait(case, at, self._wait_of_rung(case, 0))
        trace = (f"it may be spam: {', '.join(reasons) or 'no reason given'}", f"it goes to the queue {CHECK_QUEUE}")
        self.say(case, at, "suspect", trace)
        self.tell_queue(case, "raised_hand", at)

    def upgrade(self, case: Case, follow_up_class: str, at: int) -> None:
        """An open case has become more urgent."""
        if CLASSES.index(follow_up_class) > CLASSES.index(case.follow_up_class):
            case.follow_up_class = follow_up_class
            self._asked_again(case, at)

    def _known(self, case: Case, identifier: str) -> Case | None:
        found = self.memory.held(case.topic, identifier)
        return None if found is None or found.status == "spam" else found

    def _absorb(self, main: Case, other: Case, at: int) -> None:
        """One case becomes part of another; whoever had it is told."""
        main.identifiers = list(dict.fromkeys(main.identifiers + other.identifiers))
        main.declined = list(dict.fromkeys(main.declined + other.declined))
        main.asks = main.asks + other.asks
        main.follow_up_class = max(main.follow_up_class, other.follow_up_class, key=CLASSES.index)
        for name in ("who", "message", "country", "language", "preferred_channel", "call_after", "account"):
            if newer := getattr(other, name):
                setattr(main, name, newer)
        person = self.person(other)
        for ask in other.asks:
            self.memory.join(ask.request_id, main)
        if person is not None and other.owner != main.owner:
            self.publisher.tell(person, "taken", main, f"{main.who} is the same person as another's request", at)

    def _asked_again(self, case: Case, at: int) -> None:
        """The owner has it anew, if they can; else it is routed."""
        person = self.person(case)
        if person is not None and case.status != "escalated":
            wanted = self.wanted(case, at)._replace(declined=())
            pool = self.rules.routing.pools.get(case.pool)
            deadline = pool.schedule.add(wanted.at, wanted.follow_up.first_touch_ms) if pool else None
            obstacle = hindrance(person, wanted, deadline, self.desk)
            if obstacle in ("", _ROOM):
                choice = Choice(person, 0, "", (f"{person.name} has an open request of the same person",))
                return self.give(case, person, choice, at, "assigned", "asked_again")
        return self.route(case, at, "asked_again", ((case.owner, "has an open request of the same person"),))

    # -- who gets it

    def route(self, case: Case, at: int, cause: str, favourites: tuple[tuple[str, str], ...] = _NOBODY) -> None:
        """Give the case to whom the rules say, or let it wait in a queue."""
        route, choice = self.look(case, at, favourites)
        case.pool = route.pool.name if route.pool else ""
        if choice.owner is not None:
            self.give(case, choice.owner, choice, at, "assigned", cause)
        else:
            self.queue(case, route, choice.trace, at, cause)

    def look(self, case: Case, at: int, favourites: tuple[tuple[str, str], ...] = _NOBODY) -> tuple[Route, Choice]:
        """Whom the rules say."""
        route = self.route_of(case)
        return route, choose(self.wanted(case, at, favourites), route, self.desk)

    def route_of(self, case: Case) -> Route:
        """The rule that takes the case."""
        score, has_account = case.score // 1_000, bool(case.account)
        asked = Asked(case.follow_up_class, case.topic, case.country, case.language, score, has_account)
        return self.rules.routing.route(asked)

    def wanted(self, case: Case, at: int, favourites: tuple[tuple[str, str], ...] = _NOBODY) -> Wanted:
        """What somebody is looked for."""
        begins = max(at, case.call_after)
        return Wanted(self.follow_up(case), begins, case.language, case.declined, favourites)

    def give(self, case: Case, person: Person, choice: Choice, at: int, status: str, cause: str) -> None:
        """The case is somebody's, from the first step of the ladder on."""
        self._settle(case, person.id, status, at)
        case.charged, case.charged_in = choice.paid, choice.paid_in
        case.rung, case.accepted_by, case.offered = 0, [], []
        self.wait(case, max(at, case.call_after), self._wait_of_rung(case, 0))
        self.hand_over(case, person, at, cause, choice.trace)

    def hand_over(self, case: Case, person: Person, at: int, cause: str, trace: tuple[str, ...]) -> None:
        """Say that somebody has a case, to the public and to them."""
        self.say(case, at, cause, trace)
        if not self.follow_up(case).tell:
            return self.digests.hold_to_the_morning(person, case, at)
        if case.follow_up_class != "contact_request" and not self.digests.at_once(person, at):
            return self.digests.hold_to_the_hour(person, case)
        kind = "offer_moved" if cause == "deadline" else self._kind(case)
        due = self.deadline(case)
        text = words.headline(case) + words.by(due, person.hours.zone)
        return self.publisher.tell(person, kind, case, text, at, due)

    def take(self, case: Case, person: Person, at: int) -> None:
        """Somebody takes a case that nobody has acknowledged; its former owner is told."""
        former = self.person(case)
        if former is not None and former is not person:
            self.publisher.tell(former, "taken", case, f"{person.name} has taken the request of {case.who}", at)
        if former is not person:
            case.charged, case.charged_in = 0, ""
        self._settle(case, person.id, case.status, at)

    def queue(self, case: Case, route: Route, trace: tuple[str, ...], at: int, cause: str) -> None:
        """Nobody can take it now: it waits for the next working slot."""
        self._put_into(case, route.pool.queue if route.pool else route.queue, "queued", at)
        slot = next_slot(route.pool, self.wanted(case, at), self.desk) if route.pool else None
        self.wait_in_queue(case, slot, at)
        self.say(case, at, cause, trace)
        if self.follow_up(case).tell:
            self.tell_queue(case, self._kind(case), at)

    def wait_in_queue(self, case: Case, slot: int | None, at: int) -> None:
        """Look at a case in a queue again soon, in the pool's time; `slot`: when somebody can again."""
        follow_up = self.follow_up(case)
        at_work = self.schedule(case).on_until(at)
        self.wait(case, at, follow_up.retry_ms if at_work else 0)
        case.next_slot = slot if slot is not None and slot > at else 0
        left = follow_up.escalates_ms - case.rung * follow_up.retry_ms
        case.promised = case.next_slot or (self.after(case, max(left, 0)) if follow_up.escalates_ms else at + KEPT_MS)

    def escalate(self, case: Case, at: int, trace: tuple[str, ...]) -> None:
        """Nobody has answered: it is the manager's now."""
        self._put_into(case, MANAGER_QUEUE, "escalated", at)
        self.wait(case, at, self.rules.routing.late_ms)
        self.say(case, at, "deadline", trace)
        self.tell_queue(case, "escalation", at)

    def close(self, case: Case, status: str, at: int, cause: str, trace: tuple[str, ...]) -> None:
        """A final status; the case is remembered for 30 days."""
        case.status, case.decided_at, case.next_slot = status, at, 0
        case.due, case.message, case.engagement = at + KEPT_MS, "", b""
        self.say(case, at, cause, trace)

    def give_back(self, case: Case) -> None:
        """The owner gets back what the case has cost them."""
        if case.charged:
            robin.give_back(self.memory.credits(case.charged_in), case.owner, case.charged)
            case.charged, case.charged_in = 0, ""

    # -- helpers

    def say(self, case: Case, at: int, cause: str, trace: tuple[str, ...]) -> None:
        """Remember the case and publish who has it."""
        self.memory.keep(case)
        self.publisher.assignment(case, at, self.deadline(case), cause, trace)

    def tell_queue(self, case: Case, kind: str, at: int) -> None:
        """Tell who watches the case's queue."""
        person = self.rules.roster.people.get(case.responsible)
        channels = person.channels if person else ("console",)
        text = f"{words.headline(case)}; it waits in the queue {case.queue}"
        self.publisher.notice(case.queue, kind, case, text, at, channels, due=case.due)

    def confirm(self, case: Case, has_email: bool, has_phone: bool, at: int) -> None:
        """Tell the visitor who will call, by when."""
        person = self.person(case)
        due = self.deadline(case) if person else None
        pool = self.rules.routing.pools.get(case.pool)
        first = pool and case.next_slot and next((it for it in pool.people if it.on_until(case.next_slot)), None)
        clock_of = person or first or self.rules.roster.people.get(case.responsible)
        if not clock_of:
            return
        text = words.promise(person, due, case.next_slot or None, clock_of.hours.zone)
        channels = ("email",) if has_email else ("sms",) if has_phone else ("console",)
        last = len(case.asks) - 1
        self.publisher.notice(words.VISITOR, "confirmation", case, text, at, channels, due=due, ask=last)

    def _wait_of_rung(self, case: Case, rung: int) -> int:
        ladder = self.follow_up(case).ladder
        return ladder[rung].wait_ms if rung < len(ladder) else self.rules.routing.late_ms

    def rung_wait(self, case: Case) -> int:
        """The working time before the case's next step."""
        return self._wait_of_rung(case, case.rung)

    def _settle(self, case: Case, owner: str, status: str, at: int) -> None:
        case.owner, case.queue, case.responsible, case.next_slot = owner, "", "", 0
        case.status, case.decided_at = status, at

    def _put_into(self, case: Case, queue: str, status: str, at: int) -> None:
        case.former, case.owner = case.owner or case.former, ""
        case.queue, case.responsible = queue, self.rules.routing.queues.get(queue, "")
        case.status, case.decided_at, case.next_slot = status, at, 0
        case.rung, case.charged, case.charged_in, case.offered, case.accepted_by = 0, 0, "", [], []

    def _kind(self, case: Case) -> str:
        return "raised_hand" if case.follow_up_class in ("contact_request", SUSPECT) else "hot_lead"
