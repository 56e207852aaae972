"""The life of mirror's and notify's process."""

from __future__ import annotations

import signal
import subprocess
import sys

from tests.e2e.deployment import ROOT

DEAF_ONCE = """
import asyncio, contextlib
from prometheus_client import CollectorRegistry
from agents import sinks

async def work():
    print("at work", flush=True)
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(3600)
    await asyncio.sleep(3600)

raise SystemExit(sinks.serve("mirror", work, CollectorRegistry(), list, "127.0.0.1", None))
"""


def test_it_leaves_even_if_a_cancellation_is_lost() -> None:
    """What it waits for may end as it is told to leave; a library then drops the cancellation, and it leaves still."""
    with subprocess.Popen([sys.executable, "-c", DEAF_ONCE], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "at work\n"
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()
