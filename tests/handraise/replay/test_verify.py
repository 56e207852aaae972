"""A record that is as it should be is found equal however it is folded again; any change of it is found."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agents.lane.cursor import CURSOR_KEY, decode_cursor
from handraise.replay.deployment import MAIL, Outcome, Plan, ends_of, verify_here
from handraise.replay.difference import Difference
from handraise.replay.pumped import COPIES
from handraise.replay.verify import COMPACTED, DEAD_LETTERS, DESK_TOPICS, LEAD_TOPICS, Verified, skips, verify
from schemas.codec import encode
from schemas.records import Rejected
from schemas.wire import LOCK, PREFIX_SIZE, prefix
from streams.compiled import CompiledFold, lead_fold
from streams.desk.publish import PUBLISHED
from streams.lead_fold import LeadFold
from tests.handraise.replay.conftest import Recording
from tests.handraise.replay.copies import Change, Copy, Place, Stored

WAITED = prefix(LOCK["Waited"][-1].id)
_chance = random.Random(5)
CUTS: dict[str, Callable[[], int]] = {
    "one": lambda: 1,
    "seven": lambda: 7,
    "any": lambda: _chance.choice([1, 2, 40, 3_000]),
}


def outcome(recording: Recording, copy: Copy | None = None, **how: object) -> Outcome:
    """What a verification of the recording, or of a falsified copy of it, says."""
    return asyncio.run(verify_here(copy or recording.copy, recording.rules, **how))  # type: ignore[arg-type]


def of(recording: Recording, copy: Copy, fold: str, folder: Path) -> Verified:
    """What a verification of one partition says."""

    async def run() -> Verified:
        partitions, ends = await ends_of(copy, "")
        return await verify(copy, Plan(recording.rules, partitions, ends, folder, lead_fold).work(fold))

    return asyncio.run(run())


def test_it_is_equal_and_nothing_was_left_out(recording: Recording) -> None:
    """Each record of each topic that a fold writes was compared, once, and so was every remembered state."""
    told = outcome(recording)
    assert told.ok, [each.lines() for each in told.differences]
    there: Counter[str] = Counter()
    for (topic, partition), chunks in recording.copy.chunks.items():
        records = recording.copy.records((topic, partition))
        if topic == "lead.events":
            there[MAIL] += sum(len(chunk.records) for chunk in chunks if chunk.transactional)
        elif topic.endswith("changelog"):
            there[topic] += len({it.key for it in records} - {it.key for it in _gone(records)}) - 1  # the cursor
        elif topic == PUBLISHED:
            there[topic] += sum(it.key == b"promoted" for it in records)
        elif topic == "desk.events":
            there[COPIES] += len({it.value for it in records if (it.value or b"")[:PREFIX_SIZE] == WAITED})
        else:
            there[topic] += len(records)
    assert dict(there) == told.compared
    assert min(there[topic] for topic in (*LEAD_TOPICS, *DESK_TOPICS, MAIL)) > 1
    inboxes = [place for place in recording.copy.chunks if place[0] in ("lead.events", "desk.events")]
    assert told.records == sum(len(recording.copy.records(place)) for place in inboxes) - behind(recording.copy)
    assert not told.gone and not told.unverified


def _gone(records: list[Stored]) -> list[Stored]:
    last = {record.key: record for record in records}
    return [record for record in last.values() if record.value is None]


def behind(copy: Copy) -> int:
    """Records of the inboxes that nobody had folded when the workers were stopped."""
    found = 0
    for inbox, changelog in (("lead.events", "leads.changelog"), ("desk.events", "desk.changelog")):
        for topic, partition in copy.chunks:
            if topic == changelog:
                cursors = [it.value for it in copy.records((topic, partition)) if it.key == CURSOR_KEY]
                end = decode_cursor(cursors[-1]).next_offset
                found += sum(it.offset >= end for it in copy.records((inbox, partition)))
    return found


def test_a_deployment_at_work_is_verified_as_far_as_it_has_come(recording: Recording) -> None:
    """While workers and clocks go on, what has been folded is equal."""
    assert recording.alive["ok"], recording.alive
    assert recording.alive["records"] > 1_000


@pytest.mark.parametrize("cut", CUTS)
def test_other_cuts(recording: Recording, cut: str) -> None:
    """However the inboxes are cut into batches: equal, and the same hash."""
    told = outcome(recording, most=CUTS[cut])
    assert told.ok, [each.lines() for each in told.differences]
    assert told.hash == outcome(recording).hash


@pytest.mark.parametrize("fold", [LeadFold, CompiledFold])
def test_with_and_without_the_compiled_kernel(recording: Recording, fold: type[LeadFold]) -> None:
    """The lead fold in Python alone, and with its kernel, over a real record: equal, and the same hash."""
    told = outcome(recording, lead_folds=fold)
    assert told.ok
    assert told.hash == outcome(recording).hash


# -- falsified


def flipped(value: bytes | None) -> bytes:
    """The same with its last bit turned."""
    return b"?" if not value else value[:-1] + bytes([value[-1] ^ 1])


KINDS: dict[str, Change] = {
    "missing": lambda it: [],
    "doubled": lambda it: [it, it],
    "another value": lambda it: [replace(it, value=flipped(it.value))],
    "another key": lambda it: [replace(it, key=flipped(it.key))],
    "no value": lambda it: [replace(it, value=None if it.value else b"x")],
    "another id": lambda it: [replace(it, headers=[(n, flipped(v) if n == "ce_id" else v) for n, v in it.headers])],
    "another time": lambda it: [replace(it, headers=[(n, flipped(v) if n == "ce_time" else v) for n, v in it.headers])],
}
OF_DESK = ("lead.assignments", "desk.notices", PUBLISHED)
PUBLIC = [topic for topic in (*LEAD_TOPICS, *OF_DESK) if topic != "desk.waiting"]


def somewhere(copy: Copy, topic: str, chance: random.Random) -> tuple[Place, Stored]:
    """Some record that a fold wrote there, with a value."""
    records = [
        (place, it)
        for place in copy.chunks
        if place[0] == topic
        for it in copy.records(place)
        if it.value is not None and is_of(place, it)
    ]
    return chance.choice(records)


def is_of(place: Place, record: Stored) -> bool:
    """Whether the fold that is asked about wrote it."""
    return (("ce_source", b"/handraise/desk") in record.headers) == (place[0] in OF_DESK)


def longest(copy: Copy, topic: str) -> tuple[Place, list[Stored]]:
    """The partition of a topic in which its fold wrote most, and what that is."""
    found = {
        place: [it for it in copy.records(place) if is_of(place, it)] for place in copy.chunks if place[0] == topic
    }
    place = max(found, key=lambda each: len(found[each]))
    return place, found[place]


def fold_of(place: Place) -> str:
    """Who writes there."""
    return "desk-0" if place[0] in OF_DESK else f"leads-{place[1]}"


def is_found(differences: list[Difference], place: Place) -> bool:
    """Whether a difference is told of that topic's partition."""
    return any((each.topic, each.partition) == place for each in differences)


@pytest.mark.parametrize("topic", [*PUBLIC, "desk.waiting"])
def test_every_kind_of_change_is_found(recording: Recording, topic: str, tmp_path: Path) -> None:
    """One record is missing, there twice, or has another byte in value, key or header: found, in its topic."""
    chance = random.Random(topic)
    for kind, change in KINDS.items():
        if topic == "desk.waiting" and kind in ("another id", "another time"):
            continue  # mail has no headers
        place, record = somewhere(recording.copy, topic, chance)
        told = of(recording, recording.copy.changed(place, record.offset, change), fold_of(place), tmp_path)
        assert is_found(told.differences, place), (kind, place, record)


@pytest.mark.parametrize("topic", PUBLIC)
def test_a_forged_record_at_the_end_is_found(recording: Recording, topic: str, tmp_path: Path) -> None:
    """A record more, whether it was there before, names an offset that nobody has folded, or none at all."""
    chance = random.Random(topic)
    place, record = somewhere(recording.copy, topic, chance)
    ids = [dict(record.headers)["ce_id"], f"{fold_of(place)}-99999999-0".encode(), b"no id of ours"]
    for id in ids:
        headers = [(name, id if name == "ce_id" else value) for name, value in record.headers]
        for transactional in (False, True):
            copy = recording.copy.appended(place, replace(record, headers=headers), transactional=transactional)
            told = of(recording, copy, fold_of(place), tmp_path)
            assert is_found(told.differences, place), (id, transactional)


@pytest.mark.parametrize("topic", PUBLIC)
def test_another_order_is_found(recording: Recording, topic: str, tmp_path: Path) -> None:
    """Two records of a partition that have changed places."""
    place, ours = longest(recording.copy, topic)
    first, last = ours[0], ours[-1]
    swapped = recording.copy.changed(place, first.offset, lambda it: [replace(last, offset=it.offset)])
    swapped = swapped.changed(place, last.offset, lambda it: [replace(first, offset=it.offset)])
    assert is_found(of(recording, swapped, fold_of(place), tmp_path).differences, place)


@pytest.mark.parametrize("changelog", ["leads.changelog", "desk.changelog"])
def test_another_memory_is_found(recording: Recording, changelog: str, tmp_path: Path) -> None:
    """A state that was changed, lost or invented."""
    place = (changelog, 0)
    times = Counter(it.key for it in recording.copy.records(place))
    last = [it for it in recording.copy.records(place) if times[it.key] == 1][-1]
    fold = "desk-0" if changelog == "desk.changelog" else "leads-0"
    for kind in ("another value", "another key", "missing", "no value"):
        told = of(recording, recording.copy.changed(place, last.offset, KINDS[kind]), fold, tmp_path)
        assert is_found(told.differences, place), kind


def mail(copy: Copy) -> tuple[Place, list[Stored]]:
    """An inbox, and the mail in it."""
    for place, chunks in copy.chunks.items():
        letters = [record for chunk in chunks if chunk.transactional for record in chunk.records]
        if place[0] == "lead.events" and letters:
            return place, letters  # type: ignore[return-value]
    raise AssertionError("there is no mail")


def test_mail_that_is_doubled_or_invented_is_found(recording: Recording) -> None:
    """A letter in a transaction that no fold wrote, at the end of an inbox: found, and told with what it says."""
    place, letters = mail(recording.copy)
    letter = letters[0]
    told = outcome(recording, recording.copy.appended(place, letter, transactional=True))
    assert [(each.topic, each.partition, each.kind) for each in told.differences] == [(*place, "extra")]
    assert told.differences[0].offset == recording.copy.ends[place].end


def test_mail_that_is_missing_or_another_is_found(recording: Recording) -> None:
    """A letter that is not there, or says something else; whoever should have read it did more than was published."""
    place, letters = mail(recording.copy)
    letter = letters[-1]
    for kind in ("missing", "doubled", "another value", "another key"):
        told = outcome(recording, recording.copy.changed(place, letter.offset, KINDS[kind]))
        assert is_found(told.differences, place), kind


def test_what_the_pump_brought_otherwise_is_found(recording: Recording, tmp_path: Path) -> None:
    """A lead that waits and was left out, or brought as another one, by whoever copies desk.waiting."""
    place, record = somewhere(recording.copy, "desk.waiting", random.Random(1))
    for kind in ("doubled", "another value"):
        told = of(recording, recording.copy.changed(place, record.offset, KINDS[kind]), "desk-0", tmp_path)
        assert is_found(told.differences, place), kind
    on_its_way = recording.copy.appended(place, record)
    assert not of(recording, on_its_way, "desk-0", tmp_path).differences


def test_what_a_person_did_without_is_done_without(recording: Recording, tmp_path: Path) -> None:
    """A dead letter says that somebody had a worker skip a record: the replay skips it too, whoever's it was."""
    at = Rejected("lead.events", "skipped", "", 0, b"", None, "lead.events", 1, 77)
    of_desk = Rejected("desk.events", "skipped", "", 0, b"", None, "desk.events", 0, 5)

    async def run() -> list[object]:
        copy = recording.copy
        for letter, role in ((at, b"leads"), (of_desk, b"desk")):
            headers = [("ce_source", b"/handraise/" + role)]
            copy = copy.appended((DEAD_LETTERS, 1), Stored(0, 0, None, encode(letter), headers))
        partitions, ends = await ends_of(copy, "")
        plan = Plan(recording.rules, partitions, ends, tmp_path, lead_fold)
        return [await skips(copy, plan.work(fold)) for fold in ("leads-0", "leads-1", "desk-0")]

    assert asyncio.run(run()) == [set(), {77}, {5}]


# -- not all is kept


def test_what_compaction_took_is_told_and_what_it_leaves_is_compared(recording: Recording, tmp_path: Path) -> None:
    """A state that a later one of the same lead has replaced may be gone if its offset is empty; the last may not."""
    for topic in ("lead.state", *COMPACTED):
        place, early, late = _replaced(recording.copy, topic)
        compacted = of(
            recording, recording.copy.changed(place, early.offset, KINDS["missing"], holes=1), fold_of(place), tmp_path
        )
        assert not compacted.differences and compacted.gone == {topic: 1}
        never_written = of(
            recording, recording.copy.changed(place, early.offset, KINDS["missing"]), fold_of(place), tmp_path
        )
        assert is_found(never_written.differences, place)
        last_gone = of(
            recording, recording.copy.changed(place, late.offset, KINDS["missing"], holes=1), fold_of(place), tmp_path
        )
        assert is_found(last_gone.differences, place)


def test_a_tombstone_may_be_gone_too(recording: Recording, tmp_path: Path) -> None:
    """Compaction takes the tombstone of a lead that is gone, after a while; its offset is empty then."""
    place, tombstone = next(
        (place, it)
        for place in recording.copy.chunks
        if place[0] == "lead.state"
        for it in recording.copy.records(place)
        if it.value is None
    )
    for holes in (0, 1):
        copy = recording.copy.changed(place, tombstone.offset, KINDS["missing"], holes=holes)
        assert is_found(of(recording, copy, fold_of(place), tmp_path).differences, place) == (not holes)


def _replaced(copy: Copy, topic: str) -> tuple[Place, Stored, Stored]:
    """A record that a later one of its key replaces, and the last one of that key."""
    for place in copy.chunks:
        if place[0] == topic:
            records = copy.records(place)
            last = {record.key: record for record in records}
            for record in records:
                if last[record.key] is not record:
                    return place, record, last[record.key]
    raise AssertionError(f"nothing on {topic} was replaced")


@pytest.mark.parametrize("topic", [t for t in (*PUBLIC, "desk.waiting") if t not in ("lead.state", *COMPACTED)])
def test_what_retention_took_of_a_topic_is_told_and_the_rest_is_compared(
    recording: Recording, topic: str, tmp_path: Path
) -> None:
    """The beginning of a topic is gone: so many are not kept; a change behind it is found."""
    place, ours = longest(recording.copy, topic)
    middle = ours[len(ours) // 2]
    cut = recording.copy.expired(place, middle.offset)
    told = of(recording, cut, fold_of(place), tmp_path)
    assert not told.differences and told.gone[topic] == len(ours) // 2
    for kind in ("missing", "another value", "doubled"):
        changed = cut.changed(place, ours[-1].offset, KINDS[kind])
        assert is_found(of(recording, changed, fold_of(place), tmp_path).differences, place), kind
    nothing_left = recording.copy.expired(place, recording.copy.ends[place].end)
    assert of(recording, nothing_left, fold_of(place), tmp_path).gone[topic] == len(ours)


def test_an_inbox_whose_beginning_is_gone_is_never_called_equal(recording: Recording) -> None:
    """What a lead is depends on all before: that partition is not verified, nor the mail; the others are."""
    cut = recording.copy.expired(("lead.events", 1), 5)
    told = outcome(recording, cut)
    assert not told.ok and not told.differences
    assert set(told.unverified) == {"leads-1", MAIL}
    assert "begins at offset 5" in told.unverified["leads-1"]
    assert sum(bool(each.hash) for each in told.partitions) == len(told.partitions) - 1


def test_a_changelog_of_another_inbox_is_told(recording: Recording) -> None:
    """A topic that was deleted and made again is none that can be verified."""
    identities = recording.copy.identities
    other = identities["lead.events"]._replace(topic_id="another")
    told = outcome(recording, replace(recording.copy, identities={**identities, "lead.events": other}))
    assert (not told.ok and len(told.unverified) == len(recording.copy.identities) and False) or "another" in str(
        told.unverified
    )
