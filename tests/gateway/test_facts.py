"""The facts of a deployment on real Kafka: the first to lay one down decides, whatever others try meanwhile."""

import asyncio
import re
import subprocess
import sys

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from gateway import facts
from gateway.server import check_id_key
from schemas.codec import encode
from schemas.records import DeploymentFact
from schemas.topics import physical
from serving.server import StartError
from streams.identity import fingerprint
from tests.gateway.broker import create_topics, records
from tests.gateway.conftest import ROOT, SECRET, config
from tests.gateway.process import arguments, gateway

PATIENCE_S = 30.0


async def test_a_fact_is_laid_down_once(kafka: str, prefix: str) -> None:
    """Before the first there is none; what the first said stands, whoever comes later; each fact for itself."""
    await create_topics(kafka, prefix)
    assert await facts.known(kafka, prefix, "id_key") is None
    assert await facts.lay_down(kafka, prefix, "id_key", "one", PATIENCE_S) == "one"
    assert await facts.lay_down(kafka, prefix, "id_key", "two", PATIENCE_S) == "one"
    assert await facts.lay_down(kafka, prefix, "other", "three", PATIENCE_S) == "three"
    assert await facts.known(kafka, prefix, "id_key") == "one"
    found = [(each.name, each.value) for each in await records(kafka, prefix, facts.TOPIC) if hasattr(each, "name")]
    assert found == [("id_key", "one"), ("other", "three")]


@pytest.mark.parametrize("attempt", range(3))
async def test_of_many_at_once_one_decides(kafka: str, prefix: str, attempt: int) -> None:
    """Six lay down six values at the same moment: one of them stands, and all six see it."""
    await create_topics(kafka, prefix)
    values = [f"{attempt}-{n}" for n in range(6)]
    seen = await asyncio.gather(*(facts.lay_down(kafka, prefix, "id_key", each, PATIENCE_S) for each in values))
    assert len(set(seen)) == 1
    assert seen[0] in values
    assert await facts.known(kafka, prefix, "id_key") == seen[0]


async def test_who_dies_in_the_middle_has_said_nothing(kafka: str, prefix: str) -> None:
    """What was begun and not finished does not stand, holds nobody up, and cannot be finished any more."""
    await create_topics(kafka, prefix)
    topic = physical(facts.TOPIC, prefix)
    dead = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=f"{topic}.id_key")
    await dead.start()
    try:
        await dead.begin_transaction()
        await dead.send_and_wait(topic, encode(DeploymentFact("id_key", "dead", 1)), b"id_key", partition=0)
        assert await facts.lay_down(kafka, prefix, "id_key", "alive", PATIENCE_S) == "alive"
        with pytest.raises(KafkaError):
            await dead.commit_transaction()
    finally:
        await dead.stop()
    assert await facts.known(kafka, prefix, "id_key") == "alive"


async def test_two_gateways_with_two_keys_at_once(kafka: str, prefix: str) -> None:
    """One goes on; the other is told what is wrong, where, and what to do."""
    await create_topics(kafka, prefix)
    ends = await asyncio.gather(
        *(check_id_key(config(bootstrap=kafka, prefix=prefix, id_secret=key)) for key in (b"one key", b"another key")),
        return_exceptions=True,
    )
    [refused] = [end for end in ends if end is not None]
    assert isinstance(refused, StartError)
    assert "another id key than the deployment's" in refused.what
    assert refused.where == f"topic {physical(facts.TOPIC, prefix)} on {kafka}"
    assert "HANDRAISE_SECRETS" in refused.remedy


async def test_a_gateway_with_another_key_does_not_start(kafka: str, prefix: str) -> None:
    """The first start lays down the key's fingerprint; another process with it starts, one with another key exits 2."""
    await create_topics(kafka, prefix)
    for _ in range(2):
        with gateway(bootstrap=kafka, prefix=prefix):
            assert await facts.known(kafka, prefix, facts.ID_KEY) == fingerprint(SECRET)
    word = arguments(bootstrap=kafka, prefix=prefix, id_secret=b"another key")
    command = [sys.executable, "-m", "tests.gateway.process", word]
    ended = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert re.search(r"another id key .*\n *where: topic .*\n *remedy: set HANDRAISE_SECRETS", ended.stdout)
    assert b"another key".hex() not in ended.stdout + ended.stderr


async def test_without_kafka_there_are_no_facts() -> None:
    """The start is given up after a bounded time, in three parts."""
    with pytest.raises(StartError, match=r"HANDRAISE_KAFKA=127\.0\.0\.1:9"):
        await check_id_key(config(bootstrap="127.0.0.1:9", connect_s=0.2))
