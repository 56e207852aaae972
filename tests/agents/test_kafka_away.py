"""A broker that dies under mirror and notify: both wait for it, and go on where they were."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from deploy.local import Kafka
from tests.agents.readside import Readside, long_story, until
from tests.agents.test_notify import Office


async def test_both_go_on_after_a_broker_was_killed(
    own_kafka: Callable[[], Kafka], redis_url: str, prefix: str
) -> None:
    """While it is away mirror says so and is not fresh; when it is back all that was told gets through."""
    broker = await asyncio.to_thread(own_kafka)
    side = await Readside(broker.bootstrap, redis_url, prefix).create()
    await Readside(broker.bootstrap, redis_url, f"{prefix}x.").create()
    office = Office(broker.bootstrap, f"{prefix}x.")
    office.mail.start()
    await side.tell(long_story()[:100])
    async with side.mirror() as mirror, office.notify():

        async def silent() -> bool:
            return any("Kafka does not answer" in each for each in mirror.not_ready())

        await side.until_equal()
        await office.tell(office.notice())
        await office.recorded(1, "sent")
        await asyncio.to_thread(broker.kill)
        await until(silent, "mirror to say that Kafka is away")
        await asyncio.to_thread(broker.start)
        await office.tell(office.notice())
        await office.recorded(2, "sent")
        await side.tell(long_story()[100:200])
        await side.until_equal()
    assert len(office.mail.messages) == 2
    await asyncio.to_thread(office.mail.stop)
    office.hooks.close()
    side.redis.close()
