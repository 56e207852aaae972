"""Handraise as an operator runs it: commands and processes of the real command line, told everything by environment."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx

from deploy import probe
from schemas.topics import physical
from streams.identity import Kind, lead_id

ROOT = Path(__file__).resolve().parents[2]
ID_KEY = b"the id key of the end-to-end tests"
T = TypeVar("T")


def until(condition: Callable[[], T], what: str, deadline_s: float = 60.0) -> T:
    """The first true answer of the condition; fails, saying what was awaited, when there is none in time."""
    deadline = time.monotonic() + deadline_s
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"waited {deadline_s:g} s for {what}; the last answer was {answer!r}"
        time.sleep(0.02)
    return answer


class Child:
    """One process of ours, what it logs, and where it serves."""

    def __init__(self, words: list[str], env: dict[str, str], log_file: Path, module: str = "handraise") -> None:
        self.words, self._log_file = words, log_file
        with log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, *words],
                env=env,
                cwd=log_file.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def log(self) -> str:
        """All that it has said."""
        return self._log_file.read_text(errors="replace")

    def url(self) -> str:
        """Where it serves HTTP, once it says so."""
        return until(self._served, f"{self.words} to serve")

    def _served(self) -> str | None:
        if self.process.poll() is not None:
            raise AssertionError(f"{self.words} ended with {self.process.returncode}:\n{self.log()}")
        for line in self.log().splitlines():
            if line.startswith("{") and line.endswith("}"):
                said = json.loads(line)
                if said.get("event") in ("gateway serves", "console serves", "health served"):
                    return str(said["url"]).removesuffix("/readyz")
        return None

    def readiness(self) -> tuple[int, str]:
        """The status and the text of its /readyz; status 0 if nobody answers."""
        try:
            answer = httpx.get(f"{self.url()}/readyz", timeout=5)
        except httpx.HTTPError as error:
            return 0, repr(error)
        return answer.status_code, answer.text

    def await_ready(self) -> Child:
        """Return it once it is ready."""
        try:
            until(lambda: self.readiness()[0] == 200, f"{self.words} to be ready")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from None
        return self

    def ended(self, deadline_s: float = 30.0) -> int:
        """Its exit code, once it has ended by itself."""
        return self.process.wait(deadline_s)

    def stop(self) -> None:
        """End it as an operator would; it must leave gracefully."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        assert code == 0, f"{self.words} ended with {code}:\n{self.log()}"

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Deployment:
    """One installation: a prefix on a Kafka, rules, an id key, and the processes that were started."""

    def __init__(self, kafka: str, prefix: str, folder: Path, partitions: int = 4) -> None:
        self.kafka, self.prefix, self.folder, self.partitions = kafka, prefix, folder, partitions
        self.children: list[Child] = []
        self.ending = False
        secrets = folder / "secrets.toml"
        secrets.write_text(f'id_key = "{base64.b64encode(ID_KEY).decode()}"\n')
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("HANDRAISE_")} | {
            "PYTHONPATH": str(ROOT),
            "HANDRAISE_KAFKA": kafka,
            "HANDRAISE_PREFIX": prefix,
            "HANDRAISE_PARTITIONS": str(partitions),
            "HANDRAISE_SECRETS": str(secrets),
            "HANDRAISE_RULES": str(ROOT / "rules"),
        }

    def __enter__(self) -> Deployment:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """End every process that still lives, at once."""
        self.ending = True
        for child in self.children:
            child.kill()

    def run(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "handraise", *words],
            env=self.env | env,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def create_topics(self) -> None:
        """`handraise topics create`."""
        done = self.run("topics", "create")
        assert done.returncode == 0, done.stderr

    def start(self, *words: str, **env: str) -> Child:
        """Start a process; it ends with the deployment at the latest."""
        log_file = self.folder / f"{len(self.children)}-{words[0]}.log"
        child = Child(list(words), self.env | env, log_file)
        self.children.append(child)
        return child

    def gateway(self, **env: str) -> Child:
        """Start a gateway on a free port."""
        return self.start("gateway", **{"HANDRAISE_GATEWAY": f"127.0.0.1:{probe.free_port()}"} | env)

    def console(self, *more: str, **env: str) -> Child:
        """Start a console on a free port."""
        return self.start("console", *more, **{"HANDRAISE_CONSOLE": f"127.0.0.1:{probe.free_port()}"} | env)

    def worker(self, *more: str, role: str = "leads", **env: str) -> Child:
        """Start a worker of a role."""
        return self.start("worker", role, "--metrics-port", "0", *more, **env)

    def topic(self, name: str) -> str:
        """The topic's name on the broker."""
        return physical(name, self.prefix)

    def lead(self, kind: Kind, value: str) -> str:
        """The id of the lead that this identifier means here."""
        return lead_id(kind, value, ID_KEY)


class Supervisor:
    """Starts a process again whenever it ends by itself, as any deployment does; until the deployment is ended."""

    def __init__(self, place: Deployment, start: Callable[[], Child]) -> None:
        self._place, self._start, self._stopped = place, start, False
        self.child = start()
        self.restarts = 0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while True:
            self.child.process.wait()
            if self._stopped or self._place.ending:
                return
            self.restarts += 1
            self.child = self._start()

    def ready(self) -> bool:
        """Whether the process that runs now is ready."""
        child = self.child
        return child.process.poll() is None and "serve" in child.log() and child.readiness()[0] == 200

    def stop(self) -> None:
        """Watch no more and end the process gracefully."""
        self._stopped = True
        self.child.stop()
        self._thread.join(30)


def call(kind: str, number: int | str, **fields: Any) -> dict[str, Any]:
    """A call of Segment's protocol with a message id of its own."""
    return {"type": kind, "messageId": f"m-{number}", **fields}
