"""The console on real Kafka: shown before the commit, withdrawn after an abort; what people say stands in the inbox."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from console.reader import TOPICS, now_ms
from console.server import ConsoleConfig, serve
from schemas.codec import decode, encode
from schemas.records import Activity, Assignment
from schemas.topics import physical
from tests.console.world import FILES, HASH, PASSWORD, RULES, SECRET
from tests.gateway.broker import create_topics
from tests.streams.desk.harness import Box, hand

BOX = Box(files=FILES)


def assigned(request_id: str, offset: int, status: str = "assigned") -> Assignment:
    """Ben has it."""
    at = now_ms()
    due = at + 300_000
    fields = ("u_aaaaaaaaaaaaaaaa", "contact_request", "ben", None, None, status, due, None, 0, "raised_hand", ("Ben",))
    return Assignment(request_id, *fields, at, at, 0, offset)


class Signed:
    """Ben, signed in, and what he hears."""

    def __init__(self, browser: httpx.AsyncClient, events: asyncio.Queue[tuple[str, dict[str, object]]]) -> None:
        self.browser, self._events = browser, events

    async def hears(self, name: str) -> dict[str, object]:
        """The next event of that name."""
        async with asyncio.timeout(20):
            while True:
                found, data = await self._events.get()
                if found == name:
                    return data


@asynccontextmanager
async def signed_in(url: str) -> AsyncIterator[Signed]:
    """Sign Ben in, and listen."""
    events: asyncio.Queue[tuple[str, dict[str, object]]] = asyncio.Queue()
    async with httpx.AsyncClient(base_url=url, headers={"origin": url}, timeout=30) as browser:
        answer = await browser.post("/login", data={"rep": "ben", "password": PASSWORD})
        assert answer.status_code == 303

        async def listen() -> None:
            async with browser.stream("GET", "/api/stream") as stream:
                name = ""
                async for line in stream.aiter_lines():
                    field, _, value = line.partition(": ")
                    name = value if field == "event" else name
                    if field == "data":
                        events.put_nowait((name, json.loads(value)))

        task = asyncio.create_task(listen())
        signed = Signed(browser, events)
        await signed.hears("hello")
        yield signed
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def url(kafka: str, redis_url: str, prefix: str) -> AsyncIterator[str]:
    """A console that serves, on topics of its own."""
    await create_topics(kafka, prefix, names=TOPICS)
    config = ConsoleConfig(
        bootstrap=kafka,
        redis=redis_url,
        rules=RULES,
        desk_rules=BOX.rules,
        secret=SECRET,
        passwords=lambda: {"ben": HASH},
        prefix=prefix,
        port=0,
    )
    stop, started = asyncio.Event(), asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(config, stop, lambda host, port: started.set_result(f"http://{host}:{port}")))
    address = await started
    async with asyncio.timeout(30), httpx.AsyncClient(base_url=address) as probe:
        while (await probe.get("/readyz")).status_code != 200:  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(0.02)
    yield address
    stop.set()
    await asyncio.wait_for(serving, 20)


async def test_shown_before_the_commit_and_withdrawn_after_an_abort(url: str, kafka: str, prefix: str) -> None:
    """An assignment is pushed while its transaction is open; aborted, it is withdrawn; committed, it stands."""
    topic = physical("lead.assignments", prefix)
    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=f"{prefix}desk", acks="all")
    await producer.start()
    try:
        async with signed_in(url) as ben:
            await producer.begin_transaction()
            await producer.send_and_wait(topic, encode(assigned("0000000000000001", 5)), partition=1)
            shown = await ben.hears("assignment")
            await producer.abort_transaction()
            assert (await ben.hears("withdrawn"))["id"] == shown["id"]
            await producer.begin_transaction()
            await producer.send_and_wait(topic, encode(assigned("0000000000000001", 5)), partition=1)
            await producer.commit_transaction()
            assert (await ben.hears("assignment"))["id"] == shown["id"]
    finally:
        await producer.stop()


async def test_what_is_said_stands_in_the_inbox_and_is_answered_by_the_desk(url: str, kafka: str, prefix: str) -> None:
    """The console appends, and answers with the decision that names this record."""
    inbox, topic = physical("desk.events", prefix), physical("lead.assignments", prefix)
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all")
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False, auto_offset_reset="earliest")
    await producer.start()
    await consumer.start()
    try:
        async with signed_in(url) as ben:
            await producer.send_and_wait(inbox, encode(hand(1, at=now_ms())), partition=0)
            await producer.send_and_wait(topic, encode(assigned(f"{1:016x}", 0)), partition=0)
            await ben.hears("assignment")
            page = await ben.browser.get("/")
            assert "Jonas Vik" in page.text
            acting = asyncio.create_task(
                ben.browser.post(
                    "/act", data={"kind": "accept", "request_id": f"{1:016x}"}, headers={"hx-request": "true"}
                )
            )
            consumer.assign([TopicPartition(inbox, 0)])
            async with asyncio.timeout(20):
                while not isinstance(said := decode((record := await consumer.getone()).value), Activity):
                    pass
            assert (said.kind, said.rep) == ("accept", "ben")
            await producer.send_and_wait(topic, encode(assigned(f"{1:016x}", record.offset, "accepted")), partition=0)
            answer = await acting
            assert answer.status_code == 200
            assert ">Contacted<" in answer.text
    finally:
        await producer.stop()
        await consumer.stop()
