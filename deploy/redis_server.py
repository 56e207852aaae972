"""One Redis (or Valkey) of one's own on 127.0.0.1, with an append-only file, as the read side has it."""

import atexit
import signal
from pathlib import Path

from deploy import probe, tools
from deploy.problem import Problem
from deploy.process import Process


class Redis:
    """A server whose data, log and pid file are in one folder; may be stopped, killed and started again."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder.resolve()
        self.port = port
        # The server rewrites its command line to "<program> 127.0.0.1:<port>".
        self.process = Process("redis", self.folder, ["-server", f"127.0.0.1:{port}"])

    @property
    def url(self) -> str:
        """What clients connect to."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int | None:
        """The server's pid while it lives, else None."""
        return self.process.pid

    def start(self) -> None:
        """Start on the data there is and return when it answers PING."""
        tools.require([tools.REDIS])
        if self.pid is None:
            if probe.redis(self.port) != "no":
                raise Problem(
                    f"port {self.port} is taken",
                    f"127.0.0.1:{self.port}",
                    "end what listens there (`ss -ltnp` names it), or choose another port",
                )
            self.folder.mkdir(parents=True, exist_ok=True)
            self.process.spawn(
                [
                    *(tools.REDIS.find() or "redis-server", "--port", str(self.port), "--bind", "127.0.0.1"),
                    *("--dir", str(self.folder), "--appendonly", "yes", "--save", "", "--daemonize", "no"),
                ]
            )
        self.process.await_answer(
            lambda: probe.redis(self.port) == "yes",
            20.0,
            f"read the log; if the data is damaged delete {self.folder} and start again",
        )

    def stop(self) -> None:
        """End it in order: what was acknowledged is on disk."""
        self.process.end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL)."""
        self.process.end(signal.SIGKILL)


def start_redis(folder: Path, port: int | None = None) -> Redis:
    """Start a server that ends with this process at the latest; ``port`` None takes a free one."""
    redis = Redis(folder, probe.free_port() if port is None else port)
    atexit.register(redis.kill)
    redis.start()
    return redis
