"""A gateway without Kafka in a process of its own, for attacks on its door: `python -m tests.gateway.alone CONFIG`.

What it would append is read back and counted, not kept: the process's memory is the door's alone.
"""

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog
import uvloop

from gateway.appender import Row
from gateway.connection import Limits
from gateway.listener import Listener
from gateway.metrics import Metrics
from gateway.server import make_app
from schemas.codec import decode
from tests.gateway.conftest import ROOT, config
from tests.gateway.process import Running
from tests.gateway.sockets import listening_socket


class Sink:
    """An appender that keeps nothing.  Raises if it is given what nobody could read."""

    async def append(self, rows: Sequence[Row]) -> None:
        """Read the rows back."""
        for row in rows:
            decode(row.value)
        await asyncio.sleep(0)

    async def ready(self) -> str | None:
        """Always."""
        return None


class Alone(Running):
    """The process, its port, and what it logs."""

    def __init__(self, child: "subprocess.Popen[str]", port: int, log_file: Path) -> None:
        super().__init__(child, port)
        self._log_file = log_file

    def log(self) -> str:
        """All that it has said."""
        return self._log_file.read_text(errors="replace")

    def descriptors(self) -> int:
        """Files and sockets that it has open."""
        return len(os.listdir(f"/proc/{self.child.pid}/fd"))  # noqa: PTH208


@contextmanager
def alone(files: int | None = None, **limits: float) -> Iterator[Alone]:
    """Run it until the end of the block, with these limits of clients, and of files if it must do with few.

    It must end gracefully.
    """

    def limit() -> None:
        if files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    with tempfile.TemporaryDirectory() as folder:
        log_file = Path(folder) / "log"
        with log_file.open("wb") as log:
            command = [sys.executable, "-m", "tests.gateway.alone", json.dumps(limits)]
            child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True, preexec_fn=limit)
        try:
            assert child.stdout is not None
            line = child.stdout.readline()
            assert line.startswith("port "), log_file.read_text()
            yield Alone(child, int(line.split()[1]), log_file)
        finally:
            child.send_signal(signal.SIGTERM)
            code = child.wait(30)
            assert child.stdout is not None
            child.stdout.close()
        assert code == 0, log_file.read_text()


async def _serve(limits: Limits) -> None:
    stop, metrics = asyncio.Event(), Metrics()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    app = make_app(config(), Sink(), metrics, stop=stop)
    with listening_socket() as listening:
        sys.stdout.write(f"port {listening.getsockname()[1]}\n")
        sys.stdout.flush()
        await Listener(app, limits, metrics).serve(listening, stop, 0.0)


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    uvloop.run(_serve(Limits(**json.loads(sys.argv[1]))))
