"""The desk's pump, with what nobody should have written to desk.waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition

from agents.desk import MOST_OUTSTANDING, Place, Pump
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


class Folding(Producer):
    """A producer to a desk that folds one record whenever somebody looks; hands come in between."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.folded, self.in_front_of_hands = 0, list[int]()

    async def send(self, topic: str, value: bytes, **where: int) -> asyncio.Future[Any]:
        """As a producer's; what is not folded yet stands in front of a hand that is raised now."""
        move, self.place.move = self.place.move, lambda offset: None  # type: ignore[method-assign]
        done = await super().send(topic, value, **where)
        self.place.move = move  # type: ignore[method-assign]
        self.in_front_of_hands.append(len(self.sent) - self.folded)
        return done

    async def fold(self) -> None:
        """Fold one after the other until cancelled."""
        while True:
            await asyncio.sleep(0)
            if self.folded < len(self.sent):
                self.place.move(self.folded)
                self.folded += 1


async def test_a_hand_never_has_more_than_one_lot_of_waiting_leads_in_front_of_it() -> None:
    """However many wait, at whatever moment it is raised: at most 25 of them stand between the desk and a hand."""
    place = Place()
    consumer, producer = Lots(2_000), Folding(place)
    folding = asyncio.create_task(producer.fold())
    await Pump("", "", 1, place).carry(consumer, producer, lambda: [0] if consumer.left else [])  # type: ignore[arg-type]
    folding.cancel()
    assert [decode(each).offset for each in producer.sent] == list(range(2_000))  # type: ignore[union-attr]
    assert max(producer.in_front_of_hands) == MOST_OUTSTANDING


class Lots:
    """Finds as many as it is asked for at most, as long as there are some."""

    def __init__(self, count: int) -> None:
        self.next, self.left = 0, count

    async def getmany(self, *, max_records: int, **_limits: int) -> Mapping[TopicPartition, list[Any]]:
        """As a consumer's."""
        taken = range(self.next, self.next + min(max_records, self.left))
        self.next, self.left = taken.stop, self.left - len(taken)
        return {WAITING: [SimpleNamespace(offset=n, value=b"somebody") for n in taken]}

    async def commit(self) -> None:
        """As a consumer's."""
