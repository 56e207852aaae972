"""What people do about a request: accept, decline, attempt, contact, close.  An impossible step changes nothing."""

from __future__ import annotations

from schemas.records import Activity
from schemas.wire import Undecodable
from streams.desk import words
from streams.desk.cases import Cases
from streams.desk.lifecycle import BY_WHOEVER_HAS_IT, POSSIBLE, REASONS, WAITING
from streams.desk.roster import Person
from streams.desk.routing_file import SUSPECT
from streams.desk.state import Case

_MOST_HEARD = 16
_TOPICS = ("sales", "support", "partner", "press")


class Activities:
    """Carries out what people say they have done."""

    def __init__(self, cases: Cases) -> None:
        self._cases, self._memory, self._publisher = cases, cases.memory, cases.publisher
        self._steps = {
            "accept": self._accept,
            "decline": self._decline,
            "attempted": self._attempted,
            "contacted": self._contacted,
            "no_show": self._no_show,
            "won": self._closed,
            "lost": self._closed,
            "spam": self._closed,
            "release": self._release,
            "reopen": self._reopen,
        }

    def receive(self, activity: Activity, at: int) -> None:
        """Carry out an activity, or tell the person why it changes nothing.  Raises Undecodable."""
        person = self._cases.rules.roster.people.get(activity.rep)
        if person is None:
            raise Undecodable("unknown_person", f"the roster has nobody with the id {activity.rep!r}")
        if activity.kind not in POSSIBLE:
            raise Undecodable("unknown_activity", f"{activity.kind!r} is none of {', '.join(POSSIBLE)}")
        case = self._find(activity)
        if case is None:
            return self._refuse(person, None, f"{activity.kind} changes nothing: there is no such request", at)
        if activity.activity_id in case.heard:
            return None
        if case.status not in POSSIBLE[activity.kind] or (
            activity.kind == "release" and case.follow_up_class != SUSPECT
        ):
            return self._refuse(person, case, words.refused(activity.kind, case), at)
        reasons = REASONS.get(activity.kind)
        if reasons and activity.reason not in reasons:
            return self._refuse(person, case, words.missing_reason(activity.kind, reasons), at)
        if activity.kind in BY_WHOEVER_HAS_IT and not self._may_have(case, person, activity, at):
            return None
        case.heard = [*case.heard, activity.activity_id][-_MOST_HEARD:]
        self._memory.keep(case)  # whether or not the step changes anything else
        return self._steps[activity.kind](case, person, activity, at)

    def _find(self, activity: Activity) -> Case | None:
        if activity.request_id:
            return self._memory.case(activity.request_id)
        lead_id = activity.lead_id or ""
        found = (self._memory.held(topic, lead_id) for topic in _TOPICS)
        return next((case for case in found if case is not None), None)

    def _may_have(self, case: Case, person: Person, activity: Activity, at: int) -> bool:
        """True if the person has the case, or takes it now; who comes second is told who was first."""
        roster = self._cases.rules.roster
        owner = roster.people.get(case.owner)
        if owner is person:
            return True
        manager = owner is not None and roster.teams[owner.team].manager == person.id
        if owner is not None and case.status not in ("assigned", "offered") and not manager:
            text = f"{owner.name} has the request of {case.who} already"
            self._publisher.tell(person, "taken", case, text, at)
            return False
        if not manager or activity.kind == "accept":
            self._cases.take(case, person, at)
        return True

    def _accept(self, case: Case, person: Person, activity: Activity, at: int) -> None:
        """The ladder pauses, once for each person."""
        if person.id in case.accepted_by:
            return self._refuse(person, case, f"you have taken the request of {case.who} already: call", at)
        cases = self._cases
        if case.status in WAITING:
            case.rung = 0
            case.paused = cases.rung_wait(case)
        else:
            worked = cases.schedule(case).between(case.since, at)
            case.paused = max(case.left - worked, 0)
        case.status, case.decided_at = "accepted", at
        case.accepted_by = [*case.accepted_by, person.id]
        cases.wait(case, at, cases.follow_up(case).accepted_ms)
        return cases.say(case, at, "accept", (f"{person.name} took it",))

    def _decline(self, case: Case, person: Person, activity: Activity, at: int) -> None:
        why = words.because(activity.reason)
        cases = self._cases
        if person.id not in case.declined:
            case.declined = [*case.declined, person.id]
        case.offered = [each for each in case.offered if each != person.id]
        if person.id != case.owner:
            return cases.say(case, at, "decline", (f"{person.name} declined it{why}",))
        cases.give_back(case)
        case.owner = ""
        route, choice = cases.look(case, at)
        trace = (f"{person.name} declined it{why}", *choice.trace)
        if choice.owner is None:
            return cases.queue(case, route, trace, at, "decline")
        return cases.give(case, choice.owner, choice._replace(trace=trace), at, "assigned", "decline")

    def _attempted(self, case: Case, person: Person, activity: Activity, at: int) -> None:
        """Nobody answered: the next try, until there were enough."""
        cases, tries = self._cases, self._cases.rules.routing.tries
        case.attempt += 1
        how = f" by {activity.channel}" if activity.channel else ""
        trace = (f"{person.name} tried{how}, without an answer: try {case.attempt} of {len(tries) + 1}",)
        if case.attempt > len(tries):
            return cases.close(case, "expired", at, "no_response", trace)
        case.status, case.decided_at, case.rung = "attempted", at, 0
        cases.wait(case, at, tries[case.attempt - 1])
        return cases.say(case, at, "attempted", trace)

    def _contacted(self, case: Case, person: Person, activity: Activity, at: int) -> None:
        how = f" by {activity.channel}" if activity.channel else ""
        self._cases.close(case, "contacted", at, "contacted", (f"{person.name} reached {case.who}{how}",))

    def _no_show(self, case: Case, person: Person, activity: Activity, at: int) -> None:
        """Whoever asked did not come: it cost no credit, and is tried again."""
        self._cases.give_back(case)
        self._attempted(case, person, activity, at)

    def _closed(self, case: Case, person: Person, activity: Activity, at: int) -> None:
        if activity.kind == "spam":
            self._cases.give_back(case)
        why = words.because(activity.reason)
        self._cases.close(case, activity.kind, at, activity.kind, (f"{person.name} closed it{why}",))

    def _release(self, case: Case, person: Person, activity: Activity, at: int) -> None:
        """No spam after all: it is routed as any raised hand, and scores."""
        case.follow_up_class = "contact_request"
        if case.engagement:
            self._publisher.engagement(case.asks[0].lead_id, case.engagement)
            case.engagement = b""
        case.queue = case.responsible = ""
        self._cases.receive(case, at, "release", None)

    def _reopen(self, case: Case, person: Person, activity: Activity, at: int) -> None:
        owner = case.owner or case.former
        case.queue = case.responsible = case.owner = ""
        case.attempt, case.declined = 0, []
        if case.follow_up_class == SUSPECT:
            case.follow_up_class = "contact_request"
        self._cases.receive(case, at, "reopen", owner)

    def _refuse(self, person: Person, case: Case | None, text: str, at: int) -> None:
        channels = person.channels
        self._publisher.notice(person.id, "refused", case, text, at, channels)
