"""What a partition's records should lead to: transitions, alerts, quarantine and final states, told naively.

Whether a score has reached a mark cannot be told where the real number lies so near to it that rounding decides: there,
and only there, the oracle takes the word of who published.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from typing import Any

from schemas.codec import decode
from schemas.records import Engagement, LeadTransition, Promote, Tick
from tests.oracle.naive import DAY_S, PER_RECORD, Event, Lead, Model, reasons, score

FUTURE_MS = 24 * 3600 * 1000
DOUBT_MILLIPOINTS = 0.2
"""How far integers may be from the real number: twice what `streams.decay` says of a hundred points."""
Word = tuple[int, str, str]
"""Where a lead was published to become something: the record's offset, the lead's id, what it became."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it lies in its partition; the timestamp is the broker's, in milliseconds."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    id: bytes = b""
    """Its `ce_id`, where that was asked for."""


@dataclass(frozen=True, order=True)
class Change:
    """A transition that has to be published; `at_s` is seconds, the cause None for a tick."""

    offset: int
    lead_id: str
    aspect: str
    before: str
    after: str
    at_s: int
    millipoints: int
    cause: str | None


@dataclass(frozen=True)
class Alarm:
    """A hot_lead alert that has to be published; `ranked` are all rules above zero, in points, strongest first."""

    offset: int
    lead_id: str
    at_s: int
    millipoints: int
    ranked: tuple[tuple[str, float], ...]
    cause: str | None


def words(said: Iterable[object]) -> set[Word]:
    """What a partition published of stages and heat."""
    return {(it.source_offset, it.lead_id, it.after) for it in said if isinstance(it, LeadTransition)}


def event_of(body: Engagement) -> Event:
    """The event as the rules see it."""
    return Event(
        body.event_id,
        body.occurred_at // 1000,
        body.kind,
        body.asset,
        json.loads(body.properties),
        body.email,
        body.verdict,
        body.phone,
    )


@dataclass
class Told:
    """All that one partition's records lead to."""

    changes: list[Change] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)
    quarantined: list[tuple[int, str, str]] = field(default_factory=list)
    """(offset, lead id, verdict)"""
    from_the_future: list[int] = field(default_factory=list)
    expired: list[tuple[int, str]] = field(default_factory=list)
    leads: dict[str, Lead] = field(default_factory=dict)
    forgotten: list[Lead] = field(default_factory=list)
    """Those that expired."""
    now_s: int = 0


class Partition:
    """One partition's records, told one after the other.  `words`: what was published of it, asked where in doubt."""

    def __init__(self, model: Model, words: Container[Word]) -> None:
        self.model, self.words = model, words
        self.told = Told()
        self._due: dict[str, tuple[int, str, str]] = {}

    def tell(self, records: Iterable[Record]) -> Told:
        """Take records in order and return all that was told so far."""
        for record in records:
            assert record.value is not None, "the oracle knows well-formed records only"
            self._take(record, decode(record.value))
            self._fire(record.offset)
        return self.told

    def _take(self, record: Record, body: Any) -> None:
        if isinstance(body, Tick):
            self._tick(record.offset, body.at // 1000)
        elif isinstance(body, Promote):
            self._promote(record.offset, body)
        elif isinstance(body, Engagement):
            assert record.key is not None, "the oracle knows well-formed records only"
            self._engagement(record, record.key.decode(), body)

    def _tick(self, offset: int, at_s: int) -> None:
        """Move now, and find all that has come due by it."""
        self.told.now_s = max(self.told.now_s, at_s)
        self._find_due(offset)

    def _promote(self, offset: int, body: Promote) -> None:
        """Judge by other rules from here on; what was due and not yet done is judged anew."""
        files = {each.name: each.text for each in body.files}
        self.model = Model(files["model.toml"], files["alerts.toml"])
        self._due.clear()
        self._find_due(offset)

    def _find_due(self, offset: int) -> None:
        told = self.told
        for lead in told.leads.values():
            if lead.hot and told.now_s > lead.as_of_s and self._cools(offset, lead):
                due_s = self._first_below(lead)
                self._due.setdefault(f"cool {lead.lead_id}", (due_s, lead.lead_id, "cool"))
            expiry_s = lead.as_of_s + self.model.idle_s
            if lead.lead_id.startswith("a_") and not lead.hot and told.now_s >= expiry_s:
                self._due.setdefault(f"expire {lead.lead_id}", (expiry_s, lead.lead_id, "expire"))

    def _doubtful(self, lead: Lead, at_s: int, mark: int) -> bool:
        """Whether rounding decides if the lead has so many points."""
        exact = score(self.model, lead.ledger(self.model), at_s) * 1000
        return abs(exact + 0.5 - mark * 1000) < DOUBT_MILLIPOINTS

    def _cools(self, offset: int, lead: Lead) -> bool:
        now_s = self.told.now_s
        if self._doubtful(lead, now_s, self.model.hot["cool_below"]):
            return (offset, lead.lead_id, "cold") in self.words
        return self._below(lead, now_s)

    def _below(self, lead: Lead, at_s: int) -> bool:
        cool_below: int = self.model.hot["cool_below"]
        return lead.millipoints(self.model, at_s) < cool_below * 1000

    def _first_below(self, lead: Lead) -> int:
        """The first second at which a hot lead's score is too low, if it only falls from its `as_of` to now."""
        low, high = lead.as_of_s, max(self.told.now_s, lead.as_of_s)
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self._below(lead, middle) else (middle + 1, high)
        return low

    def _fire(self, offset: int) -> None:
        """Carry out what is due: the first 500 by time and id."""
        told = self.told
        for due in sorted(self._due.values())[:PER_RECORD]:
            _, lead_id, what = due
            del self._due[f"{what} {lead_id}"]
            lead = told.leads[lead_id]
            if what == "expire":
                told.forgotten.append(told.leads.pop(lead_id))
                told.expired.append((offset, lead_id))
                continue
            at_s = max(told.now_s, lead.as_of_s)
            lead.hot, lead.hot_since_s, lead.as_of_s = False, None, at_s
            lead.judged_by = self.model
            points = lead.millipoints(self.model, at_s)
            told.changes.append(Change(offset, lead_id, "heat", "hot", "cold", at_s, points, None))

    def _engagement(self, record: Record, lead_id: str, body: Engagement) -> None:
        told = self.told
        if body.verdict != "human":
            told.quarantined.append((record.offset, lead_id, body.verdict))
            return
        if body.occurred_at - record.timestamp > FUTURE_MS:
            told.from_the_future.append(record.offset)
            return
        lead = told.leads.get(lead_id) or Lead(lead_id)
        if lead.has(body.event_id):
            told.quarantined.append((record.offset, lead_id, "duplicate"))
            return
        told.leads[lead_id] = lead
        event = event_of(body)
        self._renew(record.offset, lead, max(event.at_s, told.now_s, lead.as_of_s))
        lead.accept(self.model, event, told.now_s)
        self._judge(record.offset, lead, event)

    def _renew(self, offset: int, lead: Lead, as_of_s: int) -> None:
        """Whoever is hot before anything happens is so by rules that are new to them: nobody is alerted."""
        if lead.judged_by is None or lead.judged_by.points == self.model.points:
            return
        assert not lead.late, "what was folded stays as it was: the oracle does not follow it"
        lead.as_of_s = as_of_s
        if not lead.hot and (lead.mailed or lead.phoned) and self._has(offset, lead, self.model.hot["hot_at"], "hot"):
            lead.hot, lead.hot_since_s = True, as_of_s
            points = lead.millipoints(self.model, as_of_s)
            self.told.changes.append(Change(offset, lead.lead_id, "heat", "cold", "hot", as_of_s, points, None))

    def _judge(self, offset: int, lead: Lead, event: Event | None) -> None:
        """Heat and stage after an event, or after what another lead told; what was due and not yet done is put off."""
        lead.judged_by = self.model
        for what in ("cool", "expire"):
            self._due.pop(f"{what} {lead.lead_id}", None)
        self._judge_heat(offset, lead, event)
        self._judge_stage(offset, lead, event)

    def _has(self, offset: int, lead: Lead, points: int, after: str) -> bool:
        """Whether the lead has so many points at its `as_of` that it becomes something.

        Without counting if they are out of reach.
        """
        if lead.ceiling(self.model) < points:
            return False
        if self._doubtful(lead, lead.as_of_s, points):
            return (offset, lead.lead_id, after) in self.words
        return lead.millipoints(self.model, lead.as_of_s) >= points * 1000

    def _judge_heat(self, offset: int, lead: Lead, event: Event | None) -> None:
        can_be_reached = lead.mailed or lead.phoned
        if lead.hot or not can_be_reached or not self._has(offset, lead, self.model.hot["hot_at"], "hot"):
            return
        at_s, cause = lead.as_of_s, event and event.event_id.hex()
        points = lead.millipoints(self.model, at_s)
        lead.hot, lead.hot_since_s = True, at_s
        self.told.changes.append(Change(offset, lead.lead_id, "heat", "cold", "hot", at_s, points, cause))
        cooldown_s = self.model.hot["cooldown_days"] * DAY_S
        if lead.last_alert_s is None or at_s - lead.last_alert_s >= cooldown_s:
            lead.last_alert_s = at_s
            ranked = tuple(reasons(lead.ledger(self.model), at_s))
            self.told.alarms.append(Alarm(offset, lead.lead_id, at_s, points, ranked, cause))

    def _judge_stage(self, offset: int, lead: Lead, event: Event | None) -> None:
        stages = self.model.model["stages"]
        answerable = lead.mailed or lead.lead_id.startswith(("u_", "e_"))
        if lead.stage == "visitor" and (answerable or (event and event.kind in stages["inquiry_kinds"])):
            self._step(offset, lead, event, "inquiry")
        if lead.stage == "inquiry" and lead.mailed and self._has(offset, lead, stages["mql_at"], "mql"):
            self._step(offset, lead, event, "mql")

    def _step(self, offset: int, lead: Lead, event: Event | None, after: str) -> None:
        points = lead.millipoints(self.model, lead.as_of_s)
        cause = event and event.event_id.hex()
        change = Change(offset, lead.lead_id, "stage", lead.stage, after, lead.as_of_s, points, cause)
        self.told.changes.append(change)
        lead.stage = after
