"""What happens when a deadline has passed: remind, offer to the next, reassign, escalate; try again; give up."""

from __future__ import annotations

from streams.desk import words
from streams.desk.cases import KEPT_MS, Cases
from streams.desk.choose import next_slot
from streams.desk.lifecycle import FINAL, WAITING
from streams.desk.routing_file import MANAGER_QUEUE, SUSPECT
from streams.desk.state import Case, Rep
from streams.desk.worktime import BREAK_MS

MOST_MISSED = 2
"""Deadlines missed in a shift, after which somebody rests until the next."""


class Ladder:
    """Carries out what is due."""

    def __init__(self, cases: Cases) -> None:
        self._cases, self._memory = cases, cases.memory

    def fire(self, case: Case, now: int) -> None:
        """A case is due; it is remembered again with its next due time, or forgotten."""
        if case.status in FINAL:
            return self._memory.drop(case)
        if self._cases.after(case, case.left) > now:  # an outage has moved it
            self._cases.wait(case, case.since, case.left)
            return self._memory.keep(case)
        if case.status in WAITING and now - case.asks[-1].requested_at >= KEPT_MS:
            return self._cases.close(case, "expired", now, "too_late", ("nobody has done anything for 30 days",))
        if case.status in ("assigned", "offered"):
            return self._missed(case, now)
        if case.status == "accepted":
            return self._lapsed(case, now)
        if case.status == "attempted":
            return self._try_again(case, now)
        if case.status == "queued" and case.follow_up_class != SUSPECT:
            return self._retry(case, now)
        return self._remind_queue(case, now)

    def _missed(self, case: Case, now: int) -> None:
        ladder = self._cases.follow_up(case).ladder
        step = ladder[case.rung].do if case.rung < len(ladder) else "escalate"
        if step == "remind":
            return self._remind(case, now)
        name = self._name(case)
        self._note_miss(case.owner, now)
        if step == "escalate":
            return self._cases.escalate(case, now, (f"{name} did not answer in time", f"to the queue {MANAGER_QUEUE}"))
        if step == "queue":
            case.declined = _with(case.declined, case.owner)
            route = self._cases.route_of(case)
            return self._cases.queue(case, route, (f"{name} did not answer in time",), now, "deadline")
        return self._move(case, now)

    def _move(self, case: Case, now: int) -> None:
        """To the next, as the ladder says; without one it stays where it is."""
        cases = self._cases
        ladder = cases.follow_up(case).ladder
        is_offer = case.rung < len(ladder) and ladder[case.rung].do == "offer"
        former, name, since = case.owner, self._name(case), case.due
        excluded = case.declined
        case.declined = _with([*excluded, *case.offered], former)
        _, choice = cases.look(case, now)
        if is_offer:
            case.declined = excluded  # who had it may still take it
        trace = (f"{name} did not answer in time", *choice.trace)
        case.rung += 1
        if choice.owner is None:
            case.declined = excluded
            cases.wait(case, since, cases.rung_wait(case))
            return cases.say(case, now, "deadline", (*trace, f"it stays with {name}"))
        case.offered = _with(case.offered, former) if is_offer else []
        case.owner, case.accepted_by = choice.owner.id, []
        case.charged, case.charged_in = choice.paid, choice.paid_in
        case.status, case.decided_at = ("offered" if is_offer else "assigned"), now
        cases.wait(case, since if cases.follow_up(case).by_pool else now, cases.rung_wait(case))
        cases.hand_over(case, choice.owner, now, "deadline", trace)
        return None

    def _remind(self, case: Case, now: int) -> None:
        cases, person = self._cases, self._cases.person(case)
        since = case.due
        case.rung += 1
        cases.wait(case, since, cases.rung_wait(case))
        self._memory.keep(case)
        if person is not None:
            due = cases.deadline(case)
            text = f"still waiting: {words.headline(case)}{words.by(due, person.hours.zone)}"
            cases.publisher.tell(person, "reminder", case, text, now, due)

    def _lapsed(self, case: Case, now: int) -> None:
        """An acknowledgement without contact: the ladder goes on where it was paused."""
        cases, person = self._cases, self._cases.person(case)
        case.status, case.decided_at = "assigned", now
        cases.wait(case, case.due, case.paused)
        cases.say(case, now, "lapsed", (f"{self._name(case)} took it and has not told of a contact",))
        if person is not None:
            text = f"taken, and not contacted yet: {words.headline(case)}"
            cases.publisher.tell(person, "reminder", case, text, now, cases.deadline(case))

    def _try_again(self, case: Case, now: int) -> None:
        """The next try is due: remind; if that does not help, the manager has it."""
        cases, person = self._cases, self._cases.person(case)
        if case.rung or person is None:
            trace = (f"{self._name(case)} has not tried again in time", f"to the queue {MANAGER_QUEUE}")
            return cases.escalate(case, now, trace)
        case.rung = 1
        cases.wait(case, case.due, cases.rules.routing.late_ms)
        self._memory.keep(case)
        text = f"try again ({case.attempt + 1} of {len(cases.rules.routing.tries) + 1}): {words.headline(case)}"
        cases.publisher.tell(person, "reminder", case, text, now, case.due)
        return None

    def _retry(self, case: Case, now: int) -> None:
        """Somebody works again, or may have room: offer what waits."""
        cases = self._cases
        route, choice = cases.look(case, now, ((case.former, "had it before"),) if case.former else ())
        case.pool = route.pool.name if route.pool else ""
        if choice.owner is not None:
            return cases.give(case, choice.owner, choice, now, "assigned", "slot")
        follow_up = cases.follow_up(case)
        if cases.schedule(case).on_until(now):
            case.rung += 1
        if follow_up.escalates_ms and case.rung * follow_up.retry_ms >= follow_up.escalates_ms:
            return cases.escalate(case, now, (*choice.trace, f"it has waited too long: to the queue {MANAGER_QUEUE}"))
        before = case.next_slot
        slot = next_slot(route.pool, cases.wanted(case, now), cases.desk) if route.pool else None
        cases.wait_in_queue(case, slot, now)
        if case.next_slot > before + BREAK_MS:
            return cases.say(case, now, "slot", choice.trace)
        self._memory.keep(case)
        return None

    def _remind_queue(self, case: Case, now: int) -> None:
        cases = self._cases
        ladder = cases.follow_up(case).ladder
        case.rung += 1
        fits = case.follow_up_class == SUSPECT and case.rung < len(ladder)
        cases.wait(case, now, ladder[case.rung].wait_ms if fits else cases.rules.routing.late_ms)
        self._memory.keep(case)
        cases.tell_queue(case, "reminder", now)

    def _note_miss(self, person_id: str, now: int) -> None:
        person = self._cases.rules.roster.people.get(person_id)
        if person is None:
            return
        rep: Rep = self._memory.rep(person_id)
        if now >= rep.missed_until:
            rep.missed, rep.missed_until = 0, person.schedule.next_shift(now) or now
        rep.missed += 1
        if rep.missed >= MOST_MISSED:
            rep.rest_until = rep.missed_until
        self._memory.put_rep(person_id, rep)

    def _name(self, case: Case) -> str:
        person = self._cases.person(case)
        return person.name if person else case.owner


def _with(names: list[str], name: str) -> list[str]:
    return [*names, name] if name and name not in names else names
