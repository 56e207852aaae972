"""`handraise rules publish`, `promote` and `rollback`: rule sets on rules.published, and which one is in force.

A promotion is a record of the desk's inbox, which carries the whole set.  Whoever says it waits until the desk has
folded it; the leads' workers are told in the same transaction, and each partition takes the set over at that record.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from handraise import output, rules, words
from handraise.clock import now_ms
from handraise.desk import CHANGELOG, INBOX, folded
from handraise.failure import CHECK_FAILED, Failure
from handraise.memory import memory
from handraise.rules import RuleSet
from handraise.settings import Settings
from handraise.subscriber import subscribe
from handraise.writer import writer
from schemas.codec import encode
from schemas.records import Promote, PublishedRules, Rejected
from schemas.topics import physical
from streams.ruleset import MOST_BYTES, PROMOTED, files_of, record_files, size_of

TOPIC = "rules.published"
REJECTED = "engagement.rejected"


class Known(NamedTuple):
    """What stands on rules.published."""

    sets: dict[str, PublishedRules]
    """By version, in the order in which they were published."""
    in_force: PublishedRules | None
    """None as long as none was promoted: each worker has what is in its folder."""


class Promoted(NamedTuple):
    """What came of a promotion."""

    version: str
    former: str | None
    """What was in force before; None if that was each worker's folder."""
    changed: bool
    """False if it was in force already."""


async def known(settings: Settings) -> Known:
    """What was published, and what is in force.  Raises Failure."""
    found: dict[str, PublishedRules] = {}
    async with subscribe(settings, [TOPIC], beginning=True) as subscriber:
        for seen in await subscriber.rest():
            if isinstance(seen.value, PublishedRules):
                found[(seen.raw.key or b"").decode(errors="replace")] = seen.value
    in_force = found.pop(PROMOTED, None)
    return Known({key: each for key, each in found.items() if key == each.version}, in_force)


async def publish(settings: Settings, folder: Path, by: str) -> tuple[RuleSet, bool]:
    """Check a folder of rules and put the set on the topic; False if it stands there already.  Raises Failure."""
    found = rules.load(folder)
    size = size_of(found.texts.values())
    if size > MOST_BYTES:
        raise Failure(
            f"the rules have {size} bytes; {MOST_BYTES} are taken, for they travel in one record",
            str(folder),
            "move long comments out of them",
        )
    if found.version in (await known(settings)).sets:
        return found, False
    record = PublishedRules(found.version, record_files(found.texts), now_ms(), by)
    async with writer(settings, "handraise-rules") as producer:
        topic = physical(TOPIC, settings.prefix)
        await producer.send_and_wait(topic, encode(record), key=found.version.encode(), partition=0)
    return found, True


async def promote(settings: Settings, version: str, by: str) -> Promoted:
    """Put a published set in force, and wait until the desk has taken it over.  Raises Failure."""
    there = await known(settings)
    return await _promote(settings, there, _named(there, version, settings), by)


async def rollback(settings: Settings, by: str) -> Promoted:
    """Put the set in force again that was so before the present one.  Raises Failure."""
    there = await known(settings)
    where = f"topic {physical(TOPIC, settings.prefix)} on {settings.kafka}"
    if there.in_force is None:
        raise Failure("no rules were ever promoted", where, "`handraise rules promote VERSION` is the first step")
    if there.in_force.former is None:
        raise Failure(
            f"nothing was promoted before {there.in_force.version}: each worker had the rules of its own folder",
            where,
            "`handraise rules publish DIR` that folder, and `handraise rules promote` its version",
        )
    return await _promote(settings, there, _named(there, there.in_force.former, settings), by)


async def _promote(settings: Settings, there: Known, wanted: PublishedRules, by: str) -> Promoted:
    former = there.in_force.version if there.in_force else None
    if former == wanted.version:
        return Promoted(wanted.version, former, changed=False)
    record = encode(Promote(wanted.version, record_files(files_of(wanted)), now_ms(), by))
    async with (
        memory(settings, CHANGELOG) as remembered,
        subscribe(settings, [REJECTED], beginning=False) as refusals,
        writer(settings, "handraise-rules") as producer,
    ):
        told = await producer.send_and_wait(physical(INBOX, settings.prefix), record, partition=0)
        await folded(settings, remembered, told.offset)
        for seen in await refusals.rest():
            match seen.value:
                case Rejected(topic=topic, offset=offset) as refused if (topic, offset) == (INBOX, told.offset):
                    raise Failure(
                        refused.reason.partition("; where: ")[0],
                        f"{INBOX}, offset {told.offset} on {settings.kafka}",
                        "run the desk in the release that published it, or publish what the desk's release can read",
                        CHECK_FAILED,
                    )
    return Promoted(wanted.version, former, changed=True)


def _named(there: Known, version: str, settings: Settings) -> PublishedRules:
    found = there.sets.get(version)
    if found is None:
        raise Failure(
            f"no rules with the version {version!r} were published",
            f"topic {physical(TOPIC, settings.prefix)} on {settings.kafka}",
            f"name {named_ones(there)}",
        )
    return found


def named_ones(there: Known) -> str:
    """The versions that there are, for a remedy."""
    ours = [f"{each.version} ({words.when(each.at // 1_000)} by {each.by})" for each in there.sets.values()]
    return (
        f"one of: {', '.join(ours)}" if ours else "what `handraise rules publish DIR` tells: nothing is published yet"
    )


def published_as_data(found: RuleSet, new: bool) -> dict[str, Any]:
    """For machines."""
    return {"version": found.version, "new": new, "model": found.rules.version, "desk": found.desk.version}


def show_published(found: RuleSet, new: bool) -> None:
    """In words."""
    output.say(f"{found.folder} {'is published' if new else 'was published before'} as {found.version}", "good")
    output.say(f"`handraise rules promote {found.version}` puts it in force", "quiet")


def promoted_as_data(done: Promoted) -> dict[str, Any]:
    """For machines."""
    return done._asdict()


def show_promoted(done: Promoted) -> None:
    """In words."""
    if not done.changed:
        output.say(f"{done.version} is in force already")
        return
    before = f"in place of {done.former}" if done.former else "in place of what each worker had in its folder"
    output.say(f"{done.version} is in force, {before}", "good")
    output.say("leads are judged anew when something happens to them; nobody is alerted by the change alone", "quiet")
