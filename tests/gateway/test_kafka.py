"""The gateway as a process of its own on real Kafka."""

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable

import httpx
import pytest

from deploy.local import Kafka
from gateway.server import check_topics
from serving.server import StartError
from tests.gateway.broker import create_topics, engagements, rejected
from tests.gateway.conftest import ROOT, config
from tests.gateway.process import arguments, gateway

COUNT = 40


def batch(name: str) -> dict[str, object]:
    """Twenty events of twenty visitors, one of them bad."""
    events = [{"type": "page", "anonymousId": f"visitor-{name}-{n}", "messageId": f"{name}-{n}"} for n in range(19)]
    return {"batch": [*events, {"type": "page", "messageId": f"{name}-bad"}]}


async def test_an_acknowledged_event_is_in_kafka(kafka: str, prefix: str) -> None:
    """What was answered 200 is on lead.events, once, and bad events are in the dead letter."""
    await create_topics(kafka, prefix)
    with gateway(bootstrap=kafka, prefix=prefix) as running:
        async with httpx.AsyncClient(base_url=running.url, auth=("demo", "")) as client:
            answers = await asyncio.gather(*(client.post("/v1/batch", json=batch(str(n))) for n in range(COUNT)))
            assert [answer.status_code for answer in answers] == [200] * COUNT
            assert (await client.get("/readyz")).status_code == 200
            found = await engagements(kafka, prefix)
            assert len(found) == COUNT * 19
            assert {each.message_id for each in found} == {f"{k}-{n}" for k in range(COUNT) for n in range(19)}
            bad = await rejected(kafka, prefix)
            assert {json.loads(each.record)["messageId"] for each in bad} == {f"{k}-bad" for k in range(COUNT)}


async def test_nothing_acknowledged_is_lost_when_the_broker_is_killed(
    own_kafka: Callable[..., Kafka], prefix: str
) -> None:
    """kill -9 of the broker: clients get 503 and come again; afterwards every acknowledged event is there."""
    broker = own_kafka()
    await create_topics(broker.bootstrap, prefix)
    acknowledged: list[str] = []
    refused = asyncio.Event()
    done = asyncio.Event()

    async def visitor(client: httpx.AsyncClient, name: str) -> None:
        number = 0
        while not done.is_set():
            event = {"type": "page", "anonymousId": name, "messageId": f"{name}-{number}"}
            answer = await client.post("/v1/page", json=event)
            if answer.status_code == 200:
                acknowledged.append(event["messageId"])
                number += 1
            else:
                assert answer.status_code == 503
                assert answer.headers["retry-after"]
                refused.set()
                await asyncio.sleep(0.05)

    async def until(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():  # noqa: ASYNC110  the condition is the world's, nobody sets an event for it
                await asyncio.sleep(0.02)

    with gateway(bootstrap=broker.bootstrap, prefix=prefix, patience_s=1.0) as running:
        async with httpx.AsyncClient(base_url=running.url, auth=("demo", ""), timeout=30) as client:
            visitors = [asyncio.create_task(visitor(client, f"v{n}")) for n in range(8)]
            await until(lambda: len(acknowledged) > 200)
            broker.kill()
            await until(refused.is_set)
            assert (await client.get("/readyz")).status_code == 503
            await asyncio.to_thread(broker.start)
            before = len(acknowledged)
            await until(lambda: len(acknowledged) > before + 200)
            assert (await client.get("/readyz")).status_code == 200
            done.set()
            await asyncio.gather(*visitors)
        found = [each.message_id for each in await engagements(broker.bootstrap, prefix)]
        assert set(acknowledged) <= set(found)
        # Those answered 503 may be there: the client sends them again under the same message id.
        assert len(found) - len(set(found)) <= 8


async def test_sigterm_finishes_what_is_in_flight(kafka: str, prefix: str) -> None:
    """A gateway that is told to end answers the requests it has, stores them, and exits with 0."""
    await create_topics(kafka, prefix)
    with gateway(bootstrap=kafka, prefix=prefix) as running:
        async with httpx.AsyncClient(base_url=running.url, auth=("demo", "")) as client:
            posts = [asyncio.create_task(client.post("/v1/batch", json=batch(str(n)))) for n in range(COUNT)]
            await posts[0]
            running.child.send_signal(signal.SIGTERM)
            answers = await asyncio.gather(*posts, return_exceptions=True)
    good = [n for n, answer in enumerate(answers) if isinstance(answer, httpx.Response) and answer.status_code == 200]
    assert good
    found = {each.message_id for each in await engagements(kafka, prefix)}
    assert {f"{k}-{n}" for k in good for n in range(19)} <= found


async def test_it_refuses_to_start_without_its_topics(kafka: str, prefix: str) -> None:
    """A missing topic or another partition count: no start, and the message names the command that mends it."""
    with pytest.raises(StartError, match="handraise topics create"):
        await check_topics(config(bootstrap=kafka, prefix=prefix))
    await create_topics(kafka, prefix, partitions=2)
    with pytest.raises(StartError, match="HANDRAISE_PARTITIONS=2"):
        await check_topics(config(bootstrap=kafka, prefix=prefix))
    command = [sys.executable, "-m", "tests.gateway.process", arguments(bootstrap=kafka, prefix=prefix)]
    ended = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert re.search(r"where: .*\n *remedy: ", ended.stdout)


async def test_it_refuses_to_start_without_kafka() -> None:
    """No broker: the start is given up after a bounded time, in three parts."""
    with pytest.raises(StartError, match=r"HANDRAISE_KAFKA=127\.0\.0\.1:9"):
        await check_topics(config(bootstrap="127.0.0.1:9", connect_s=0.2))
