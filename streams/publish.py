"""What the lead fold publishes: records in wire format with CloudEvents headers whose ids are derived, never drawn.

An id is (fold, partition, offset, n): the n-th record that one inbox record caused.  States are published once a batch,
so theirs has the lead's id in place of n.  (CloudEvents 1.0, Kafka protocol binding, binary mode.)
"""

from __future__ import annotations

from contextlib import suppress
from datetime import date

from schemas.codec import Undecodable, encode
from schemas.fast import lead_state_writer
from schemas.fields import engagement_fields
from schemas.head import ENGAGEMENTS
from schemas.keys import partition_of
from schemas.records import LeadAlert, LeadDuplicate, LeadTransition, Mail, Quarantined, Reason, Rejected, Waiting
from schemas.wire import LOCK, PREFIX_SIZE, prefix
from streams.fold import Output
from streams.lifecycle import INQUIRY, STAGES, VISITOR
from streams.reasons import top_reasons
from streams.rules import DAY_S, Rules
from streams.score import behaviour
from streams.state import Lead

Header = tuple[str, bytes]
Headers = list[Header]
SPECVERSION: Header = ("ce_specversion", b"1.0")
SOURCE: Header = ("ce_source", b"/handraise/leads")
STATE: Header = ("ce_type", b"handraise.LeadState")
TRANSITION: Header = ("ce_type", b"handraise.LeadTransition")
_ALERT: Header = ("ce_type", b"handraise.LeadAlert")
_QUARANTINED: Header = ("ce_type", b"handraise.Quarantined")
_REJECTED: Header = ("ce_type", b"handraise.Rejected")
_DUPLICATE: Header = ("ce_type", b"handraise.LeadDuplicate")
ASKED, ANSWERABLE = "it asked for something: ", "it can be answered"
"""Why a visitor is an inquiry; the former ends with the kind of the event."""
INBOX = "lead.events"
WAITING = "desk.waiting"
EVIDENCE = {"m": "email_spelling", "e": "email_claimed", "p": "phone", "n": "name_and_company"}
"""What is thought to show that two leads are one person, by the first letter of its id."""
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MOST_DAYS = 4_096
_MINUTES = [f"T{minute // 60:02d}:{minute % 60:02d}:".encode() for minute in range(1_440)]
_SECONDS = [f"{second:02d}Z".encode() for second in range(60)]


class Publisher:
    """Collects the outputs of one partition's open batch."""

    def __init__(self, partition: int, partitions: int, rules: Rules) -> None:
        self._partition, self._partitions = partition, partitions
        self.partition_of = partition_of
        """Which partition a key lies in; there is a faster one, see `streams.compiled`."""
        self._outputs: list[Output] = []
        self.offset = 0
        """The inbox record that is being folded."""
        self.count = 0
        """How many records it has caused so far."""
        self.value = b""
        """What it says."""
        self._id = f"leads-{partition}-"
        self._days: dict[int, bytes] = {}
        self.obey(rules)

    def obey(self, rules: Rules) -> None:
        """Publish by these rules from here on."""
        self._rules = rules
        self._write_state = lead_state_writer(prefix(LOCK["LeadState"][-1].id), rules.version, self._partition)

    def take(self) -> list[Output]:
        """The outputs so far; the next batch begins with none."""
        outputs, self._outputs = self._outputs, []
        return outputs

    def publish(self, outputs: list[Output]) -> None:
        """Records that are ready."""
        self._outputs += outputs

    def forward(self, key: bytes, value: bytes) -> None:
        """A record for the fold's own inbox, as it is, under the key of another lead."""
        self._outputs.append(Output(INBOX, self.partition_of(key, self._partitions), key, value, []))

    def mail(self, key: bytes, record: Mail) -> None:
        """What one lead tells another."""
        self.forward(key, encode(record))

    def state(self, key: bytes, lead: Lead, offset: int) -> None:
        """The present state of a lead, as of its last event."""
        score, lead_id, as_of = behaviour(lead, self._rules, lead.as_of), key.decode(), lead.as_of
        value = self._write_state(
            lead_id, as_of, score, self._rules.level(score), lead.hot_since, STAGES[lead.stage], lead.stage_since,
            lead.first_seen, lead.last_seen, lead.events, lead.visits.count, offset,
        )  # fmt: skip
        headers = self._headers(f"{self._id}{offset}-{lead_id}", STATE, as_of, key)
        self._outputs.append(Output("lead.state", self._partition, key, value, headers))

    def gone(self, key: bytes, at: int, offset: int) -> None:
        """The tombstone of a lead that expired."""
        headers = self._headers(f"{self._id}{offset}-{key.decode()}", STATE, at, key)
        self._outputs.append(Output("lead.state", self._partition, key, None, headers))

    def inquiry(self, key: bytes, at: int, asked: str, score: int, cause_event: str | None) -> None:
        """A visitor became an inquiry; `asked`: the kind of event, if it asked for something and cannot be answered."""
        cause = ASKED + asked if asked else ANSWERABLE
        self._transition(key, "stage", STAGES[VISITOR], STAGES[INQUIRY], at, cause, cause_event, score)

    def stage(self, key: bytes, lead: Lead, before: str, cause: str, score: int, cause_event: str | None) -> None:
        """A change of stage, after it happened to the lead."""
        self._transition(key, "stage", before, STAGES[lead.stage], lead.as_of, cause, cause_event, score)

    def qualified(self, key: bytes, lead: Lead, cause: str, score: int, cause_event: str | None) -> None:
        """A lead became an mql by its own doing: the public is told, and the desk."""
        self.stage(key, lead, STAGES[INQUIRY], cause, score, cause_event)
        self._waiting(key, lead, "mql", score, top_reasons(lead, self._rules, lead.as_of))

    def heat(
        self, key: bytes, lead: Lead, at: int, score: int, cause_event: str | None, *, by_rules: bool = False
    ) -> None:
        """A change of heat, after it happened to the lead; `by_rules`: nothing but new rules made it hot."""
        rules = self._rules
        if lead.hot_since:
            cause = f"score {score / 1_000:.1f} reached {rules.hot_at // 1_000}"
            if by_rules:
                cause += f" by the rules {rules.version}"
            self._transition(key, "heat", "cold", "hot", at, cause, cause_event, score)
        else:
            cause = f"score {score / 1_000:.1f} fell below {rules.cool_below // 1_000}"
            self._transition(key, "heat", "hot", "cold", at, cause, cause_event, score)

    def identity(self, key: bytes, before: str, after: str, at: int, cause: str, other: str | None, score: int) -> None:
        """A change of who a lead is; `other` is the lead that it became a part of, or was one of."""
        self._transition(key, "identity", before, after, at, cause, None, score, other)

    def duplicate(self, evidence_id: str, pair: tuple[str, str], status: str, at: int, cause: str) -> None:
        """What is thought of two leads that may be one person, in their order."""
        lead_id, other_id = pair
        record = LeadDuplicate(
            evidence_id=evidence_id,
            evidence=EVIDENCE[evidence_id[:1]],
            lead_id=lead_id,
            other_id=other_id,
            status=status,
            at=at * 1_000,
            cause=cause,
            source_partition=self._partition,
            source_offset=self.offset,
        )
        key = f"{evidence_id}:{lead_id}:{other_id}".encode()
        headers = self._headers(self._next_id(), _DUPLICATE, at, key)
        self._outputs.append(Output("lead.duplicates", self._partition, key, encode(record), headers))

    def hot_lead(self, key: bytes, lead: Lead, score: int, cause_event: str | None) -> None:
        """The alert that a lead got hot."""
        rules, alert_id = self._rules, self._next_id()
        reasons = top_reasons(lead, rules, lead.as_of)
        known = {known.kind: known.value for known in reversed(lead.known)}
        record = LeadAlert(
            alert_id=alert_id,
            kind="hot_lead",
            lead_id=key.decode(),
            at=lead.as_of * 1_000,
            behaviour_millipoints=score,
            level=rules.level(score),
            reasons=reasons,
            follow_up=rules.follow_up,
            email=known.get("e"),
            user_id=known.get("u"),
            model=rules.version,
            cause_event=cause_event,
            source_partition=self._partition,
            source_offset=self.offset,
        )
        headers = self._headers(alert_id, _ALERT, lead.as_of, key)
        self._outputs.append(Output("lead.alerts", self._partition, key, encode(record), headers))
        self._waiting(key, lead, "hot", score, reasons)

    def _waiting(self, key: bytes, lead: Lead, reason: str, score: int, reasons: tuple[Reason, ...]) -> None:
        """Mail to the desk: somebody should follow up on this lead."""
        country = ""
        if self.value[:PREFIX_SIZE] in ENGAGEMENTS:  # of what mail caused nobody knows where it came from
            with suppress(Undecodable):  # behind its head an event may be broken: it was folded nevertheless
                (country,) = engagement_fields(self.value, "country")
        record = Waiting(
            lead_id=key.decode(),
            reason=reason,
            at=lead.as_of * 1_000,
            score_millipoints=score,
            level=self._rules.level(score),
            country=country or "",
            email=lead.email,
            reasons=tuple(each.text for each in reasons),
            source_partition=self._partition,
            source_offset=self.offset,
        )
        self._outputs.append(Output(WAITING, self._partition, key, encode(record), []))

    def quarantine(
        self, key: bytes, value: bytes, event_id: bytes, verdict: str, reasons: tuple[str, ...], at_ms: int
    ) -> None:
        """An event that is kept out of scoring, with the reasons."""
        record = Quarantined(
            lead_id=key.decode(),
            verdict=verdict,
            reasons=reasons,
            at=at_ms,
            event_id=event_id.hex(),
            record=value,
            source_partition=self._partition,
            source_offset=self.offset,
        )
        headers = self._headers(self._next_id(), _QUARANTINED, at_ms // 1_000, key)
        self._outputs.append(Output("engagement.quarantine", self._partition, key, encode(record), headers))

    def reject(self, record: Rejected) -> None:
        """A dead letter."""
        key = record.source.encode()
        headers = self._headers(self._next_id(), _REJECTED, record.at // 1_000, key)
        self._outputs.append(Output("engagement.rejected", self._partition, key, encode(record), headers))

    def _transition(
        self,
        key: bytes,
        aspect: str,
        before: str,
        after: str,
        at: int,
        cause: str,
        cause_event: str | None,
        score: int,
        other: str | None = None,
    ) -> None:
        record = LeadTransition(
            lead_id=key.decode(),
            aspect=aspect,
            before=before,
            after=after,
            at=at * 1_000,
            cause=cause,
            cause_event=cause_event,
            behaviour_millipoints=score,
            source_partition=self._partition,
            source_offset=self.offset,
            other=other,
        )
        headers = self._headers(self._next_id(), TRANSITION, at, key)
        self._outputs.append(Output("lead.transitions", self._partition, key, encode(record), headers))

    def _next_id(self) -> str:
        self.count += 1
        return f"{self._id}{self.offset}-{self.count - 1}"

    def _headers(self, id: str, type: Header, at: int, subject: bytes) -> Headers:
        time = self._rfc3339(at)
        return [SPECVERSION, ("ce_id", id.encode()), type, SOURCE, ("ce_time", time), ("ce_subject", subject)]

    def _rfc3339(self, at: int) -> bytes:
        day, second = divmod(at, DAY_S)
        text = self._days.get(day)
        if text is None:
            if len(self._days) >= _MOST_DAYS:
                self._days.clear()
            text = self._days[day] = date.fromordinal(_EPOCH_DAY + day).isoformat().encode()
        return text + _MINUTES[second // 60] + _SECONDS[second % 60]
