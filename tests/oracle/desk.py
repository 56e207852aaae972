"""What must hold at the desk, told from the topics alone and by none of its rules.

Who asked is decided once, where the hand first stands in the inbox; each request has one chain of owners and queues, in
the order of its records, and does not live on after its end by itself; what leads write comes once and in order.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from schemas.codec import decode
from schemas.records import Activity, Assignment, LeadAlert, LeadTransition, RaisedHand, Waited, Waiting
from tests.oracle.findings import Findings
from tests.oracle.replay import Record

OVER = frozenset({"contacted", "won", "lost", "spam", "expired"})


@dataclass
class DeskFound(Findings):
    """What was found at the desk."""

    hands: dict[str, RaisedHand] = field(default_factory=dict)
    """By request id."""
    activities: set[str] = field(default_factory=set)
    """The ids of what people said."""


class _Book:
    """The records in the forms in which they are asked for."""

    def __init__(
        self, inbox: Sequence[Record], assignments: Sequence[Sequence[Record]], waiting: Sequence[Sequence[Record]]
    ) -> None:
        self.hands: dict[str, int] = {}
        self.waited: dict[tuple[int, int], int] = {}
        self.again: set[int] = set()
        self.activities: set[int] = set()
        self.about: dict[str, set[str]] = defaultdict(set)
        """Lead → the requests that are about it."""
        self.found = DeskFound()
        for record in inbox:
            self._take(record)
        self.said: dict[str, list[Assignment]] = defaultdict(list)
        for partition in assignments:
            for record in partition:
                said = decode(record.value or b"")
                assert isinstance(said, Assignment)
                self.said[said.request_id].append(said)
                self.about[said.lead_id].add(said.request_id)
        names = Counter(record.id for partition in assignments for record in partition)
        self.found.doubled += [f"assignment {id.decode()}, {count} times" for id, count in names.items() if count > 1]
        self.waiting = waiting

    def _take(self, record: Record) -> None:
        body = decode(record.value or b"")
        if isinstance(body, RaisedHand):
            if body.request_id in self.hands:
                self.again.add(record.offset)
            self.hands.setdefault(body.request_id, record.offset)
            self.found.hands.setdefault(body.request_id, body)
            for each in (body.lead_id, *body.identifiers):
                self.about[each].add(body.request_id)
        elif isinstance(body, Waited):
            if (body.partition, body.offset) in self.waited:
                self.again.add(record.offset)
            self.waited.setdefault((body.partition, body.offset), record.offset)
        elif isinstance(body, Activity):
            self.activities.add(record.offset)
            self.found.activities.add(body.activity_id)


def judge(
    inbox: Sequence[Record], assignments: Sequence[Sequence[Record]], waiting: Sequence[Sequence[Record]]
) -> DeskFound:
    """Compare what the desk was told with what it said; `assignments` and `waiting` by partition."""
    book = _Book(inbox, assignments, waiting)
    found = book.found
    found.missing += _hands(book)
    found.missing += _mail(book)
    found.without_cause += _strangers(book)
    found.wrong += [each for chain in book.said.values() for each in _chain(book, chain)]
    last = [chain[-1] for chain in book.said.values()]
    found.counts.update(requests=len(book.hands), waited=len(book.waited), repeats=len(book.again))
    found.counts.update(assignments=sum(map(len, book.said.values())), activities=len(book.activities))
    over = sum(each.status in OVER for each in last)
    found.counts.update(final=over, open=len(last) - over)
    return found


def _hands(book: _Book) -> Iterator[str]:
    """Each hand is decided where it first stands."""
    for request, offset in book.hands.items():
        if not any(each.source_offset == offset for each in book.said.get(request, [])):
            yield f"request {request}: nothing was decided at {offset}"


def _mail(book: _Book) -> Iterator[str]:
    """What leads wrote first appears in the inbox in its order, without a gap.

    It becomes a request of its own, or part of one that is open.
    """
    for partition, records in enumerate(book.waiting):
        offsets = [book.waited.get((partition, record.offset)) for record in records]
        came = [each for each in offsets if each is not None]
        if len(came) < len(records):
            yield f"desk.waiting/{partition}: {len(records) - len(came)} never came to the desk"
        if came != sorted(came):
            yield f"desk.waiting/{partition}: not in order"
        for record, at in zip(records, offsets, strict=True):
            request = f"w{partition}-{record.offset}"
            if at is not None and not any(each.source_offset == at for each in book.said.get(request, [])):
                body = decode(record.value or b"")
                assert isinstance(body, Waiting)
                if not _is_waited_for(book, body.lead_id, at):
                    yield f"request {request} of {body.lead_id}: nothing was decided at {at}"


def _is_waited_for(book: _Book, lead_id: str, at: int) -> bool:
    """Whether somebody had an open request of that lead then."""
    for request in book.about[lead_id]:
        before = [each for each in book.said.get(request, []) if each.source_offset < at]
        if before and before[-1].status not in OVER:
            return True
    return False


def _strangers(book: _Book) -> Iterator[str]:
    """Nothing is assigned that nobody asked for, nor where it came a second time."""
    births = dict(book.hands)
    births |= {f"w{partition}-{offset}": at for (partition, offset), at in book.waited.items()}
    for request, chain in book.said.items():
        first = births.get(request)
        if first is None:
            yield f"request {request}: assigned, and nobody ever asked"
        elif chain[0].source_offset < first:
            yield f"request {request}: assigned at {chain[0].source_offset}, asked at {first}"
        for each in chain:
            if each.source_offset in book.again and each.cause in ("raised_hand", "hot", "mql"):
                yield f"request {request}: decided again at {each.source_offset}, where it only came again"


def _chain(book: _Book, chain: Sequence[Assignment]) -> Iterator[str]:
    """One owner or one queue at a time, in the order of what was folded; an end is an end unless somebody acts."""
    request = chain[0].request_id
    for each in chain:
        if (each.owner is None) == (each.queue is None):
            yield f"request {request}: owner {each.owner}, queue {each.queue} at {each.source_offset}"
        if each.status not in OVER and each.due_at is None and each.next_slot_at is None:
            yield f"request {request}: {each.status} at {each.source_offset}, and nothing is due"
    for before, after in pairwise(chain):
        if after.source_offset < before.source_offset:
            yield f"request {request}: {after.source_offset} after {before.source_offset}"
        if before.status in OVER and after.status not in OVER and after.source_offset not in book.activities:
            yield f"request {request}: {before.status}, then {after.status} by itself at {after.source_offset}"


def compare_mail(
    waiting: Sequence[Record], alerts: Sequence[Record], transitions: Sequence[Record]
) -> tuple[list[str], list[str]]:
    """What a partition's leads wrote to the desk, against what they told the public: what lacks, what has no cause.

    Who got hot and was given an alert waits, and who qualified by an event of their own.
    """
    wrote = Counter(
        (body.reason, body.lead_id, body.source_offset)
        for record in waiting
        if isinstance(body := decode(record.value or b""), Waiting)
    )
    told: Counter[tuple[str, str, int]] = Counter()
    may: Counter[tuple[str, str, int]] = Counter()
    for record in alerts:
        if isinstance(alert := decode(record.value or b""), LeadAlert):
            told["hot", alert.lead_id, alert.source_offset] += 1
    for record in transitions:
        if isinstance(it := decode(record.value or b""), LeadTransition) and (it.aspect, it.after) == ("stage", "mql"):
            (told if it.cause_event else may)["mql", it.lead_id, it.source_offset] += 1
    missing = [f"mail to the desk missing: {it}" for it in told - wrote]
    return missing, [f"mail to the desk: {it}" for it in wrote - told - may]


def passed_on_once(found: DeskFound, copies: Mapping[bytes, int]) -> tuple[list[str], list[str]]:
    """Whether the event of each hand came to its lead: what is missing, what came more than once.

    `copies`: how often each event was said under the strongest identifier in it.
    """
    missing, doubled = [], []
    for request, hand in found.hands.items():
        if hand.engagement and hand.topic == "sales" and hand.verdict == "human":
            count = copies.get(bytes.fromhex(request), 0)
            if count == 0:
                missing.append(f"the event of the hand {request} came to no lead")
            elif count > 1:
                doubled.append(f"the event of the hand {request} came {count} times")
    return missing, doubled
