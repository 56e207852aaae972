"""The composition: a Faust app that carries one lane, and a worker that runs it until it is told to stop.

Faust reads, assigns and rebalances; the lane decides what is folded and committed. Nothing here is a singleton: two
lanes can be built in one process.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import faust
import structlog

from agents.lane.config import LaneConfig
from agents.lane.errors import LaneFailed
from agents.lane.guard import Guard
from agents.lane.kafka_log import MAX_BATCH_BYTES
from agents.lane.log import Log
from agents.lane.loop import Lane
from agents.lane.slot import Slot
from agents.lane.transport import Run
from agents.metrics import LaneMetrics

log = structlog.get_logger("agents.lane")

# A backlog should come in runs of a whole batch, because a key that changes often in one batch is written once:
# 4,000 records of 700 bytes. Together with max_poll_records a poll then takes one partition's run after another's.
PARTITION_FETCH_BYTES = 3 << 20

# The broker answers a commit before the markers are written, 1 to 2 ms. A transaction begun meanwhile is refused, and
# aiokafka tries again after a fixed 20 ms: resting for 3 makes back-to-back transactions take 7 ms instead of 25.
REST_S = 0.003
# Only after a batch of a thousand or more, so that nobody waits where there is little to do.
GATHER_S = 0.05


class LaneApp(faust.App):  # type: ignore[misc]
    """A Faust app whose one agent feeds a lane."""

    lane_config: LaneConfig
    lane_log: Log
    lane: Lane
    guard: Guard
    metrics: LaneMetrics

    def __init__(self, config: LaneConfig, lane_log: Log, guard: Guard) -> None:
        super().__init__(config.group, **_faust_settings(config))
        self.lane_config, self.lane_log, self.guard = config, lane_log, guard
        self.metrics = LaneMetrics(config.role)
        self.lane = Lane(
            self.metrics,
            max_batch=config.max_batch,
            fail=guard.die,
            changing_hands=lambda: self.rebalancing,
            paused=self._pause,
            rest=lambda: asyncio.sleep(REST_S),
            gather_s=GATHER_S,
        )
        self.kafka_is_silent: Callable[[], bool] = lambda: False
        """Whether the cluster has stopped to answer what is sent every second; set by who sends it."""
        self._retiring: set[asyncio.Task[None]] = set()

    async def on_first_start(self) -> None:
        """Stock Faust makes a data directory here; a lane keeps nothing on disk."""

    def retire(self, slot: Slot) -> None:
        """Close a slot that is ours no more, beside everything else."""
        task = asyncio.get_running_loop().create_task(slot.close())
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def consume(self, stream: Any) -> None:
        """Body of the agent: feed each run to the lane. Any failure ends the process; Faust would go on without it."""
        try:
            async for event in stream.noack().events():
                run: Run = event.message
                if run.generation_id != self.consumer_generation_id:
                    self.metrics.stale.inc()  # its owner reads it again
                    event.ack()
                    continue
                await self.lane.feed(run.partition, run.records, run.first, run.after, event.ack)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            failure = error if isinstance(error, LaneFailed) else LaneFailed(f"folding failed: {error!r}")
            if failure is not error:
                failure.__cause__ = error
            self.guard.die(failure)
            raise

    def not_ready(self) -> list[str]:
        """Why this worker does not do its whole work, in words; empty when it does."""
        if self.guard.failure is not None:
            return [f"failed: {self.guard.failure}"]
        if not self.lane_ready:
            return ["recovering: partitions are being assigned and states read"]
        silent = ["Kafka does not take the clock's ticks"] if self.kafka_is_silent() else []
        return silent + self.lane.reasons()

    @property
    def lane_ready(self) -> bool:
        """Whether the last rebalance is over and the states are recovered."""
        return bool(self.tables.actives_ready) and not self.rebalancing

    def _pause(self, partition: int, reason: str) -> None:
        log.error("partition paused for good", partition=partition, reason=reason)
        self.consumer.pause_partitions({faust.types.TP(self.lane_config.names.inbox, partition)})

    async def leave(self, patience_s: float) -> None:
        """Commit what was folded, leave the group, close the producers."""
        self.consumer.stop_flow()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.lane.drain(), patience_s)
        await self.stop()
        for partition in list(self.lane.slots):
            self.retire(self.lane.discard(partition))
        if self._retiring:
            await asyncio.wait(self._retiring)


def make_app(config: LaneConfig, *, lane_log: Log | None = None, guard: Guard | None = None) -> LaneApp:
    """Build a lane's Faust app; nothing is started. `lane_log` and `guard` are given by tests."""
    app = LaneApp(config, lane_log or config.kafka_log(), guard or Guard())
    inbox = app.topic(config.names.inbox, key_serializer="raw", value_serializer="raw")
    changelog = app.topic(
        config.names.changelog, key_serializer="raw", value_serializer="raw", partitions=config.partitions
    )
    app.Table(
        config.role,
        partitions=config.partitions,
        key_type=bytes,
        value_type=bytes,
        changelog_topic=changelog,
        recovery_buffer_size=2,  # 1 makes Faust resume the changelog partitions after the recovery
    )
    app.agent(inbox, name=config.group)(app.consume)
    return app


def _faust_settings(config: LaneConfig) -> dict[str, Any]:
    """Faust's settings; see the module docstrings of transport, store and tables for the three doors."""
    return {
        "broker": [f"agents.lane.transport.kafka://{server}" for server in config.bootstrap.split(",")],
        "store": "agents.lane.store.memory://",
        "TableManager": "agents.lane.tables:TableManager",
        "autodiscover": False,
        "key_serializer": "raw",
        "value_serializer": "raw",
        "web_enabled": False,
        "topic_disable_leader": True,
        "topic_allow_declare": False,
        "table_standby_replicas": 0,
        "stream_buffer_maxsize": 16,
        "stream_recovery_delay": 0,
        "stream_wait_empty": False,
        "broker_client_id": config.client_id,
        "broker_max_poll_records": config.max_batch,
        "consumer_max_fetch_size": PARTITION_FETCH_BYTES,
        "broker_session_timeout": config.session_timeout_s,
        "broker_heartbeat_interval": config.session_timeout_s / 4,
        "broker_commit_interval": 2.8,
        "broker_check_crcs": True,
        "consumer_group_instance_id": config.instance_id,
        "producer_linger": 0,
        "producer_max_batch_size": MAX_BATCH_BYTES,
    }
