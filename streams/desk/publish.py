"""What the desk publishes: assignments, notices, and engagements on their way to the lead; with derived ids."""

from __future__ import annotations

from datetime import date

from schemas.codec import encode
from schemas.keys import partition_of
from schemas.records import Assignment, Notice, Rejected
from streams.desk import words
from streams.desk.lifecycle import FINAL
from streams.desk.roster import Person
from streams.desk.state import Case
from streams.fold import Output
from streams.publish import SPECVERSION, Header
from streams.ruleset import PROMOTED

INBOX = "desk.events"
LEADS = "lead.events"
PUBLISHED = "rules.published"
_SOURCE: Header = ("ce_source", b"/handraise/desk")
_ASSIGNMENT: Header = ("ce_type", b"handraise.Assignment")
_NOTICE: Header = ("ce_type", b"handraise.Notice")
_RULES: Header = ("ce_type", b"handraise.PublishedRules")
_REJECTED: Header = ("ce_type", b"handraise.Rejected")
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAY_S = 86_400
_MOST_KEYS = 4_096


class DeskPublisher:
    """Collects the outputs of the open batch."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._outputs: list[Output] = []
        self._count = 0
        self._second, self._time = -1, b""
        self._partition_of: dict[bytes, int] = {}
        self.offset = 0
        """The inbox record that is being folded."""

    def begin(self, offset: int) -> None:
        """The next inbox record."""
        self.offset, self._count = offset, 0

    def take(self) -> list[Output]:
        """The outputs so far; the next batch begins with none."""
        outputs, self._outputs = self._outputs, []
        return outputs

    def engagement(self, lead_id: str, value: bytes) -> None:
        """The event that carried a raised hand goes to its lead, so that it scores."""
        self._send(LEADS, lead_id.encode(), value, [])

    def assignment(self, case: Case, at: int, due: int | None, cause: str, trace: tuple[str, ...]) -> None:
        """Who has a case: one record for each of its requests."""
        is_open = case.status not in FINAL
        for ask in case.asks:
            record = Assignment(
                request_id=ask.request_id,
                lead_id=ask.lead_id,
                follow_up_class=case.follow_up_class,
                owner=case.owner or None,
                queue=case.queue or None,
                responsible=case.responsible or None,
                status=case.status,
                due_at=due if is_open else None,
                next_slot_at=case.next_slot or None,
                attempt=case.attempt,
                cause=cause,
                trace=trace,
                requested_at=ask.requested_at,
                decided_at=at,
                source_partition=0,
                source_offset=self.offset,
            )
            key = ask.lead_id.encode()
            self._send("lead.assignments", key, encode(record), self._headers(self._next_id(), _ASSIGNMENT, at, key))

    def notice(
        self,
        to: str,
        kind: str,
        case: Case | None,
        text: str,
        at: int,
        channels: tuple[str, ...],
        *,
        deliver_after: int = 0,
        due: int | None = None,
        ask: int = 0,
    ) -> None:
        """Tell a person, a queue or the visitor something; `ask`: the place of the request among the case's."""
        notice_id = self._next_id()
        record = Notice(
            notice_id=notice_id,
            to=to,
            kind=kind,
            request_id=case.asks[ask].request_id if case else None,
            lead_id=case.asks[ask].lead_id if case else None,
            text=text,
            at=at,
            deliver_after=max(at, deliver_after),
            due_at=due,
            channels=channels,
        )
        key = case.asks[ask].lead_id.encode() if case and to == words.VISITOR else to.encode()
        self._send("desk.notices", key, encode(record), self._headers(notice_id, _NOTICE, at, key))

    def tell(self, person: Person, kind: str, case: Case, text: str, at: int, due: int | None = None) -> None:
        """Tell a person of the roster, in their working hours."""
        begins = person.next_start(at) or at
        channels = person.channels[1:] or person.channels if kind == "reminder" else person.channels
        self.notice(person.id, kind, case, text, at, channels, deliver_after=begins, due=due)

    def promote(self, mail: bytes, in_force: bytes, at: int) -> None:
        """Every partition of the leads is told of a rule set, and the public that it is in force."""
        self._outputs += [Output(LEADS, partition, None, mail, []) for partition in range(self._partitions)]
        headers = self._headers(self._next_id(), _RULES, at, PROMOTED.encode())
        self._outputs.append(Output(PUBLISHED, 0, PROMOTED.encode(), in_force, headers))

    def reject(self, record: Rejected) -> None:
        """A dead letter."""
        key = record.source.encode()
        headers = self._headers(self._next_id(), _REJECTED, record.at, key)
        self._send("engagement.rejected", key, encode(record), headers)

    def _send(self, topic: str, key: bytes, value: bytes, headers: list[Header]) -> None:
        partition = self._partition_of.get(key)
        if partition is None:
            if len(self._partition_of) >= _MOST_KEYS:
                self._partition_of.clear()
            partition = self._partition_of[key] = partition_of(key, self._partitions)
        self._outputs.append(Output(topic, partition, key, value, headers))

    def _next_id(self) -> str:
        self._count += 1
        return f"desk-0-{self.offset}-{self._count - 1}"

    def _headers(self, id: str, type: Header, at: int, subject: bytes) -> list[Header]:
        second = at // 1_000
        if second != self._second:
            day, rest = divmod(second, _DAY_S)
            minute, left = divmod(rest, 60)
            clock = f"T{minute // 60:02d}:{minute % 60:02d}:{left:02d}Z"
            self._second, self._time = second, (date.fromordinal(_EPOCH_DAY + day).isoformat() + clock).encode()
        return [SPECVERSION, ("ce_id", id.encode()), type, _SOURCE, ("ce_time", self._time), ("ce_subject", subject)]
