"""The desk's pump, with what nobody should have written to desk.waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition

from agents.desk import Place, Pump
from schemas.codec import decode, encode
from schemas.records import Waited
from tests.streams.desk.harness import Box, hand, waited

BROKERS_TAKE = 1_000_000
WAITING = TopicPartition("desk.waiting", 0)


class Consumer:
    """Finds these values, once."""

    def __init__(self, *values: bytes | None) -> None:
        self.values = values

    async def getmany(self, **_limits: int) -> Mapping[TopicPartition, list[Any]]:
        """As a consumer's."""
        values, self.values = self.values, ()
        return {WAITING: [SimpleNamespace(offset=n, value=value) for n, value in enumerate(values)]}

    async def commit(self) -> None:
        """As a consumer's."""


class Producer:
    """Keeps what it is given; nothing is larger than a broker takes."""

    def __init__(self, place: Place) -> None:
        self.place, self.sent = place, list[bytes]()

    async def send(self, _topic: str, value: bytes, **_where: int) -> asyncio.Future[Any]:
        """As a producer's."""
        assert len(value) <= BROKERS_TAKE
        self.sent.append(value)
        self.place.move(len(self.sent) - 1)
        done = asyncio.get_running_loop().create_future()
        done.set_result(SimpleNamespace(offset=len(self.sent) - 1))
        return done


async def test_what_is_too_large_to_be_passed_on_does_not_stop_the_pump() -> None:
    """It is cut, so that the desk rejects it; what waits behind it comes to the desk."""
    place = Place()
    consumer, producer = Consumer(b"x" * BROKERS_TAKE, None, waited(2, "u:a").waiting), Producer(place)
    await Pump("", "", 1, place).carry(consumer, producer, lambda: [0] if consumer.values else [])  # type: ignore[arg-type]
    large, small = (decode(value) for value in producer.sent)
    assert isinstance(large, Waited) and isinstance(small, Waited)
    assert (large.offset, small.offset) == (0, 2)
    box = Box().get(large, small, hand(1))
    assert [it.topic for it in box.outputs if it.topic == "engagement.rejected"] == ["engagement.rejected"]
    assert box.last("w0-2").owner and box.last(1).owner
    assert len(encode(large)) < BROKERS_TAKE
