"""Kafka and Redis for development: ``python -m deploy.local up | down | status | tools | test-tools | fetch``.

Also what tests, benchmarks and the demo start brokers with: ``start_kafka``, ``start_redis``, ``running``.

For each of the two servers the first that works is taken: the address in HANDRAISE_KAFKA / HANDRAISE_REDIS, a server
that answers on the port already, a Docker engine, the programs of this system (installed if that is ours to do).
"""

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy import jars, probe, tools
from deploy.broker import Kafka, start_kafka
from deploy.problem import Problem
from deploy.redis_server import Redis, start_redis

__all__ = ["Kafka", "Redis", "Servers", "Site", "down", "main", "running", "start_kafka", "start_redis", "status", "up"]

ROOT = Path(__file__).resolve().parents[1]
KAFKA_PORT, REDIS_PORT = 9092, 6379
Say = Callable[[str], None]
_SERVED_BY = {"kafka": probe.kafka, "redis": probe.redis}
_VARIABLES = {"kafka": "HANDRAISE_KAFKA", "redis": "HANDRAISE_REDIS"}


@dataclass(frozen=True)
class Servers:
    """Where Kafka (bootstrap servers) and Redis (URL) are."""

    kafka: str
    redis: str


@dataclass(frozen=True)
class Site:
    """A folder for data, logs and pid files, and the ports on 127.0.0.1."""

    folder: Path = ROOT / ".handraise"
    kafka_port: int = KAFKA_PORT
    redis_port: int = REDIS_PORT

    def port(self, name: str) -> int:
        """Return the port of "kafka" or "redis"."""
        return self.kafka_port if name == "kafka" else self.redis_port

    def own(self, name: str) -> Kafka | Redis:
        """Return the server this site starts itself, running or not."""
        if name == "kafka":
            return Kafka(self.folder / "kafka", self.kafka_port, "512m")
        return Redis(self.folder / "redis", self.redis_port)

    def container_mark(self, name: str) -> Path:
        """Return the file that says that this site started the server as a container."""
        return self.folder / f"{name}.container"

    @property
    def may_use_docker(self) -> bool:
        """Whether a Docker engine answers; the Compose file publishes the default ports and no others."""
        return (self.kafka_port, self.redis_port) == (KAFKA_PORT, REDIS_PORT) and tools.docker()


def up(site: Site, environ: Mapping[str, str], say: Say = print) -> Servers:
    """Make Kafka and Redis answer and return their addresses; a second call changes nothing."""
    with _alone(site):
        absent = [name for name in _SERVED_BY if not _is_served(site, name, environ, say)]
        if absent and site.may_use_docker:
            _containers_up(site, absent, say)
        elif absent:
            _processes_up(site, absent, say)
    return Servers(
        kafka=environ.get("HANDRAISE_KAFKA") or f"127.0.0.1:{site.kafka_port}",
        redis=environ.get("HANDRAISE_REDIS") or f"redis://127.0.0.1:{site.redis_port}/0",
    )


def down(site: Site, say: Say = print, names: Collection[str] = tuple(_SERVED_BY)) -> None:
    """End what ``up`` started at this site and nothing else, of the servers of these names; the data stays."""
    with _alone(site):
        for name in (each for each in reversed(_SERVED_BY) if each in names):
            mark = site.container_mark(name)
            if mark.exists():
                _compose("rm", "--stop", "--force", name)
                mark.unlink()
                say(f"{name}: container ended")
                continue
            server = site.own(name)
            if server.pid is None:
                left = ", and what answers there is not ours" if _SERVED_BY[name](site.port(name)) == "yes" else ""
                say(f"{name}: was not started from here{left}")
            else:
                server.stop()
                say(f"{name}: ended")


def status(site: Site, environ: Mapping[str, str], say: Say = print) -> bool:
    """Say of each server whether it answers and whose it is; returns whether both answer."""
    well = True
    for name, question in _SERVED_BY.items():
        if environ.get(_VARIABLES[name]):
            say(f"{name}: {_VARIABLES[name]} is set, nothing is started here")
            continue
        answer = question(site.port(name))
        pid = site.own(name).pid
        whose = "a container of ours" if site.container_mark(name).exists() else f"pid {pid}" if pid else "not ours"
        words = {"yes": f"answers ({whose})", "other": "something else listens there", "no": "is down"}
        say(f"{name}: 127.0.0.1:{site.port(name)} {words[answer]}")
        well = well and answer == "yes"
    return well


@contextlib.contextmanager
def running(folder: Path, environ: Mapping[str, str], say: Say = print) -> Iterator[Servers]:
    """Have Kafka and Redis for the time of a ``with`` block: on free ports, or by Docker on the default ones."""
    site = Site(folder) if tools.docker() else Site(folder, probe.free_port(), probe.free_port())
    try:
        yield up(site, environ, say)
    finally:
        down(site, lambda _: None)


def install_tools(environ: Mapping[str, str], say: Say = print) -> None:
    """Make the programs that running here needs be there; those that only tests need are installed too, or said."""
    if tools.may_install():
        tools.require(tools.ALL, say)
    tools.require(_needed_to_run(environ), say)
    left = tools.missing(tools.ALL)
    if left:
        say(f"`make test` will also need: {tools.command(left)}")


def fetch(environ: Mapping[str, str], say: Say = print) -> None:
    """Bring the Kafka broker into the cache, unless the servers come from elsewhere."""
    if tools.MAVEN in _needed_to_run(environ):
        jars.fetch(say)


def install_test_tools(say: Say = print) -> None:
    """Make all that the tests need be there: they start servers of their own, whatever the environment offers."""
    tools.require([*tools.ALL, *tools.ONLY_FOR_TESTS], say)
    jars.fetch(say)


def _needed_to_run(environ: Mapping[str, str]) -> list[tools.Tool]:
    if tools.docker():
        return [tools.VENV]
    kafka = [tools.VENV, *([] if environ.get("HANDRAISE_KAFKA") else [tools.JAVA, tools.MAVEN])]
    return kafka if environ.get("HANDRAISE_REDIS") else [*kafka, tools.REDIS]


def _is_served(site: Site, name: str, environ: Mapping[str, str], say: Say) -> bool:
    """Whether the server needs no start, and say why; a Problem when something else sits on its port."""
    if environ.get(_VARIABLES[name]):
        say(f"{name}: {_VARIABLES[name]} is set and used as it is")
        return True
    server, port = site.own(name), site.port(name)
    if server.pid is not None:
        server.start()  # may still be on its way: this waits for its answer
        say(f"{name}: is up already on 127.0.0.1:{port}")
        return True
    answer = _SERVED_BY[name](port)
    if answer == "other":
        raise Problem(
            f"port {port} is taken by something that is not {name.capitalize()}",
            f"127.0.0.1:{port}",
            f"end it (`ss -ltnp` or `lsof -i :{port}` names it), or set {_VARIABLES[name]} to a server you have",
        )
    if answer == "yes":
        whose = (
            "our container" if site.container_mark(name).exists() else "not started from here, so `make down` leaves it"
        )
        say(f"{name}: answers already on 127.0.0.1:{port} ({whose})")
    return answer == "yes"


def _processes_up(site: Site, names: list[str], say: Say) -> None:
    """Start the servers as processes of this system; what is missing is asked for in one go."""
    needed = {"kafka": [tools.JAVA, tools.MAVEN], "redis": [tools.REDIS]}
    tools.require([tool for name in names for tool in needed[name]], say)
    for name in names:
        server = site.own(name)
        server.start()
        say(f"{name}: started on 127.0.0.1:{site.port(name)}, pid {server.pid}, log {server.process.log_file}")


def _containers_up(site: Site, names: list[str], say: Say) -> None:
    """Start the servers by Docker Compose and wait for their healthchecks."""
    say(f"starting {' and '.join(names)} with Docker Compose")
    for name in names:
        site.container_mark(name).touch()  # before the start: a start that fails half-way is still ours to end
    _compose("up", "--detach", "--wait", *names)
    for name in names:
        say(f"{name}: started on 127.0.0.1:{site.port(name)} as a container")


def _compose(*words: str) -> None:
    run = subprocess.run(
        ["docker", "compose", "--file", str(ROOT / "docker-compose.yml"), *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        reason = (run.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise Problem(
            f"Docker Compose failed: {reason}",
            str(ROOT / "docker-compose.yml"),
            f"run `docker compose {' '.join(words)}` to see all of it",
        )


@contextlib.contextmanager
def _alone(site: Site) -> Iterator[None]:
    """Let one ``up`` or ``down`` at a time work at the site."""
    site.folder.mkdir(parents=True, exist_ok=True)
    with (site.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(arguments: list[str], environ: Mapping[str, str], site: Site | None = None) -> int:
    """Do what the one word asks; returns the exit code (0 done, 1 not so, 2 wrong use)."""
    site = site or Site()
    actions: dict[str, Callable[[], bool | Servers | None]] = {
        "up": lambda: up(site, environ),
        "down": lambda: down(site),
        "status": lambda: status(site, environ),
        "tools": lambda: install_tools(environ),
        "test-tools": install_test_tools,
        "fetch": lambda: fetch(environ),
    }
    if len(arguments) != 1 or arguments[0] not in actions:
        print(f"usage: python -m deploy.local {' | '.join(actions)}", file=sys.stderr)
        return 2
    try:
        return 1 if actions[arguments[0]]() is False else 0
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
