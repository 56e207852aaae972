"""mirror on real Kafka and Redis: what it writes is what the topics say, whatever is killed, wiped or changed."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from agents.mirror import STALE_MS, Mirror, MirrorConfig
from deploy.redis_server import start_redis
from schemas import readside as keys
from streams.readside import fold
from streams.readside_batch import Batch
from tests.agents.readside import Readside, dump, long_story, until
from tests.oracle.readside import Said
from tests.streams.readside_stories import stories
from tests.streams.redis_model import RedisModel


@pytest.fixture
async def readside(kafka: str, redis_url: str, prefix: str) -> AsyncIterator[Readside]:
    """The topics of this test, and a Redis that it shares."""
    side = await Readside(kafka, redis_url, prefix).create()
    yield side
    side.redis.close()


async def test_what_is_written_is_what_the_topics_say(readside: Readside) -> None:
    """From the beginning and as records come; what was aborted is never there; all that is read has been written."""
    story = long_story()
    middle = len(story) // 2
    await readside.tell(story[:middle])
    async with readside.mirror() as mirror:
        await readside.until_equal()
        await readside.tell(story[middle:])
        await readside.until_equal()
        await until(lambda: _is_fresh(readside), "a lag of nothing")
        assert mirror.not_ready() == []
        assert mirror.metrics.unreadable.collect()[0].samples == []
    async with readside.mirror():  # goes on where it stood
        await readside.tell(story[:50])
        await readside.until_equal()
    assert readside.generation() == 1


async def _is_fresh(readside: Readside) -> bool:
    health = readside.redis.hgetall(f"{keys.base(readside.prefix, 1)}{keys.HEALTH}")
    return health.get(b"lag") == b"0" and health[b"caught_up"] == health[b"seen"]  # type: ignore[union-attr, index]


async def test_a_rebuild_flips_to_the_same(readside: Readside) -> None:
    """A rebuild fills a new generation; readers and the mirror at work go over to it, and the old one is forgotten."""
    await readside.tell(long_story()[:300])
    async with readside.mirror():
        await readside.until_equal()
        filled = await Mirror(MirrorConfig(readside.kafka, readside.url, readside.prefix)).rebuild()
        assert (filled.generation, readside.generation()) == (2, 2)
        await readside.tell(long_story()[300:400])
        await readside.until_equal()
    # Who was at work on the old one may have said so after it was forgotten, and forgets it again when going over.
    assert readside.generations() == {2}
    assert filled.records >= 300


async def test_what_retention_has_removed(readside: Readside) -> None:
    """Topics that do not reach back to their beginning, or hold nothing any more, are read as far as they do."""
    await readside.tell(long_story()[:200])
    await readside.expire("desk.events", {0: 3})
    await readside.expire("lead.alerts", {0: -1, 1: -1})
    for story in (long_story()[200:300], long_story()[300:400]):
        async with readside.mirror():
            await readside.tell(story)
            await readside.until_equal()
    assert readside.generation() == 1


async def test_one_works_and_another_stands_by(readside: Readside) -> None:
    """Of two mirrors one writes; when it leaves the other goes on."""
    await readside.tell(long_story()[:100])
    async with readside.mirror() as second:
        async with readside.mirror() as first:
            await until(lambda: _one_ready(first, second), "one of two to be at work")
            await readside.until_equal()
            leaving = first if not first.not_ready() else second
            staying = second if leaving is first else first
            assert staying.not_ready() == ["another mirror is at work"]
        await readside.tell(long_story()[100:200])
        await readside.until_equal()


async def _one_ready(*mirrors: Mirror) -> bool:
    return sorted(len(each.not_ready()) for each in mirrors) == [0, 1] and any(
        each.not_ready() == ["another mirror is at work"] for each in mirrors
    )


def _other_topic(redis: Redis, base: str) -> None:
    redis.hset(base + keys.IDENTITY, "lead.state", "another/2")


def _other_release(redis: Redis, base: str) -> None:
    redis.hset(base + keys.IDENTITY, "layout", "0")


def _beyond_the_end(redis: Redis, base: str) -> None:
    redis.hset(base + keys.PLACES, "lead.state/0", 1 << 40)


def _long_ago(redis: Redis, base: str) -> None:
    redis.hincrby(base + keys.HEALTH, "seen", -STALE_MS)


def _half_gone(redis: Redis, base: str) -> None:
    redis.delete(base + keys.PLACES)
    redis.hset(base + keys.STATES, "u_aaaaaaaaaaaaaaaa", b"nonsense")
    redis.delete(base.partition("rs:")[0] + "rs:current")


@pytest.mark.parametrize("spoil", [_other_topic, _other_release, _beyond_the_end, _long_ago, _half_gone])
async def test_what_cannot_be_gone_on_with_is_filled_anew(readside: Readside, spoil: object) -> None:
    """Offsets of other topics, another release's keys, an old copy: all are mended by filling anew, by itself."""
    await readside.tell(long_story()[:100])
    async with readside.mirror():
        await readside.until_equal()
    spoil(readside.redis, keys.base(readside.prefix, 1))  # type: ignore[operator]
    async with readside.mirror():
        await until(lambda: _generation(readside, 2), "a new generation")
        await readside.until_equal()


async def _generation(readside: Readside, wanted: int) -> bool:
    return readside.generation() == wanted


async def test_redis_killed_and_wiped(kafka: str, prefix: str, tmp_path: Path) -> None:
    """Redis is killed while records come, again and again, and once loses all: mirror waits, goes on, and is exact."""
    server, draw, story = start_redis(tmp_path), random.Random(7), long_story()
    side = await Readside(kafka, server.url, prefix).create()
    async with side.mirror() as mirror:
        for round_ in range(4):
            telling = asyncio.create_task(side.tell(story[round_ * 100 : round_ * 100 + 100]))
            await asyncio.sleep(draw.uniform(0, 0.3))
            await asyncio.to_thread(server.kill)
            await until(lambda: _waits(mirror), "mirror to notice")
            if round_ == 2:
                _wipe(tmp_path)
            await asyncio.to_thread(server.start)
            await telling
            await side.until_equal()
    side.redis.close()
    await asyncio.to_thread(server.kill)


def _wipe(folder: Path) -> None:
    for file in folder.glob("appendonlydir/*"):
        file.unlink()


async def _waits(mirror: Mirror) -> bool:
    return any("Redis does not answer" in each for each in mirror.not_ready())


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stories, st.randoms(use_true_random=False))
def test_the_model_of_redis_is_true(
    redis_url: str, prefix: str, story: dict[str, list[Said]], random: random.Random
) -> None:
    """The commands do in a real Redis what they do in the model that the laws of the read side are tested on."""
    base = f"{prefix}{next(_NUMBERS)}:"
    with Redis.from_url(redis_url) as real:
        model, batch = RedisModel(), Batch()
        for said in (each for part in story.values() for each in part):
            batch.add(fold(said.topic, said.key, said.value, said.at))
            if random.random() < 0.2:
                batch = _run(batch, model, real, base)
        _run(batch, model, real, base)
        found = {key.removeprefix(base): value for key, value in model.content().items()}
        assert dump(real, base) == {key: value for key, value in found.items() if key != keys.CARDS}


_NUMBERS = itertools.count()


def _run(batch: Batch, model: RedisModel, real: Redis, base: str) -> Batch:
    commands = list(batch.commands(base))
    model.run(commands)
    with real.pipeline() as pipe:
        for command in commands:
            pipe.execute_command(*command)
        pipe.execute()
    return Batch()
