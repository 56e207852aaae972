"""Appends records to Kafka in micro-batches: one in flight per partition, the next collects meanwhile.

Delivery guarantee: when `append` returns, all replicas in sync have the records (acks=all), in their order within each
partition, each once (idempotent producer).  When it raises Unavailable the outcome is unknown: some or all of the
records may be in Kafka or get there yet.  The caller's client sends them again, and a repeat is known by its event id.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from gateway.metrics import Metrics

log = structlog.get_logger()

_ROW_OVERHEAD_BYTES = 200
"""What a waiting row costs besides its key and value."""
_MAX_BATCH_BYTES = 900_000
"""Below the broker's default message.max.bytes of 1,048,588."""
_BREATH_S = 0.25
_PROBE_AFTER_S = 3.0
_PROBE_PATIENCE_S = 2.0
_REQUEST_TIMEOUT_MS = 10_000
"""A broker that does not answer for so long is asked again, over a new connection."""


class Row(NamedTuple):
    """A record to append; the topic is its logical name."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes
    timestamp: int


class Unavailable(Exception):  # noqa: N818  it is a state, told to clients as 503
    """The records cannot be appended now, or not in time; str() says why."""


class Appender(Protocol):
    """Where events go.  The in-memory one of the tests passes the same contract tests as the one on Kafka."""

    async def append(self, rows: Sequence[Row]) -> None:
        """Return when all rows are safe; raise Unavailable at once or after a bounded wait."""

    async def ready(self) -> str | None:
        """Why nothing can be appended at the moment, or None."""


class _Receipt:
    """One call of `append`: how many of its rows are not yet safe."""

    __slots__ = ("done", "left")

    def __init__(self, left: int, done: asyncio.Future[None]) -> None:
        self.left, self.done = left, done


class _Lane:
    """The rows on their way to one partition."""

    __slots__ = ("busy_since", "partition", "topic", "waiting", "wake")

    def __init__(self, topic: str, partition: int) -> None:
        self.topic, self.partition = topic, partition
        self.waiting: deque[tuple[_Receipt, Row]] = deque()
        self.wake = asyncio.Event()
        self.busy_since: float | None = None
        """Since when what goes first waits for Kafka, by the loop's clock in seconds; None when nothing does."""


class KafkaAppender:
    """The appender on Kafka.  A producer that broke is replaced; waiting and memory are bounded.

    `buffer_bytes` bounds the rows not yet acknowledged, `patience_s` the time that a request waits for Kafka.
    """

    def __init__(
        self,
        bootstrap: str,
        topics: dict[str, str],
        metrics: Metrics,
        *,
        buffer_bytes: int,
        patience_s: float,
        client_id: str = "handraise-gateway",
    ) -> None:
        self._bootstrap, self._topics, self._metrics, self._client_id = bootstrap, topics, metrics, client_id
        self._buffer_bytes, self._patience_s = buffer_bytes, patience_s
        self._bytes = 0
        self._lanes: dict[tuple[str, int], _Lane] = {}
        self._waiting: dict[_Receipt, float] = {}
        """The calls that wait, and until when by the loop's clock; the oldest first."""
        self._alarm: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._producer: asyncio.Future[AIOKafkaProducer] | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing = False
        self._confirmed_at = float("-inf")

    async def start(self) -> None:
        """Connect.  Raises Unavailable if Kafka does not answer within the patience; then it may be called again."""
        loop = asyncio.get_running_loop()
        self._producer = loop.create_future()
        try:
            async with asyncio.timeout(self._patience_s):
                self._producer.set_result(await self._connect())
        except Exception as error:
            raise Unavailable(f"Kafka at {self._bootstrap} does not answer: {error or type(error).__name__}") from error

    async def append(self, rows: Sequence[Row]) -> None:
        """Return when Kafka has all rows; see the module's docstring for what Unavailable means."""
        if not rows:
            return
        loop = asyncio.get_running_loop()
        lanes = [self._lane(row.topic, row.partition) for row in rows]
        now = loop.time()
        self._refuse_if_stuck(lanes, now)
        size = sum(map(_size, rows))
        if self._bytes + size > self._buffer_bytes:
            raise Unavailable(f"{self._bytes} bytes wait for Kafka, as many as may wait")
        self._bytes += size
        self._idle.clear()
        receipt = _Receipt(len(rows), loop.create_future())
        self._waiting[receipt] = deadline = now + self._patience_s
        if self._alarm is None:
            self._alarm = loop.call_at(deadline, self._lose_patience)
        for lane, row in zip(lanes, rows, strict=True):
            lane.waiting.append((receipt, row))
            if lane.busy_since is None:
                lane.busy_since = now
                lane.wake.set()
        try:
            await receipt.done
        finally:
            del self._waiting[receipt]

    async def ready(self) -> str | None:
        """Why nothing can be appended at the moment, or None; Kafka is asked if it has confirmed nothing lately."""
        if self._producer is None or not self._producer.done():
            return f"there is no connection to Kafka at {self._bootstrap}"
        now = asyncio.get_running_loop().time()
        try:
            self._refuse_if_stuck(self._lanes.values(), now)
        except Unavailable as stuck:
            return str(stuck)
        if now - self._confirmed_at > _PROBE_AFTER_S:
            try:
                async with asyncio.timeout(_PROBE_PATIENCE_S):
                    await self._producer.result().client.fetch_all_metadata()
            except (KafkaError, TimeoutError) as error:
                return f"Kafka at {self._bootstrap} does not answer: {error or type(error).__name__}"
            self._confirmed_at = now
        return None

    def buffered_bytes(self) -> int:
        """Bytes of the rows that Kafka has not confirmed."""
        return self._bytes

    async def close(self) -> None:
        """Send what waits, within the patience, and disconnect."""
        self._closing = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience_s):
                await self._idle.wait()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._producer is not None and self._producer.done() and not self._producer.cancelled():
            await self._stop(self._producer.result())

    def _refuse_if_stuck(self, lanes: Iterable[_Lane], now: float) -> None:
        for lane in lanes:
            # The same sum as a call's own deadline: whoever comes after the first that lost patience is told at once.
            if lane.busy_since is not None and now >= lane.busy_since + self._patience_s:
                waited = now - lane.busy_since
                raise Unavailable(f"{lane.topic}/{lane.partition} has waited for Kafka for {waited:.0f} s")

    def _lose_patience(self) -> None:
        """Answer the calls that have waited too long: one alarm for all of them costs less than one for each."""
        loop = asyncio.get_running_loop()
        self._alarm, now = None, loop.time()
        for receipt, deadline in self._waiting.items():
            if deadline > now:
                self._alarm = loop.call_at(deadline, self._lose_patience)
                return
            if not receipt.done.done():
                receipt.done.set_exception(Unavailable(f"Kafka has not confirmed within {self._patience_s} s"))

    def _lane(self, topic: str, partition: int) -> _Lane:
        lane = self._lanes.get((topic, partition))
        if lane is None:
            lane = self._lanes[topic, partition] = _Lane(self._topics[topic], partition)
            self._spawn(self._serve(lane))
        return lane

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            raise RuntimeError("the appender is not started: call start() first")
        return await asyncio.shield(self._producer)

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Say why a task died; its lane then stays busy, so that requests are refused and readiness turns red."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task of the appender died", error=repr(error), exc_info=error)

    async def _serve(self, lane: _Lane) -> None:
        """Send the lane's batches, one after the other, for as long as the appender lives."""
        clock = asyncio.get_running_loop().time
        while True:
            await lane.wake.wait()
            producer = await self._connected()
            batch = self._fill(lane, builder := producer.create_batch())
            if batch:
                await self._send(lane, producer, builder, batch)
            if lane.waiting:
                lane.busy_since = clock()
            else:
                lane.wake.clear()
                lane.busy_since = None

    async def _send(
        self, lane: _Lane, producer: AIOKafkaProducer, builder: Any, batch: list[tuple[_Receipt, Row]]
    ) -> None:
        try:
            acknowledged = await producer.send_batch(builder, lane.topic, partition=lane.partition)
            await acknowledged
        except Exception as error:
            # Whatever it is, this producer's sequence numbers may have a gap now, and every later batch would fail.
            log.warning("batch failed", topic=lane.topic, partition=lane.partition, rows=len(batch), error=repr(error))
            self._replace(producer)
            self._settle(batch, Unavailable(f"Kafka refused the batch: {error or type(error).__name__}"))
        else:
            self._confirmed_at = asyncio.get_running_loop().time()
            self._metrics.batch_events.observe(len(batch))
            self._settle(batch, None)

    def _fill(self, lane: _Lane, builder: Any) -> list[tuple[_Receipt, Row]]:
        """Move what waits into a batch, as much as fits; rows whose request has been answered are dropped."""
        batch: list[tuple[_Receipt, Row]] = []
        waiting = lane.waiting
        while waiting:
            entry = waiting[0]
            receipt, row = entry
            if receipt.done.done():
                self._release(row)
            elif builder.append(key=row.key, value=row.value, timestamp=row.timestamp) is None:
                break  # full; never with its first row, whatever its size
            else:
                batch.append(entry)
            waiting.popleft()
        builder.close()
        return batch

    def _settle(self, batch: Iterable[tuple[_Receipt, Row]], error: Unavailable | None) -> None:
        for receipt, row in batch:
            self._release(row)
            receipt.left -= 1
            if receipt.done.done():
                continue
            if error is not None:
                receipt.done.set_exception(error)
            elif receipt.left == 0:
                receipt.done.set_result(None)

    def _release(self, row: Row) -> None:
        self._bytes -= _size(row)
        if not self._bytes:
            self._idle.set()

    def _replace(self, broken: AIOKafkaProducer) -> None:
        current = self._producer
        if self._closing or current is None or not current.done() or current.result() is not broken:
            return
        self._metrics.producers_replaced.inc()
        self._producer = asyncio.get_running_loop().create_future()
        self._spawn(self._reconnect(self._producer, broken))

    async def _reconnect(self, promise: asyncio.Future[AIOKafkaProducer], broken: AIOKafkaProducer) -> None:
        self._spawn(self._stop(broken))
        delay_s = 0.1
        while True:
            try:
                producer = await self._connect()
            except Exception as error:
                log.warning("no connection to Kafka", kafka=self._bootstrap, error=repr(error), retry_in_s=delay_s)
            else:
                promise.set_result(producer)
                log.info("producer replaced", kafka=self._bootstrap)
                return
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, 2.0)

    async def _connect(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            client_id=self._client_id,
            acks="all",
            enable_idempotence=True,
            max_batch_size=_MAX_BATCH_BYTES,
            max_request_size=_MAX_BATCH_BYTES + 100_000,
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
            retry_backoff_ms=250,
            metadata_max_age_ms=60_000,
        )
        _take_breath(producer.client)
        try:
            await producer.start()
            for topic in self._topics.values():
                await producer.partitions_for(topic)
        except BaseException:
            await self._stop(producer)
            raise
        return producer

    async def _stop(self, producer: AIOKafkaProducer) -> None:
        """Disconnect a producer; one with batches that cannot be sent would wait for ever."""
        try:
            async with asyncio.timeout(self._patience_s):
                await producer.stop()
        except Exception as error:
            log.warning("producer not stopped cleanly", error=repr(error))
            # What stop() has not come to.  Left alone, it would go on looking for its batches' leaders, or wait for
            # word of them, which nobody gives once the client is closed: so it is cancelled until it ends.
            await producer.client.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_BREATH_S):
                    await producer._sender.close()


def _take_breath(client: Any) -> None:
    """Have a client pause after it has asked in vain where partitions are.

    A producer that looks for a partition without a leader asks again at once: while Kafka is away, hundreds of times a
    second, with a connection and two lines in the log each.
    """
    ask = client.force_metadata_update

    async def paced() -> bool:
        found: bool = await ask()
        if not found:
            await asyncio.sleep(_BREATH_S)
        return found

    client.force_metadata_update = lambda: asyncio.ensure_future(paced())


def _size(row: Row) -> int:
    return len(row.key or b"") + len(row.value) + _ROW_OVERHEAD_BYTES
