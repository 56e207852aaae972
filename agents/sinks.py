"""What mirror and notify have in common: one coroutine beside health and metrics, until the process is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
import uvloop
from prometheus_client import CollectorRegistry

from agents.health import HealthServer
from agents.lane.errors import LaneRefused
from agents.lane.worker import GC_THRESHOLD, log_at_info

log = structlog.get_logger("agents.sinks")

_CANCEL_AGAIN_S = 1.0


def serve(
    role: str,
    work: Callable[[], Coroutine[Any, Any, None]],
    registry: CollectorRegistry,
    not_ready: Callable[[], list[str]],
    host: str,
    port: int | None,
) -> int:
    """Run until SIGTERM or SIGINT; the exit code: 0, 2 for what somebody must mend first, 1 for what nobody expected.

    `port`: of health and metrics; 0 takes a free one, None serves nothing.
    """
    log_at_info()
    gc.set_threshold(GC_THRESHOLD)
    try:
        uvloop.run(_run(role, work, registry, not_ready, host, port))
    except LaneRefused as refusal:
        log.error("it did not start", role=role, **refusal.facts())  # noqa: TRY400 - the remedy says more
        return refusal.exit_code
    return 0


async def _run(
    role: str,
    work: Callable[[], Coroutine[Any, Any, None]],
    registry: CollectorRegistry,
    not_ready: Callable[[], list[str]],
    host: str,
    port: int | None,
) -> None:
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    server = HealthServer(registry, not_ready)
    if port is not None:
        try:
            bound = await server.start(host, port)
        except OSError as error:
            what, where = f"cannot listen: {error.strerror}", f"{host}:{port}, health and metrics of {role}"
            raise LaneRefused(what, where, "stop what listens there, or give another port") from error
        log.info("health served", url=f"http://{host}:{bound}/readyz")
    working, waiting = loop.create_task(work()), loop.create_task(told.wait())
    try:
        await asyncio.wait((working, waiting), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
        log.info("leaving", role=role)
    finally:
        waiting.cancel()
        while not working.done():
            # Again if need be: `asyncio.wait_for`, by which redis-py sends, loses a cancellation that comes as what it
            # waits for ends (CPython before 3.12).
            working.cancel()
            await asyncio.wait((working,), timeout=_CANCEL_AGAIN_S)
        with contextlib.suppress(asyncio.CancelledError):
            working.result()
        await server.stop()
    log.info("left", role=role)
