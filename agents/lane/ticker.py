"""Time passing, as records: a Tick a second in each owned inbox partition, so that no fold ever reads a clock.

Ticks are outside of the lane's transactions: the fold takes the largest it has seen, so a lost or doubled one is
harmless. A partition that changed hands gets one from its new owner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.codec import encode
from schemas.records import Tick

log = structlog.get_logger("agents.lane")

PERIOD_S = 1.0
PATIENCE_S = 5.0  # a tick that old is worth nothing: the next one says more


class Ticker:
    """Appends ticks; `owned` tells the partitions at this moment, `now_ms` the time."""

    def __init__(
        self, bootstrap: str, inbox: str, owned: Callable[[], Collection[int]], now_ms: Callable[[], int]
    ) -> None:
        self._bootstrap, self._inbox, self._owned, self._now_ms = bootstrap, inbox, owned, now_ms
        self.unanswered = False
        """Whether the last ticks were not taken: the first that an idle worker notices of a cluster that is away."""

    async def run(self) -> None:
        """Tick until cancelled. A cluster that does not answer costs ticks, nothing else."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            acks="all",
            linger_ms=0,
            request_timeout_ms=int(PATIENCE_S * 1000),
            retry_backoff_ms=100,
        )
        try:
            await producer.start()
            while True:
                await self._tick(producer)
                await asyncio.sleep(PERIOD_S)
        finally:
            await producer.stop()

    async def _tick(self, producer: AIOKafkaProducer) -> None:
        value = encode(Tick(at=self._now_ms()))
        partitions = list(self._owned())
        results = await asyncio.gather(
            *(producer.send_and_wait(self._inbox, value, partition=partition) for partition in partitions),
            return_exceptions=True,
        )
        missed = [partition for partition, result in zip(partitions, results, strict=True) if _missed(result)]
        self.unanswered = bool(missed)
        if missed:
            log.warning("ticks not appended", partitions=missed)


def _missed(result: object) -> bool:
    """Whether a tick was not taken; raises what is no matter of the cluster."""
    if isinstance(result, BaseException) and not isinstance(result, KafkaError):
        raise result
    return isinstance(result, KafkaError)
