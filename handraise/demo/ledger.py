"""What was sent against what came out: nothing lost, nothing doubled, and how long it took."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from handraise.demo.cast import Person
from handraise.demo.story import Act
from handraise.subscriber import Seen
from schemas.records import LeadAlert, LeadState, LeadTransition, Quarantined, Rejected
from streams.identity import event_id, lead_id, strongest

TOPICS = ("lead.state", "lead.transitions", "lead.alerts", "engagement.quarantine", "engagement.rejected")
_WINDOW_S = 10.0


class Part(NamedTuple):
    """A lead that has become a part of another one."""

    owner: str
    millipoints: int
    """What it was worth then."""


class Union(NamedTuple):
    """Leads that are one: in milli-points what each was worth and what all are, events sent and events counted."""

    parts: list[int]
    together: int
    sent: int
    counted: int

    @property
    def exact(self) -> bool:
        """Whether each event counts once."""
        return self.sent == self.counted


class Ledger:
    """Counts by lead, kept by the sender on one side and by a subscriber (read_committed) on the other.

    What was sent under an id counts for the lead of which that has become a part, as the subscriber hears it.
    """

    def __init__(self, source: str, id_key: bytes) -> None:
        self._source, self._key = source, id_key
        self.sent = self.acknowledged = self.rejected = self.quarantined = 0
        self.alerts: list[tuple[float, LeadAlert, float | None]] = []
        """(when it came, by the wall clock; what; milliseconds since its cause was posted, None for history)"""
        self.alert_ms: list[float] = []
        self.state_ms: list[float] = []
        self.first_alert_at: float | None = None
        self._started: Counter[str] = Counter()
        self._accepted: Counter[str] = Counter()
        self._scored: dict[str, int] = {}
        self._worth: dict[str, int] = {}
        self._parts: dict[str, Part] = {}
        self._known: set[str] = set()
        self._stored: set[str] = set()
        self._alert_ids: Counter[str] = Counter()
        self._rejected_by_fold = 0
        self._posted: dict[str, float] = {}
        self._posted_nth: dict[tuple[str, int], float] = {}
        self._recent: list[tuple[float, int]] = []

    # -- the sender's side

    def posting(self, acts: Sequence[Act], *, live: bool) -> None:
        """These are on their way."""
        now = time.monotonic()
        self.sent += len(acts)
        for act in acts:
            if act.broken or act.person.is_bot or act.message_id in self._known:
                continue
            self._known.add(act.message_id)
            lead = self._lead(act)
            self._started[lead] += 1
            if live:
                self._posted[event_id(self._source, act.message_id).hex()] = now
                if act.person.user_id is None:  # a lead that takes in another one counts its events, too
                    self._posted_nth[lead, self._started[lead]] = now

    def posted(self, acts: Sequence[Act]) -> None:
        """The gateway has acknowledged these."""
        self.acknowledged += len(acts)
        now = time.monotonic()
        self._recent = [each for each in self._recent if each[0] > now - _WINDOW_S]
        self._recent.append((now, len(acts)))
        for act in acts:
            if not (act.broken or act.person.is_bot or act.message_id in self._stored):
                self._stored.add(act.message_id)
                self._accepted[self._lead(act)] += 1

    def _lead(self, act: Act) -> str:
        return self.lead(act.person)

    def worth(self, leads: Sequence[str]) -> int:
        """Milli-points of somebody known by these ids, of which some may have become a part of another."""
        return sum(self._worth.get(owner, 0) for owner in {self.owner(lead) for lead in leads})

    def lead(self, person: Person) -> str:
        """The lead id under which the gateway writes what somebody does."""
        who = strongest(person.user_id, person.email, person.anonymous_id)
        assert who is not None  # noqa: S101 - everybody in the cast has an anonymous id
        return lead_id(who.kind, who.value, self._key)

    # -- the subscriber's side

    def seen(self, records: Iterable[Seen]) -> list[LeadAlert]:
        """Enter what has come; the alerts among it that are new."""
        now, fresh = time.monotonic(), []
        for record in records:
            match record.value:
                case None if record.topic == "lead.state":
                    self._scored.pop(record.raw.key.decode(), None)
                case LeadTransition(aspect="identity", after="moved", other=str() as owner) as gone:
                    self._parts[gone.lead_id] = Part(owner, gone.behaviour_millipoints)
                case LeadState(lead_id=lead) as state if lead not in self._started:
                    self._worth[lead] = state.behaviour_millipoints  # somebody clicks around the sample site
                case LeadState(lead_id=lead, events=events) as state:
                    self._scored[lead] = events
                    self._worth[lead] = state.behaviour_millipoints
                    posted = self._posted_nth.pop((lead, events), None)
                    if posted is not None:
                        self.state_ms.append(1_000 * (now - posted))
                case LeadAlert() as alert:
                    self._alert_ids[alert.alert_id] += 1
                    if self._alert_ids[alert.alert_id] == 1:
                        fresh.append(alert)
                        self._enter(alert, now)
                case Quarantined():
                    self.quarantined += 1
                case Rejected(topic=topic):
                    self.rejected += 1
                    self._rejected_by_fold += topic is not None
        return fresh

    def _enter(self, alert: LeadAlert, now: float) -> None:
        posted = self._posted.get(alert.cause_event or "")
        took_ms = None if posted is None else 1_000 * (now - posted)
        if took_ms is not None:
            self.alert_ms.append(took_ms)
        if self.first_alert_at is None:
            self.first_alert_at = now
        self.alerts.append((time.time(), alert, took_ms))

    # -- both sides compared

    @property
    def accepted(self) -> int:
        """Events on lead.events: acknowledged, and not in the gateway's dead letters."""
        return self.acknowledged - (self.rejected - self._rejected_by_fold)

    @property
    def scored(self) -> int:
        """Events from here that count for some lead."""
        return sum(self._scored.values())

    @property
    def events_per_s(self) -> float:
        """Acknowledged, over the last ten seconds."""
        now = time.monotonic()
        recent = [(at, number) for at, number in self._recent if at > now - _WINDOW_S]
        if not recent:
            return 0.0
        return sum(number for _, number in recent) / max(1.0, min(_WINDOW_S, now - recent[0][0]))

    @property
    def settled(self) -> bool:
        """Whether every acknowledged event has come out: it counts, or is in quarantine or among the dead letters."""
        if self.acknowledged > self.scored + self.quarantined + self.rejected:
            return False
        return not self.lost() and not self.doubled()  # else it is not yet known who has become a part of whom

    def snapshot(self) -> Counter[str]:
        """How many events of each lead were acknowledged so far."""
        return self._accepted.copy()

    def lost(self, expected: Counter[str] | None = None) -> int:
        """Acknowledged events that no lead's count has, lead by lead."""
        expected = self._by_owner(self._accepted if expected is None else expected)
        return sum(max(0, count - self._scored.get(lead, 0)) for lead, count in expected.items())

    def doubled(self) -> int:
        """Events that count more often than they were sent, lead by lead, and alerts that came twice."""
        started = self._by_owner(self._started)
        events = sum(max(0, count - started[lead]) for lead, count in self._scored.items())
        return events + sum(count - 1 for count in self._alert_ids.values())

    def owner(self, lead: str) -> str:
        """The lead of which it has become a part, or itself."""
        while lead in self._parts:
            lead = self._parts[lead].owner
        return lead

    def union(self, parts: Sequence[str]) -> Union | None:
        """What has come of leads that are one by now; None as long as they are not."""
        owner = self.owner(parts[0])
        if not all(part in self._parts and self.owner(part) == owner for part in parts):
            return None
        sent, counted = self._by_owner(self._started)[owner], self._scored.get(owner, 0)
        return Union([self._parts[part].millipoints for part in parts], self._worth.get(owner, 0), sent, counted)

    def _by_owner(self, counts: Counter[str]) -> Counter[str]:
        found: Counter[str] = Counter()
        for lead, count in counts.items():
            found[self.owner(lead)] += count
        return found

    def kinds(self) -> dict[str, int]:
        """Alerts by kind."""
        return dict(Counter(alert.kind for _, alert, _ in self.alerts))


def percentiles(values: Sequence[float]) -> dict[str, Any]:
    """p50 and p99 in milliseconds (None without values), and of how many."""
    if not values:
        return {"p50": None, "p99": None, "count": 0}
    ordered = sorted(values)
    p50, p99 = (ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.5, 0.99))
    return {"p50": round(p50, 1), "p99": round(p99, 1), "count": len(ordered)}
