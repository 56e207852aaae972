import json
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import jars, local, probe
from deploy.local import Site, down, running, status, up
from deploy.problem import Problem
from deploy.redis_server import Redis


def heard() -> tuple[list[str], local.Say]:
    """Return a list and a ``say`` that fills it."""
    said: list[str] = []
    return said, said.append


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site on ports of its own, ended whatever the test did."""
    place = Site(tmp_path / "site", probe.free_port(), probe.free_port())
    yield place
    down(place, lambda _: None)


@pytest.fixture
def rude() -> Iterator[int]:
    """A port where something listens that speaks neither Kafka's language nor Redis's."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    link, _ = server.accept()
                except OSError:
                    return
                with link:
                    link.sendall(b"220 mail.example ESMTP ready\r\n")

        threading.Thread(target=answer, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def test_up_and_down_may_be_said_twice(site: Site) -> None:
    """A second `up` leaves the same processes running, a second `down` finds nothing to end, and data outlives both.

    `down` can be said of one of them alone.
    """
    servers = up(site, {}, lambda _: None)
    assert servers == local.Servers(f"127.0.0.1:{site.kafka_port}", f"redis://127.0.0.1:{site.redis_port}/0")
    pids = [site.own(name).pid for name in ("kafka", "redis")]
    assert None not in pids
    said, say = heard()
    up(site, {}, say)
    assert [site.own(name).pid for name in ("kafka", "redis")] == pids
    assert all("is up already" in line for line in said)
    assert status(site, {}, say)
    down(site, say, ["redis"])
    assert (probe.kafka(site.kafka_port), probe.redis(site.redis_port)) == ("yes", "no")
    down(site, say)
    assert (probe.kafka(site.kafka_port), probe.redis(site.redis_port)) == ("no", "no")
    assert not status(site, {}, say)
    said.clear()
    down(site, say)
    assert said == ["redis: was not started from here", "kafka: was not started from here"]
    assert (site.folder / "kafka" / "data" / "meta.properties").exists()


def test_servers_that_are_given_are_used_and_nothing_is_started(site: Site) -> None:
    """With both variables set `up` returns them as they are and starts no process."""
    given = {"HANDRAISE_KAFKA": "kafka.example:9092", "HANDRAISE_REDIS": "redis://redis.example:6379/3"}
    assert up(site, given, lambda _: None) == local.Servers(given["HANDRAISE_KAFKA"], given["HANDRAISE_REDIS"])
    assert [site.own(name).pid for name in ("kafka", "redis")] == [None, None]


def test_servers_of_others_are_used_and_left_alone(tmp_path: Path, kafka: str, redis_url: str) -> None:
    """What answers already is used and said to be another's; `down` does not end it."""
    ports = [int(address.split(":")[-1].split("/")[0]) for address in (kafka, redis_url)]
    site = Site(tmp_path, *ports)
    said, say = heard()
    up(site, {}, say)
    assert all("not started from here" in line for line in said)
    down(site, say)
    assert (probe.kafka(ports[0]), probe.redis(ports[1])) == ("yes", "yes")


@pytest.mark.parametrize(("name", "variable"), [("kafka", "HANDRAISE_KAFKA"), ("redis", "HANDRAISE_REDIS")])
def test_a_port_taken_by_something_else_is_said_clearly(tmp_path: Path, rude: int, name: str, variable: str) -> None:
    """The problem names the port, the server and what to do; nothing is started beside it."""
    free = probe.free_port()
    site = Site(tmp_path, rude, free) if name == "kafka" else Site(tmp_path, free, rude)
    with pytest.raises(Problem) as caught:
        up(site, {}, lambda _: None)
    what, where, remedy = caught.value.what, caught.value.where, caught.value.remedy
    assert what == f"port {rude} is taken by something that is not {name.capitalize()}"
    assert where == f"127.0.0.1:{rude}"
    assert variable in remedy
    assert [site.own(each).pid for each in ("kafka", "redis")] == [None, None]


def test_a_pid_that_was_given_to_somebody_else_is_not_ended(tmp_path: Path) -> None:
    """A pid file that points to a process with another command line is stale: that process lives on."""
    server = Redis(tmp_path, probe.free_port())
    server.process.pid_file.write_text(json.dumps({"pid": os.getpid()}))
    assert server.pid is None
    server.stop()
    assert not server.process.pid_file.exists()


@pytest.mark.parametrize("text", ["", "12", "{}", '{"pid": "x"}', "\x00\xff", '{"pid": 999999999}'])
def test_a_damaged_pid_file_means_not_running(tmp_path: Path, text: str) -> None:
    """Whatever a pid file says, the answer is a live process of ours or none."""
    server = Redis(tmp_path, probe.free_port())
    server.process.pid_file.write_text(text)
    assert server.pid is None


def test_a_broker_that_cannot_start_gives_its_last_words(tmp_path: Path) -> None:
    """When Java refuses, the problem carries the reason from the log, where the log is, and a remedy."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "meta.properties").write_text("version=1\nnode.id=7\n")
    with pytest.raises(Problem) as caught:
        local.start_kafka(tmp_path)
    assert "kafka ended while starting" in caught.value.what
    assert "meta.properties" in caught.value.what
    assert caught.value.where == str(tmp_path / "kafka.log")
    assert str(tmp_path) in caught.value.remedy


def test_servers_for_a_while_end_with_the_block(tmp_path: Path) -> None:
    """`running` gives answering servers on free ports and ends them, also when the block fails."""
    ports: list[int] = []
    with pytest.raises(ZeroDivisionError), running(tmp_path, {"HANDRAISE_KAFKA": "kafka.example:9092"}) as servers:
        ports.append(int(servers.redis.split(":")[-1].split("/")[0]))
        assert probe.redis(ports[0]) == "yes"
        raise ZeroDivisionError
    assert probe.redis(ports[0]) == "no"


def test_questions_are_answered_in_the_right_language_only(kafka: str, redis_url: str, rude: int) -> None:
    """Kafka's question fits Kafka alone, Redis's fits Redis alone; a free port is "no"."""
    kafka_port, redis_port = int(kafka.split(":")[-1]), int(redis_url.split(":")[-1].split("/")[0])
    assert [probe.kafka(port) for port in (kafka_port, redis_port, rude)] == ["yes", "other", "other"]
    assert [probe.redis(port) for port in (redis_port, kafka_port, rude)] == ["yes", "other", "other"]
    port = probe.free_port()
    assert (probe.kafka(port), probe.redis(port), probe.http(f"http://127.0.0.1:{port}/readyz")) == ("no", "no", False)


def test_with_a_docker_engine_the_containers_are_used(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the default ports Compose starts the two services and waits; `down` removes those and no others, once."""
    log = tmp_path / "docker.log"
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {log}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setattr(local, "KAFKA_PORT", site.kafka_port)
    monkeypatch.setattr(local, "REDIS_PORT", site.redis_port)
    up(site, {}, lambda _: None)
    down(site, lambda _: None)
    down(site, lambda _: None)
    calls = [line.split("docker-compose.yml ")[1] for line in log.read_text().splitlines() if "--file" in line]
    assert calls == ["up --detach --wait kafka redis", "rm --stop --force redis", "rm --stop --force kafka"]


def test_jars_that_are_not_the_pinned_ones_are_found(tmp_path: Path) -> None:
    """A changed, a missing and an added jar are each named."""
    shutil.copytree(jars.fetch(), tmp_path / "jars", copy_function=os.link)
    assert jars.differences(tmp_path / "jars") == []
    (tmp_path / "jars" / "jose4j-0.9.6.jar").unlink()
    (tmp_path / "jars" / "re2j-1.8.jar").unlink()
    (tmp_path / "jars" / "re2j-1.8.jar").write_bytes(b"changed")
    (tmp_path / "jars" / "added.jar").write_bytes(b"")
    assert jars.differences(tmp_path / "jars") == [
        "jose4j-0.9.6.jar is missing",
        "added.jar is not in the lock file",
        "re2j-1.8.jar has another SHA-256",
    ]


def test_a_damaged_cache_is_fetched_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jars that fail their check are replaced by ones that pass, or not used at all."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    damaged = tmp_path / "handraise" / f"kafka-{jars.KAFKA_VERSION}" / "re2j-1.8.jar"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"changed")
    folder = jars.fetch(lambda _: None)
    assert folder == damaged.parent
    assert jars.differences(folder) == []
    monkeypatch.setattr(jars, "locked", lambda: {"re2j-1.8.jar": "0" * 64})
    monkeypatch.setattr(jars, "_maven", lambda target: shutil.copytree(folder, target))
    with pytest.raises(Problem, match="not the pinned ones"):
        jars.fetch(lambda _: None)


def test_wrong_use_is_told_the_words_there_are(capsys: pytest.CaptureFixture[str], site: Site) -> None:
    """An unknown word ends with exit code 2 and the list of words; `status` of a site that is down with 1."""
    assert local.main(["upp"], {}, site) == 2
    assert "up | down | status" in capsys.readouterr().err
    assert local.main(["status"], {}, site) == 1
