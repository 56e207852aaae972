"""A record that is as it should be is found equal however it is folded again; any change of it is found."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from handraise.failure import Failure
from handraise.replay.deployment import MAIL, Plan, ends_of
from handraise.replay.pumped import COPIES
from handraise.replay.recorded import recorded
from handraise.replay.verify import COMPACTED, DEAD_LETTERS, DESK_TOPICS, LEAD_TOPICS, Verified, skips, verify
from handraise.replay.window import replay
from handraise.replay.writing import FILES, Folder
from schemas.codec import encode
from schemas.records import Rejected
from schemas.wire import LOCK, PREFIX_SIZE, prefix
from streams.compiled import CompiledFold, lead_fold
from streams.desk.publish import PUBLISHED
from streams.lead_fold import LeadFold
from tests.e2e.deployment import Child, Deployment, until
from tests.handraise.replay.conftest import Recording, settings_of
from tests.handraise.replay.copies import Mixed, Stored
from tests.handraise.replay.falsified import KINDS, OF_DESK, behind, fold_of, longest, mail, replaced, somewhere
from tests.handraise.replay.judging import folded, ids, is_found, of, outcome, published
from tests.handraise.replay.recording import caught_up

NO_FMA = {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-FMA,-AVX2"}
LIBM = "import math; print(''.join(f(n / 64).hex() for f in (math.exp, math.sin) for n in range(4096)))"
WAITED = prefix(LOCK["Waited"][-1].id)
_chance = random.Random(5)
CUTS: dict[str, Callable[[], int]] = {
    "one": lambda: 1,
    "seven": lambda: 7,
    "any": lambda: _chance.choice([1, 2, 40, 3_000]),
}


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


PUBLIC = [topic for topic in (*LEAD_TOPICS, *OF_DESK) if topic != "desk.waiting"]


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
    for kind in ("missing", "another value"):
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
        place, early, late = replaced(recording.copy, topic)
        for lost, holes in ((early, 1), (early, 0), (late, 1)):
            copy = recording.copy.changed(place, lost.offset, KINDS["missing"], holes=holes)
            told = of(recording, copy, fold_of(place), tmp_path)
            if lost is early and holes:
                assert not told.differences and told.gone == {topic: 1}
            else:
                assert is_found(told.differences, place)


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


# -- into a folder


def test_it_is_what_was_published(recording: Recording, tmp_path: Path) -> None:
    """Each transition, alert and assignment of the topics, and perhaps what nobody had folded yet; never twice."""
    folder = folded(recording, tmp_path / "all")
    for topic in FILES:
        written = ids(folder, topic)
        assert len(set(written)) == len(written)
        assert set(published(recording.copy, topic)) <= set(written)


def test_its_states_are_the_workers_memory(recording: Recording, tmp_path: Path) -> None:
    """Under every lead that a worker remembers stands the same; the clocks may have gone on."""
    remembered: dict[tuple[str, str], bytes | None] = {}
    for topic, partition in recording.copy.chunks:
        if topic == "leads.changelog":
            for record in recording.copy.records((topic, partition)):
                remembered[f"leads-{partition}", (record.key or b"").decode("latin-1")] = record.value
    lines = (folded(recording, tmp_path / "all") / "states.jsonl").read_text().splitlines()
    told: dict[tuple[str, str], dict[str, Any]] = {}
    for line in lines:
        state = json.loads(line)
        told[state["fold"], state["key"]] = state
    of_leads = {place: value for place, value in remembered.items() if not place[1].startswith("\0")}
    kept = {place for place, value in of_leads.items() if value is not None}
    assert kept <= told.keys()
    assert all(base64.b64decode(told[place]["memory"]) == remembered[place] for place in kept)
    assert {state["is"] for place, state in told.items() if "is" in state} >= {"lead", "moved"}


def test_two_parts_are_the_whole(recording: Recording, tmp_path: Path) -> None:
    """What was said before a time and what was said from then on: together all, nothing twice; the end is the same."""
    times = sorted(it.timestamp for it in recording.copy.records(("lead.events", 0)))
    middle = times[len(times) // 2]
    whole = folded(recording, tmp_path / "whole")
    before, after = folded(recording, tmp_path / "a", until=middle), folded(recording, tmp_path / "b", since=middle)
    for topic in FILES:
        parts = [*ids(before, topic), *ids(after, topic)]
        assert sorted(parts) == sorted(ids(whole, topic))
        assert ids(before, topic) and ids(after, topic)
    assert (after / "states.jsonl").read_bytes() == (whole / "states.jsonl").read_bytes()
    assert (before / "states.jsonl").read_bytes() != (whole / "states.jsonl").read_bytes()


def test_a_beginning_that_is_gone_is_told(recording: Recording, tmp_path: Path) -> None:
    """What a lead is depends on all that was before: no folder is filled with half of it."""
    cut = recording.copy.expired(("lead.events", 2), 3)
    with (
        Folder(tmp_path, recording.rules.rules) as out,
        pytest.raises(Failure, match="partition 2: it begins at offset 3"),
    ):
        asyncio.run(replay(cut, recording.rules, None, None, out))
    assert not (tmp_path / "hash").exists()


# -- on Kafka itself


def verified(place: Deployment, *words: str, **env: str) -> dict[str, Any]:
    """What the command says to machines; it must find all equal."""
    done = place.run("replay", "--verify", "--json", *words, **env)
    assert done.returncode == 0, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_several_processes_and_no_fused_multiplication(recording: Recording) -> None:
    """Partitions divided among three processes, on a libm that rounds otherwise, as it does here: the same hash."""
    has_fma = "fma" in Path("/proc/cpuinfo").read_text().split()
    sums = [
        subprocess.run([sys.executable, "-c", LIBM], env=env, capture_output=True, check=True).stdout
        for env in (recording.place.env, recording.place.env | NO_FMA)
    ]
    assert (sums[0] != sums[1]) == has_fma
    told = verified(recording.place, "--processes", "3", **NO_FMA)
    here = outcome(recording)
    assert (told["hash"], told["records"], told["compared"]) == (here.hash, here.records, here.as_data()["compared"])


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.chaos_long), 3])
def test_other_workers_publish_the_same(recording: Recording, workers: int, tmp_path: Path) -> None:
    """The same inbox, folded anew by one worker and by three: what they publish and remember is equal to the byte."""
    with Deployment(recording.place.kafka, f"again{secrets.token_hex(4)}.", tmp_path) as place:
        place.create_topics()
        env = place.env | {"RECORDED": recording.place.prefix}
        place.children += [
            Child([], env, tmp_path / f"worker-{n}.log", module="tests.handraise.replay.again") for n in range(workers)
        ]
        inboxes = [("lead.events", partition) for partition in range(place.partitions)]
        ends = {inbox: recording.copy.records(inbox)[-1].offset for inbox in inboxes}
        until(lambda: all("partitions taken over" in each.log() for each in place.children), "all to have a share")
        until(lambda: caught_up(place, ends), "all to be folded again")
        for child in place.children:
            child.stop()

        async def run() -> list[Verified]:
            async with recorded(settings_of(recording.place)) as there, recorded(settings_of(place)) as here:
                topics = Mixed(there, here)
                partitions, all_ends = await ends_of(topics, "")
                plan = Plan(recording.rules, partitions, all_ends, tmp_path, lead_fold)
                return [await verify(topics, plan.work(fold)) for fold in plan.folds[:-1]]

        done = asyncio.run(run())
        assert not [each.lines() for one in done for each in one.differences]
        assert not [one.unverified for one in done if one.unverified]
        assert sum(one.records for one in done) >= sum(len(recording.copy.records(inbox)) for inbox in inboxes)


def test_a_difference_is_told_so_that_it_can_be_found(recording: Recording, tmp_path: Path) -> None:
    """A record more on a topic: exit code 1, and where it is, whose word it should be and what it says."""
    forged = recording.copy.records(("lead.alerts", 0))[0]
    with Deployment(recording.place.kafka, recording.place.prefix, tmp_path) as place:
        producer = Producer({"bootstrap.servers": place.kafka})
        producer.produce(place.topic("lead.alerts"), forged.value, forged.key, 0, headers=forged.headers)
        assert producer.flush(30) == 0
        told = place.run("replay", "--verify")
        assert told.returncode == 1, told.stdout
        offset = recording.copy.ends["lead.alerts", 0].end
        assert f"lead.alerts, partition 0, offset {offset}: a record is there that the inbox does" in told.stdout
        assert dict(forged.headers)["ce_id"].decode() in told.stdout
        assert "1 difference, 0 parts not verified" in told.stdout
