"""Processes of the real command line under a supervisor that restarts whatever ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

RESTART_S = 1.0
"""A supervisor's usual patience."""
LEAVE_S = 30.0
POLL_S = 0.1
READY = b'"event": "ready"'
COMMAND = ("-m", "handraise")


class Supervised:
    """A process that is started again a second after it ended, for whatever reason.

    `words`: the command's.  `ready`: what it logs when it is at work, any of them.  `program`: what is run in place of
    the command line, as arguments of Python.
    """

    def __init__(
        self,
        name: str,
        env: dict[str, str],
        folder: Path,
        words: Sequence[str],
        ready: Sequence[bytes] = (READY,),
        program: Sequence[str] = COMMAND,
    ) -> None:
        self.name, self.log = name, folder / f"{name}.log"
        self.ends: Counter[int] = Counter()
        """How its processes ended: exit codes, negative for signals."""
        self.restart_s = RESTART_S
        self._env, self._folder, self._arguments, self._ready = env, folder, (*program, *words), tuple(ready)
        self._process: asyncio.subprocess.Process | None = None
        self._alive = asyncio.Event()
        self._log_start = 0
        self._keeper: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to keep it running."""
        self._keeper = asyncio.create_task(self._keep())

    @property
    def is_kept(self) -> bool:
        """Whether it runs, or is about to."""
        return self._keeper is not None

    async def _keep(self) -> None:
        while True:
            with self.log.open("ab") as log:
                self._log_start = log.tell()
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, *self._arguments),
                    env=self._env,
                    cwd=self._folder,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            self._alive.set()
            self.ends[await self._process.wait()] += 1
            self._alive.clear()
            await asyncio.sleep(self.restart_s)

    async def strike(self, number: signal.Signals) -> None:
        """Send a signal to the process that runs, once one does."""
        await self._alive.wait()
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, number)

    async def at_work(self, patience_s: float) -> None:
        """Return when the process that runs is ready, or when the patience ends: it may be struck on its way, too."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._alive.wait()
                while not self._is_ready():  # noqa: ASYNC110 - its log tells nobody
                    await asyncio.sleep(POLL_S)

    def _is_ready(self) -> bool:
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            said = log.read()
        return any(each in said for each in self._ready)

    async def stop(self) -> None:
        """End it for good: politely, and after a while by force."""
        if self._keeper is None:
            return
        self._keeper.cancel()
        process, self._keeper = self._process, None
        self._alive.clear()
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            for number in (signal.SIGCONT, signal.SIGTERM):
                process.send_signal(number)
        try:
            await asyncio.wait_for(process.wait(), LEAVE_S)
        except TimeoutError:
            process.kill()
            await process.wait()
        self.ends[process.returncode or 0] += 1


def leads_worker(
    name: str, env: dict[str, str], folder: Path, program: Sequence[str] = COMMAND, *, is_static: bool = True
) -> Supervised:
    """`handraise worker leads`; `is_static`: under one instance id, so that it gets its partitions back at once."""
    words = ("worker", "leads", *(("--instance-id", name) if is_static else ()))
    return Supervised(name, env, folder, words, program=program)
