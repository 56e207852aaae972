"""Recorded inboxes folded again, beside what was published and remembered: equal to the byte, or the first difference.

A partition is verified by itself: its recorded inbox holds ticks and mail, so nothing else is needed.  How far is
told by the cursor in its changelog.  What stands on the topics when all begins must be said by that inbox; what the
inbox says must stand there.  Memory: the states, twice, and a few megabytes for each topic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agents import desk, leads
from agents.lane.cursor import CursorUnreadable
from agents.lane.log import Bounds
from handraise.replay.batches import Stopped, batches
from handraise.replay.compare import Comparison, Ordered, Ours, PublishedStates, Stream
from handraise.replay.difference import Difference, state_difference
from handraise.replay.fingerprint import OFTEN, Fingerprint
from handraise.replay.inbox import Inbox, Remembered, remembered
from handraise.replay.letters import Post
from handraise.replay.pumped import Pumped
from handraise.replay.recorded import Recorded, StoredRecord
from schemas.codec import Undecodable, decode
from schemas.records import Rejected
from streams.compiled import compact_states
from streams.desk.publish import PUBLISHED
from streams.fold import Output, PartitionFold, States
from streams.poison import Skips
from streams.publish import INBOX, WAITING
from streams.ruleset import PROMOTED

BATCH = 4_000
"""Records folded at once, as by the lane."""
DEAD_LETTERS = "engagement.rejected"
ORDERED = ("lead.transitions", "lead.alerts", "engagement.quarantine", DEAD_LETTERS, WAITING)
COMPACTED = ("lead.duplicates", PUBLISHED)
LEAD_TOPICS = (OFTEN, *ORDERED, "lead.duplicates")
DESK_TOPICS = ("lead.assignments", "desk.notices", DEAD_LETTERS, PUBLISHED)
TOPICS = tuple(dict.fromkeys((INBOX, desk.INBOX, *LEAD_TOPICS, *DESK_TOPICS)))
"""All that is read beside the changelogs."""
Ends = Mapping[str, Mapping[int, Bounds]]
"""By topic and partition, as of when all began."""


@dataclass(frozen=True)
class Work:
    """What one verification needs to know."""

    fold: str
    """`leads-3`: the role, and the partition of its inbox."""
    role: str
    partition: int
    inbox: str
    changelog: str
    partitions: int
    """Of lead.events."""
    factory: Callable[[int, States, Skips], PartitionFold]
    """(partition, its states, the offsets that a person has decided to do without) -> the fold."""
    ends: Ends
    folder: Path
    """Where mail is laid down."""
    most: Callable[[], int] = lambda: BATCH
    """How many records to fold at once."""


@dataclass
class Verified:
    """What came of one inbox partition."""

    fold: str
    records: int = 0
    hash: str = ""
    read_to: int = 0
    """Where in the inbox the look for mail ended."""
    compared: dict[str, int] = field(default_factory=dict)
    """Records on record that are what they should be, by topic."""
    gone: dict[str, int] = field(default_factory=dict)
    """Records that are not kept any more, by topic."""
    differences: list[Difference] = field(default_factory=list)
    """The first of each topic's partition."""
    unverified: str = ""
    """Why nothing can be said of it, in words."""

    def add(self, comparison: Comparison) -> None:
        """Take in what came of one topic's partition."""
        name = comparison.name
        self.compared[name] = self.compared.get(name, 0) + comparison.compared
        if comparison.gone:
            self.gone[name] = self.gone.get(name, 0) + comparison.gone
        if comparison.difference is not None:
            self.differences.append(comparison.difference)


async def verify(recorded: Recorded, work: Work) -> Verified:
    """Verify one partition of an inbox.  Raises aiokafka's KafkaError."""
    done = Verified(work.fold)
    try:
        memory = await remembered(recorded, work.changelog, work.partition)
    except CursorUnreadable as error:
        done.unverified = str(error)
        return done
    first = work.ends[work.inbox][work.partition].first
    identity = await recorded.identity(work.inbox)
    if memory.cursor is None:
        done.unverified = "" if not memory.states else "its changelog has states and no cursor"
        if not memory.states and first < work.ends[work.inbox][work.partition].end:
            done.unverified = "no worker has folded it yet"
        done.read_to = first
        return done
    if identity is None or memory.cursor.topic_id != identity.topic_id:
        done.unverified = f"its changelog belongs to another {work.inbox} than the one that is there"
    elif first > 0:
        done.unverified = (
            f"retention has removed its beginning: it begins at offset {first}, and what a lead is depends on all "
            "that was before"
        )
    if done.unverified:
        done.read_to = first
        return done
    with Post(work.folder, work.fold) as post:
        try:
            await _Verification(recorded, work, memory, post, done).run()
        except Stopped as stopped:
            done.unverified = str(stopped)
    return done


async def skips(recorded: Recorded, work: Work) -> Skips:
    """The offsets that a person has decided to do without (`--skip`); only dead letters tell them."""
    found = set[int]()
    for partition in [work.partition] if work.role == leads.ROLE else work.ends[DEAD_LETTERS]:
        stream = _stream(recorded, work, DEAD_LETTERS, partition)
        while (there := await stream.peek_record()) is not None:
            stream.pop()
            letter = _dead_letter(there[0])
            if letter is not None and letter.code == "skipped" and letter.offset is not None:
                found.add(letter.offset)
    return found


def _stream(recorded: Recorded, work: Work, topic: str, partition: int) -> Stream:
    bounds = work.ends[topic][partition]
    ours = _SHARED.get((topic, work.role), _everything)
    return Stream(recorded.reader(topic, partition, bounds.first), ours, bounds.first, bounds.end)


class _Verification:
    """One fold over its recorded inbox, and its topics."""

    def __init__(self, recorded: Recorded, work: Work, memory: Remembered, post: Post, done: Verified) -> None:
        self._recorded, self._work, self._memory, self._post, self._done = recorded, work, memory, post, done
        self._print = Fingerprint()
        self._states: States = compact_states()
        reader = recorded.reader(work.inbox, work.partition, 0)
        is_desk = work.role == desk.ROLE
        self._pumped = Pumped(recorded, work.ends[WAITING]) if is_desk else None
        self._inbox = Inbox(reader, lambda records: None if is_desk else post.come(work.partition, records))
        self._ordered: dict[tuple[str, int], Ordered] = {}
        self._published: PublishedStates | None = None
        if not is_desk:
            stream = _stream(recorded, work, OFTEN, work.partition)
            self._published = PublishedStates(OFTEN, work.partition, work.fold, stream)

    async def run(self) -> None:
        """Fold all, compare all."""
        work, done = self._work, self._done
        end = self._memory.cursor.next_offset if self._memory.cursor else 0
        for topic, partition in self._places():
            stream, compacted = _stream(self._recorded, work, topic, partition), topic in COMPACTED
            self._ordered[topic, partition] = Ordered(topic, partition, work.fold, stream, compacted=compacted)
        await self._fold_all(work.factory(work.partition, self._states, await skips(self._recorded, work)), end)
        comparisons: list[Comparison] = [*self._ordered.values()]
        comparisons += [self._published] if self._published else []
        comparisons += self._pumped.comparisons if self._pumped else []
        for comparison in comparisons:
            await comparison.finish()
            done.add(comparison)
        self._compare_states()
        done.records, done.read_to = self._inbox.count, self._inbox.read_to
        done.hash = self._print.digest(self._states)

    def _places(self) -> Sequence[tuple[str, int]]:
        work = self._work
        if work.role == desk.ROLE:
            return [(topic, partition) for topic in DESK_TOPICS for partition in work.ends[topic]]
        return [(topic, work.partition) for topic in LEAD_TOPICS if topic != OFTEN]

    async def _fold_all(self, fold: PartitionFold, end: int) -> None:
        folded = 0
        while folded < end:
            cut = await self._published.next_cut(folded, end) if self._published else None
            folded = end if cut is None else cut
            while run := await self._inbox.take(folded, self._work.most()):
                if self._pumped:
                    await self._pumped.see(run)
                for said in batches(fold, run):
                    await self._said(said)
            if self._published and cut is not None:
                self._published.settle()

    async def _said(self, outputs: Sequence[Output]) -> None:
        self._print.add(outputs)
        grouped: dict[tuple[str, int], list[Output]] = {}
        for output in outputs:
            grouped.setdefault(output[:2], []).append(output)
        for place, said in grouped.items():
            if place[0] == INBOX:
                self._post.say(said)
            elif place[0] == OFTEN and self._published:
                self._published.say(said)
            else:
                await self._ordered[place].compare(said)

    def _compare_states(self) -> None:
        """The changelog is what the inbox gives."""
        work, kept = self._work, self._memory.states
        for key in sorted(kept.keys() | self._states.keys()):
            one, other = kept.get(key), self._states.get(key)
            if one != other:
                different = state_difference(work.changelog, work.partition, work.fold, key, one, other)
                self._done.differences.append(different)
                return
        self._done.compared[work.changelog] = len(kept)


def _dead_letter(record: StoredRecord) -> Rejected | None:
    try:
        letter = decode(record.value or b"")
    except Undecodable:
        return None
    return letter if isinstance(letter, Rejected) else None


def _everything(record: StoredRecord, transactional: bool) -> bool:
    return True


def _is_dead_letter_of_leads(record: StoredRecord, transactional: bool) -> bool:
    """What says that it is theirs; and what came in a transaction and does not say that it is the desk's."""
    return _LEADS in record.headers or (transactional and _DESK not in record.headers)


def _is_dead_letter_of_desk(record: StoredRecord, transactional: bool) -> bool:
    return _DESK in record.headers


def _is_in_force(record: StoredRecord, transactional: bool) -> bool:
    """Which rules are in force, the desk says; the sets themselves, whoever publishes them."""
    return record.key == PROMOTED.encode() or _DESK in record.headers


_LEADS, _DESK = ("ce_source", b"/handraise/leads"), ("ce_source", b"/handraise/desk")
_SHARED: dict[tuple[str, str], Ours] = {
    (DEAD_LETTERS, leads.ROLE): _is_dead_letter_of_leads,
    (DEAD_LETTERS, desk.ROLE): _is_dead_letter_of_desk,
    (PUBLISHED, desk.ROLE): _is_in_force,
}
"""Not one fold alone writes there: which records are whose."""
