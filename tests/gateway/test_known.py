"""Stamps of raised hands: what the read side knows of who asks, and that nothing of it can hold up a hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest
from redis.asyncio import Redis

from deploy import probe
from gateway.known import RedisReadSide
from gateway.metrics import Metrics
from gateway.server import make_app
from schemas import readside as keys
from schemas.codec import encode
from schemas.records import LeadState, RaisedHand
from tests.gateway.conftest import NOW, config
from tests.gateway.memory import MemoryAppender
from tests.gateway.test_hand import JONAS

USER, MAIL, DEVICE = "u_aaaaaaaaaaaaaaaa", "e_bbbbbbbbbbbbbbbb", "a_cccccccccccccccc"
HAND = RaisedHand(
    "00000000000000aa",
    MAIL,
    (MAIL, DEVICE, "p_dddddddddddddddd"),
    *(NOW, NOW, "sales", "DK", "da", "jonas@brightwater.example", None, "Jonas", "", "", "human", (), ""),
    *(None, None, None, None),
    b"an engagement",
)


def state(millipoints: int) -> bytes:
    """A lead's state with that score."""
    return encode(LeadState("", NOW, millipoints, 1, True, NOW, "mql", NOW, NOW, NOW, 1, 1, "1", 0, 0))


class Known:
    """A read side that this test fills."""

    def __init__(self, url: str, prefix: str) -> None:
        self.redis: Redis = Redis.from_url(url)
        self.prefix, self.metrics = prefix, Metrics()
        self.side = RedisReadSide(url, prefix, self.metrics, patience_s=0.25, rest_s=0.2)

    async def put(
        self, generation: int, *, states: dict[str, int], owners: dict[str, str], moved: dict[str, str]
    ) -> None:
        """Fill a generation, and have it read."""
        base = keys.base(self.prefix, generation)
        for lead_id, millipoints in states.items():
            await self.redis.hset(base + keys.STATES, lead_id, state(millipoints))
        for lead_id, owner in owners.items():
            await self.redis.set(base + keys.owner(lead_id), owner)
        for lead_id, heir in moved.items():
            await self.redis.hset(base + keys.MOVED, lead_id, heir)
        await self.redis.set(keys.current(self.prefix), generation)

    async def stamps(self, hand: RaisedHand = HAND) -> tuple[str | None, int | None]:
        """Owner and score that a hand gets."""
        [stamped] = await self.side.stamp([hand])
        assert msgspec.structs.replace(stamped, owner=None, score_millipoints=None) == hand
        return stamped.owner, stamped.score_millipoints

    def count(self, outcome: str) -> float:
        """How many hands fared so."""
        found = self.metrics.registry.get_sample_value("handraise_gateway_stamps_total", {"outcome": outcome})
        assert found is not None
        return found


@pytest.fixture
async def known(redis_url: str, prefix: str) -> AsyncIterator[Known]:
    """A read side of this test's own, in a Redis that it shares."""
    made = Known(redis_url, prefix)
    yield made
    await made.side.close()
    await made.redis.aclose()


async def test_who_is_known_is_stamped(known: Known) -> None:
    """Owner and score of the strongest identifier that has one."""
    await known.put(1, states={MAIL: 41_000, DEVICE: 5_000}, owners={DEVICE: "ben"}, moved={})
    assert await known.stamps() == ("ben", 41_000)
    assert (known.count("known"), known.count("unknown")) == (1, 0)


async def test_who_is_part_of_another_lead_is_known_by_it(known: Known) -> None:
    """A forwarding address is followed: the lead it leads to has score and owner."""
    await known.put(1, states={USER: 66_000}, owners={USER: "ana"}, moved={MAIL: USER, DEVICE: ""})
    assert await known.stamps() == ("ana", 66_000)


async def test_who_is_not_known_has_no_stamps(known: Known) -> None:
    """Neither before there is a read side, nor where it does not know the person."""
    assert await known.stamps() == (None, None)
    await known.put(1, states={USER: 1_000}, owners={}, moved={})
    assert await known.stamps() == (None, None)
    assert known.count("unknown") == 2


async def test_a_flip_is_followed_at_once(known: Known) -> None:
    """After a rebuild the new generation is asked, from the next hand on."""
    await known.put(1, states={MAIL: 1_000}, owners={}, moved={})
    assert await known.stamps() == (None, 1_000)
    await known.put(2, states={MAIL: 2_000}, owners={}, moved={})
    assert await known.stamps() == (None, 2_000)


async def test_who_opted_out_is_not_told_by_what_was_tracked(known: Known) -> None:
    """A hand whose event is not passed on has no score; whom they spoke to last is no tracking."""
    await known.put(1, states={MAIL: 1_000}, owners={MAIL: "ben"}, moved={})
    assert await known.stamps(msgspec.structs.replace(HAND, engagement=b"")) == ("ben", None)


async def test_a_slow_redis_costs_a_moment_and_mixes_nothing_up(known: Known) -> None:
    """One that does not answer in time is left alone for a while; late answers are nobody's."""
    await known.put(1, states={MAIL: 1_000, USER: 2_000}, owners={}, moved={})
    assert await known.stamps() == (None, 1_000)
    await known.redis.execute_command("CLIENT", "PAUSE", 600, "ALL")
    begun = time.monotonic()
    assert await known.stamps() == (None, None)
    assert await known.stamps() == (None, None)
    assert time.monotonic() - begun < 0.5
    assert (known.count("no_answer"), known.count("not_asked")) == (1, 1)
    await known.redis.ping()
    await asyncio.sleep(0.2)  # the rest that it is given
    user = msgspec.structs.replace(HAND, lead_id=USER, identifiers=(USER,))
    assert await known.stamps(user) == (None, 2_000)
    assert await known.stamps() == (None, 1_000)


async def test_hands_go_their_way_without_a_redis() -> None:
    """With nobody at the address a hand is answered 200 and stands there without stamps; other events never ask."""
    metrics, appender = Metrics(), MemoryAppender()
    side = RedisReadSide(f"redis://127.0.0.1:{probe.free_port()}/0", "", metrics, rest_s=60)
    transport = httpx.ASGITransport(make_app(config(), appender, metrics, lambda: NOW, side))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test", auth=("demo", "")) as client:
        page = await client.post("/v1/page", json={"anonymousId": "device-7", "name": "Pricing"})
        assert metrics.registry.get_sample_value("handraise_gateway_stamp_seconds_count") == 0
        answers = [await client.post("/v1/track", json=JONAS | {"messageId": f"m{n}"}) for n in range(3)]
    assert {each.status_code for each in (page, *answers)} == {200}
    assert [(each.owner, each.score_millipoints) for each in appender.hands()] == [(None, None)] * 3
    assert metrics.registry.get_sample_value("handraise_gateway_stamp_seconds_count") == 1
