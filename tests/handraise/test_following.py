"""Who folds nothing has the rules in force, too: at the start, and each set that is promoted later."""

import asyncio
import contextlib
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from handraise import following, promotion, rules, topics
from handraise.failure import Failure
from handraise.rules import RuleSet
from handraise.settings import ROOT, Settings, read
from schemas.codec import encode
from schemas.records import PublishedRules
from schemas.topics import physical
from streams.ruleset import PROMOTED, record_files, version_of


def settings_of(kafka: str, prefix: str) -> Settings:
    """This test's deployment."""
    return read({"HANDRAISE_KAFKA": kafka, "HANDRAISE_PREFIX": prefix, "HANDRAISE_PARTITIONS": "1"})


def published(**changes: str) -> PublishedRules:
    """The shipped rules with other files."""
    texts = rules.read(ROOT / "rules") | {f"{name}.toml": text for name, text in changes.items()}
    return PublishedRules(version_of(texts), record_files(texts), 1, "ana")


async def put(settings: Settings, *promoted: PublishedRules) -> None:
    """Say what is in force, as the desk does."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka)
    await producer.start()
    for each in promoted:
        await producer.send_and_wait(physical(promotion.TOPIC, settings.prefix), encode(each), key=PROMOTED.encode())
    await producer.stop()


async def test_each_promoted_set_is_handed_over(kafka: str, prefix: str) -> None:
    """The one in force at first, then those that come; what this release cannot read changes nothing."""
    settings = settings_of(kafka, prefix)
    await topics.create(settings)
    given = rules.load(ROOT / "rules")
    assert await following.in_force(settings, given) is given
    first, second = published(alerts=given.texts["alerts.toml"] + "# 1"), published(model="cap = 1")
    third = published(alerts=given.texts["alerts.toml"] + "# 3")
    await put(settings, first)
    assert (await following.in_force(settings, given)).version == first.version
    came: asyncio.Queue[RuleSet] = asyncio.Queue()
    task = asyncio.create_task(following.follow(settings, came.put_nowait))
    async with asyncio.timeout(30):
        assert (await came.get()).version == first.version
        await put(settings, second, third)
        assert (await came.get()).version == third.version
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert (await promotion.known(settings)).sets == {}


async def test_a_set_is_published_once(kafka: str, prefix: str, tmp_path: Path) -> None:
    """The same content is the same version, by whomever, whenever; other content is another one."""
    settings = settings_of(kafka, prefix)
    await topics.create(settings)
    found, new = await promotion.publish(settings, ROOT / "rules", "ana")
    again, newer = await promotion.publish(settings, ROOT / "rules", "ben")
    assert (found.version, new, again.version, newer) == (version_of(found.texts), True, found.version, False)
    with pytest.raises(Failure, match="no rules were ever promoted"):
        await promotion.rollback(settings, "ana")
    there = await promotion.known(settings)
    assert [(each.version, each.by) for each in there.sets.values()] == [(found.version, "ana")]
    assert there.in_force is None
    await put(settings, there.sets[found.version])
    assert not (await promotion.promote(settings, found.version, "ana")).changed
    with pytest.raises(Failure, match="nothing was promoted before"):
        await promotion.rollback(settings, "ana")
    with pytest.raises(Failure) as unknown:
        await promotion.promote(settings, "nonsense", "ana")
    assert found.version in unknown.value.remedy
