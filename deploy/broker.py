"""One Kafka broker of one's own: for development, tests, benchmarks and the demo. Real Kafka, made small and quick.

Figures on two cores: 160-190 MB resident, 3-4 s from an empty folder to the first answer.
"""

import atexit
import base64
import os
import signal
import subprocess
import uuid
from pathlib import Path

from deploy import jars, probe, tools
from deploy.problem import Problem
from deploy.process import Process

_READY_S = 60.0
_FAST = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")  # starts soonest, smallest; for benchmarks the full compiler
_STEADY = ("-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20")


class Kafka:
    """A broker on 127.0.0.1, its data, log and pid file in one folder; may be stopped, killed and started again."""

    def __init__(self, folder: Path, port: int, heap: str = "256m", *, fast: bool = True) -> None:
        self.folder = folder.resolve()
        self.port = port
        self._heap = heap
        self._fast = fast
        self._config = self.folder / "server.properties"
        self.process = Process("kafka", self.folder, ["kafka.Kafka", str(self._config)])

    @property
    def bootstrap(self) -> str:
        """What clients connect to."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """The broker's pid while it lives, else None."""
        return self.process.pid

    def start(self) -> None:
        """Start on the data there is (formatting an empty folder) and return when the broker answers a request."""
        tools.require([tools.JAVA])
        if self.pid is None:
            if probe.kafka(self.port) != "no":
                raise Problem(
                    f"port {self.port} is taken",
                    self.bootstrap,
                    "end what listens there (`ss -ltnp` names it), or choose another port",
                )
            self.folder.mkdir(parents=True, exist_ok=True)
            self._config.write_text(server_properties(self.folder, self.port, probe.free_port()))
            if not (self.folder / "data" / "meta.properties").exists():
                self._format()
            self.process.spawn([*self._java(), "kafka.Kafka", str(self._config)], _environment())
        self.process.await_answer(
            lambda: probe.kafka(self.port) == "yes",
            _READY_S,
            f"read the log; if the data is damaged delete {self.folder} and start again",
        )

    def stop(self) -> None:
        """End it as an operator would: a controlled shutdown, so that the next start has nothing to recover."""
        self.process.end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL)."""
        self.process.end(signal.SIGKILL)

    def _java(self) -> list[str]:
        tuning = _FAST if self._fast else _STEADY
        return [
            *(tools.java() or "java", "-Xms64m", f"-Xmx{self._heap}", *tuning, "-XX:+ExitOnOutOfMemoryError"),
            *("-Djava.awt.headless=true", f"-Dlog4j2.configurationFile={jars.FILES / 'log4j2.properties'}"),
            *("-cp", str(jars.fetch() / "*")),
        ]

    def _format(self) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        run = subprocess.run(
            [
                *(*self._java(), "kafka.tools.StorageTool", "format", "--ignore-formatted"),
                *("--cluster-id", "H" + cluster[1:], "--config", str(self._config)),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=_environment(),
            check=False,
        )
        if run.returncode != 0:
            raise Problem(
                f"Kafka could not prepare its storage: {(run.stderr or run.stdout).strip()[-300:]}",
                str(self.folder),
                f"see that the disk has room and the folder is yours; delete {self.folder / 'data'} to begin anew",
            )


def start_kafka(folder: Path, port: int | None = None, heap: str = "256m", *, fast: bool = True) -> Kafka:
    """Start a broker that ends with this process at the latest.

    ``port`` None takes a free one. ``heap`` is Java's -Xmx. ``fast`` starts soonest; False takes G1 and the full
    compiler, for benchmarks. Returns when the broker answers; raises Problem when it cannot be had.
    """
    kafka = Kafka(folder, probe.free_port() if port is None else port, heap, fast=fast)
    atexit.register(kafka.kill)
    kafka.start()
    return kafka


def _environment() -> dict[str, str]:
    """Return the environment without what would change the JVM behind our back."""
    return {name: value for name, value in os.environ.items() if name not in {"JAVA_TOOL_OPTIONS", "CLASSPATH"}}


def server_properties(folder: Path, port: int, controller_port: int) -> str:
    """Return server.properties: one node, both roles, one replica of everything, short waits."""
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": folder / "data",
        # Topics come from the topic table; one that a typing error made would hide the error.
        "auto.create.topics.enable": "false",
        "num.partitions": 1,
        "default.replication.factor": 1,
        "min.insync.replicas": 1,
        "offsets.topic.num.partitions": 4,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        # Groups: members come at once, and a dead one may be noticed after 3 s.
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 3000,
        # After kill -9 the node waits for its own former session to end.
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
        # A dead worker's open transaction is ended soon after its time-out (10 s is Kafka's own pace).
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
        "transaction.max.timeout.ms": 120_000,
        # Seven days unless the topic table says otherwise; look for what to delete once a minute.
        "log.retention.hours": 168,
        "log.retention.check.interval.ms": 60_000,
        # Changelogs are compacted within seconds; a 16 MiB map holds 600,000 keys and lets the heap be small.
        "log.cleaner.backoff.ms": 1000,
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "log.segment.delete.delay.ms": 1000,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())
