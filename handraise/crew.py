"""Several roles from one command: a process for each, so that a backlog of one delays no other.

They end together: on SIGTERM all leave gracefully, and when one fails the others leave too, because whoever
supervises us starts all of them again.  A role whose parent was killed leaves by itself.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from types import FrameType

import structlog

log = structlog.get_logger("handraise")

Job = Callable[[], int]
"""What a role does until it is told to stop; returns the exit code.  It must be picklable."""


def run(jobs: Sequence[tuple[str, Job]]) -> int:
    """Run each named job in a process of its own until SIGTERM or SIGINT; the first failure's exit code, or 0."""
    context = multiprocessing.get_context("spawn")
    told = False

    def leave(_number: int, _frame: FrameType | None) -> None:
        nonlocal told
        told = True
        for process in processes:
            process.terminate()

    # The end that nobody writes to: it closes when we die, however we die.
    theirs, ours = context.Pipe(duplex=False)
    processes = [context.Process(target=_work, args=(job, theirs), name=name) for name, job in jobs]
    for process in processes:
        process.start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)
    theirs.close()
    code = 0
    alive = list(processes)
    while alive:
        wait([process.sentinel for process in alive])
        for process in [each for each in alive if each.exitcode is not None]:
            alive.remove(process)
            if told and process.exitcode in (0, -signal.SIGTERM):
                continue  # the latter: it had hardly begun
            log.error("a role ended", role=process.name, exit_code=process.exitcode)
            code = code or max(process.exitcode or 1, 1)
            told = True
            for other in alive:
                other.terminate()
    ours.close()
    return code


def _work(job: Job, lifeline: Connection) -> None:
    threading.Thread(target=_leave_with_parent, args=(lifeline,), daemon=True).start()
    sys.exit(job())


def _leave_with_parent(lifeline: Connection) -> None:
    try:
        lifeline.recv()
    except EOFError:
        os.kill(os.getpid(), signal.SIGTERM)
