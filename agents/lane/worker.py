"""A worker process: check, start, watch, leave.

`main(config)` returns the exit code: 0 after a graceful leave, 2 when the lane refused to start (with the remedy). Once
it runs, any failure ends the process at once (exit code 1, or 2 for a refusal): the supervisor starts the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog
import uvloop
from aiokafka.errors import KafkaError

from agents.health import HealthServer
from agents.lane.app import LaneApp, make_app
from agents.lane.config import LaneConfig
from agents.lane.errors import LaneFailed, LaneRefused
from agents.lane.guard import Guard, Patience, StallGuard, Watchdog
from agents.lane.log import Log
from agents.lane.takeover import require_topics
from agents.lane.ticker import Ticker

log = structlog.get_logger("agents.lane")

BEAT_S = 0.2
WATCH_S = 0.5
LEAVE_PATIENCE_S = 5.0
LEAVE_LIMIT_S = 8.0  # below the 10 s after which Docker kills
CANNOT_LEAVE = (
    f"Kafka did not let this worker leave within {LEAVE_LIMIT_S:g} s; "
    "what is not committed is folded again by the next owner"
)
GC_THRESHOLD = 50_000  # records make many short-lived objects and no cycles; stock 700 costs a tenth of the CPU


def main(config: LaneConfig, *, lane_log: Log | None = None) -> int:
    """Run a worker in this process until SIGTERM or SIGINT; returns the exit code. `lane_log` is given by tests."""
    log_at_info()
    gc.set_threshold(GC_THRESHOLD)
    uvloop.install()  # the consumer's thread makes a loop of its own, by this policy
    try:
        asyncio.run(run(config, lane_log=lane_log))
    except (LaneRefused, LaneFailed) as failure:
        log.error("lane did not start", **failure.facts())  # noqa: TRY400 - the remedy says more than a traceback
        return failure.exit_code
    return 0


def log_at_info() -> None:
    """Send the libraries' warnings and our own lines to standard error. (Faust's `-l warn` would turn DEBUG on.)"""
    if not structlog.is_configured():
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    services = [f"agents.lane.{module}" for module in ("app", "transport", "store", "tables")]
    for chatty in ("faust", "mode", "aiokafka", *services):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.addFilter(Repeats())


class Repeats(logging.Filter):
    """Lets a library's message through once in a while: a cluster that is away makes a hundred of one a second."""

    def __init__(self, period_s: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._period_s, self._clock = period_s, clock
        self._said: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to say it; messages are told apart by the line of code that says them."""
        place, now = (record.pathname, record.lineno), self._clock()
        if now - self._said.get(place, -self._period_s) < self._period_s:
            return False
        self._said[place] = now
        return True


async def run(config: LaneConfig, *, lane_log: Log | None = None, guard: Guard | None = None) -> None:
    """Run a worker until SIGTERM or SIGINT, then leave gracefully.

    Raises LaneRefused or LaneFailed if it cannot start. `lane_log` and `guard` are given by tests.
    """
    app = make_app(config, lane_log=lane_log, guard=guard)
    try:
        await require_topics(app.lane_log, config.names, config.partitions, config.outputs)
    except (KafkaError, OSError) as error:
        raise LaneFailed(f"Kafka does not answer at {config.bootstrap}: {error!r}") from error
    async with _serving(app), _watched(app):
        starting = asyncio.create_task(app.start())
        starting.add_done_callback(lambda task: _started(app, task))
        await _told_to_stop()
        log.info("leaving", role=config.role)
        # Faust and the client wait for the cluster as long as it takes; a supervisor does not.
        too_late = asyncio.get_running_loop().call_later(LEAVE_LIMIT_S, app.guard.die, LaneFailed(CANNOT_LEAVE))
        await app.leave(LEAVE_PATIENCE_S)
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting
        too_late.cancel()
    log.info("left", role=config.role)


def _started(app: LaneApp, task: asyncio.Task[None]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None and not app.should_stop:
        failure = LaneFailed(f"the worker did not start: {error!r}")
        failure.__cause__ = error
        app.guard.die(failure)


async def _told_to_stop() -> None:
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    await told.wait()


@asynccontextmanager
async def _serving(app: LaneApp) -> AsyncIterator[None]:
    """Metrics and health, if wished."""
    config = app.lane_config
    server = HealthServer(app.metrics.registry, app.not_ready)
    if config.health_port is not None:
        try:
            port = await server.start(config.health_host, config.health_port)
        except OSError as error:
            raise LaneRefused(
                f"cannot listen: {error.strerror}",
                f"{config.health_host}:{config.health_port}, health and metrics of the lane {config.role}",
                "stop what listens there, or give another port",
            ) from error
        log.info("health served", url=f"http://{config.health_host}:{port}/readyz")
    try:
        yield
    finally:
        await server.stop()


@asynccontextmanager
async def _watched(app: LaneApp) -> AsyncIterator[None]:
    """The guards, and the ticker, beside the app."""
    config = app.lane_config
    stall = StallGuard(config.session_timeout_s, lambda reason: app.guard.die(LaneFailed(reason)))
    stall.start()
    tasks = [asyncio.create_task(_beat(stall.beat)), asyncio.create_task(_watch(app))]
    if config.ticks:
        ticker = Ticker(config.bootstrap, config.names.inbox, lambda: _folding(app), config.now_ms)
        app.kafka_is_silent = lambda: ticker.unanswered
        tasks.append(asyncio.create_task(ticker.run()))
    if config.beside is not None:
        tasks.append(asyncio.create_task(config.beside(lambda: _folding(app))))
    for task in tasks:
        task.add_done_callback(lambda done: _ended(app, done))
    try:
        yield
    finally:
        stall.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _ended(app: LaneApp, task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        failure = LaneFailed(f"a task beside the lane failed: {error!r}")
        failure.__cause__ = error
        app.guard.die(failure)


def _folding(app: LaneApp) -> list[int]:
    """Partitions that are ours and move: a paused one needs no more ticks behind what it does not read."""
    if not app.lane_ready:
        return []
    return [partition for partition, slot in app.lane.slots.items() if not slot.lost and slot.paused is None]


async def _beat(beat: Callable[[], None]) -> None:
    while True:
        beat()
        await asyncio.sleep(BEAT_S)


async def _watch(app: LaneApp) -> None:
    """End the process when Faust has crashed (it would hang about) or when something is stuck."""
    config = app.lane_config
    recovery, fetching = Patience(config.recovery_patience_s), Watchdog(config.progress_patience_s)
    committing: dict[int, Watchdog] = {}
    while True:
        await asyncio.sleep(WATCH_S)
        for service in (app, app.consumer):
            if service.crashed and not app.should_stop:
                failure = LaneFailed(f"Faust crashed: {service.crash_reason!r}")
                failure.__cause__ = service.crash_reason
                app.guard.die(failure)
        if recovery.exhausted(not app.lane_ready):
            app.guard.die(LaneFailed(f"rebalance or recovery did not end in {config.recovery_patience_s:g} s"))
        lags = _measure_lags(app) if app.lane_ready else {}
        committing = {p: committing.get(p) or Watchdog(config.progress_patience_s) for p in lags}
        for partition, lag in lags.items():
            if committing[partition].stuck(lag, app.lane.slots[partition].transactions):
                where = f"partition {partition} is {lag} records behind"
                app.guard.die(LaneFailed(f"{where} and did not commit for {config.progress_patience_s:g} s"))
        if fetching.stuck(1 if app.lane_ready else 0, app.consumer.fetches):
            app.guard.die(LaneFailed(f"no fetch ended for {config.progress_patience_s:g} s"))


def _measure_lags(app: LaneApp) -> dict[int, int]:
    """Offsets that can be read and are not folded, by partition that is meant to move; told to the metrics."""
    lags = {}
    for partition, slot in app.lane.slots.items():
        lag = app.consumer.behind(partition, slot.next_offset)
        app.metrics.lag(partition, lag)
        if slot.paused is None:
            lags[partition] = lag
    return lags
