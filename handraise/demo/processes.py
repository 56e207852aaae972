"""The demo's own gateway and worker: started, watched, restarted at once when they die, ended in order."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy import probe
from handraise.failure import CHECK_FAILED, Failure

READY_PATIENCE_S = 45.0
_LEAVE_PATIENCE_S = 12.0
_POLL_S = 0.1
_SHORT_LIFE_S = 5.0
_MOST_SHORT_LIVES = 3


class Child:
    """One process of `handraise`, supervised."""

    def __init__(self, name: str, words: list[str], env: Mapping[str, str], log: Path, ready_url: str) -> None:
        self.name, self.log = name, log
        self.restarts = 0
        self._command = [sys.executable, "-m", "handraise", *words]
        self._env, self._ready_url = dict(env), ready_url
        self._process: asyncio.subprocess.Process | None = None
        self._watching: asyncio.Task[None] | None = None
        self._ending = False

    async def start(self, failed: Callable[[Failure], None]) -> None:
        """Start it and watch it; `failed` is told when it dies again and again."""
        await self._spawn()
        self._watching = asyncio.create_task(self._watch(failed))

    async def ready(self, *, after_restarts: int = 0) -> None:
        """Return when it, restarted so often, answers that it is ready.  Raises Failure when it does not in time."""
        deadline = time.monotonic() + READY_PATIENCE_S
        while self.restarts < after_restarts or not await asyncio.to_thread(probe.http, self._ready_url, 1.0):
            if time.monotonic() > deadline or (self._watching is not None and self._watching.done()):
                raise self._failure(f"is not ready after {READY_PATIENCE_S:g} s")
            await asyncio.sleep(_POLL_S)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def end(self) -> None:
        """End it as an operator would, and wait."""
        self._ending = True
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), _LEAVE_PATIENCE_S)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _spawn(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._env,
                start_new_session=True,  # Ctrl-C is for the demo, which ends things in order
            )

    async def _watch(self, failed: Callable[[Failure], None]) -> None:
        short_lives = 0
        while self._process is not None:
            began = time.monotonic()
            code = await self._process.wait()
            if self._ending:
                return
            short_lives = short_lives + 1 if time.monotonic() - began < _SHORT_LIFE_S else 0
            if short_lives >= _MOST_SHORT_LIVES:
                failed(self._failure(f"ends again and again, with exit code {code}"))
                return
            self.restarts += 1
            await self._spawn()

    def _failure(self, what: str) -> Failure:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        last = lines[-1][:300] if lines else "it wrote no log"
        return Failure(f"the {self.name} {what}: {last}", str(self.log), "read its log", CHECK_FAILED)
