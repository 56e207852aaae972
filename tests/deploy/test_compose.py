import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from deploy import broker, jars
from handraise import keyfile
from handraise.cli import cli
from handraise.serve import ROLES
from handraise.settings import VARIABLES
from tests.deploy import image_lock

ROOT = Path(__file__).parents[2]
PORTS = {"kafka": 9092, "redis": 6379, "gateway": 8080, "console": 8081}


@cache
def services() -> dict[str, dict[str, Any]]:
    """Return the Compose file's services, merge keys resolved."""
    found = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert isinstance(found, dict)
    return found


def depends(name: str) -> dict[str, str]:
    """Return what a service waits for, and for which sign of it."""
    return {other: how["condition"] for other, how in services()[name].get("depends_on", {}).items()}


def one_shots() -> set[str]:
    """Return the services that others wait to see ended."""
    conditions = [pair for name in services() for pair in depends(name).items()]
    return {name for name, condition in conditions if condition == "service_completed_successfully"}


def runs(service: dict[str, Any], word: str) -> bool:
    """Whether the service is `handraise <word>`."""
    return bool(service.get("command", [])[:2] == ["handraise", word])


def commands() -> Iterator[list[str]]:
    """Yield the words after `handraise` of all commands and healthchecks."""
    for service in services().values():
        words = [service.get("command", []), service.get("healthcheck", {}).get("test", [])[1:]]
        yield from (line[1:] for line in words if line and line[0] == "handraise")


def test_every_service_can_be_had_and_tells_its_health() -> None:
    """Each service has an image or a build; all but those that end by themselves are health-checked and restarted."""
    for name, service in services().items():
        assert "image" in service or "build" in service, name
        if name in one_shots():
            assert service["restart"] == "no", name
        else:
            assert service["healthcheck"]["test"][0] == "CMD", name
            assert service["restart"] in {"always", "unless-stopped"}, name


def test_services_wait_for_what_they_need() -> None:
    """Dependencies exist, give the signal that is waited for, and go round in no circle."""
    left = {name: set(depends(name)) for name in services()}
    for name in left:
        for other, condition in depends(name).items():
            assert condition == "service_completed_successfully" or "healthcheck" in services()[other], (name, other)
    while left:
        free = {name for name, others in left.items() if not others & left.keys()}
        assert free, f"a circle among {sorted(left)}"
        left = {name: others for name, others in left.items() if name not in free}


def test_ports_are_the_published_ones_and_on_loopback() -> None:
    """Kafka, Redis and the gateway are where the interfaces say, and nothing listens beyond this machine."""
    published = {name: service["ports"] for name, service in services().items() if "ports" in service}
    assert published == {name: [f"127.0.0.1:{port}:{port}"] for name, port in PORTS.items()}


def test_variables_are_those_that_the_settings_know() -> None:
    """No service is given a HANDRAISE_ variable that the settings would refuse."""
    known = {variable.name for variable in VARIABLES}
    image = set(re.findall(r"\bHANDRAISE_[A-Z]+\b", (ROOT / "deploy" / "Dockerfile").read_text()))
    given = {name for service in services().values() for name in service.get("environment", {})}
    assert {name for name in given | image if not name.startswith("KAFKA_")} <= known


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_command_words_exist(words: list[str]) -> None:
    """Every `handraise …` in the Compose file is a command, with arguments that it takes."""
    command: click.Command = cli
    left = list(words)
    while isinstance(command, click.Group):
        assert left, f"{command.name} wants a command"
        name = left.pop(0)
        assert name in command.commands, f"handraise has no command {name}"
        command = command.commands[name]
    command.make_parser(click.Context(command)).parse_args(left)


def test_each_role_has_one_worker() -> None:
    """Each role that exists runs in a service of its own name."""
    workers = {name: service["command"][2] for name, service in services().items() if runs(service, "worker")}
    assert workers == {role: role for role in ROLES}


def test_kafka_in_a_container_is_set_like_kafka_on_this_machine(tmp_path: Path) -> None:
    """What is developed against one broker behaves the same on the other: addresses apart, settings are equal."""
    own = dict(line.split("=", 1) for line in broker.server_properties(tmp_path, 1, 2).splitlines())
    given = services()["kafka"]["environment"]
    contained = {name.removeprefix("KAFKA_").lower().replace("_", "."): value for name, value in given.items()}
    places = {"listeners", "advertised.listeners", "controller.quorum.voters", "log.dirs", "heap.opts"}
    names = {"inter.broker.listener.name", "listener.security.protocol.map"}
    assert {k: v for k, v in own.items() if k not in places | names} == {
        k: v for k, v in contained.items() if k not in places | names
    }


def test_one_kafka_version_everywhere() -> None:
    """The image, the Maven project and the jars' lock file name the same Kafka."""
    assert services()["kafka"]["image"] == f"apache/kafka:{jars.KAFKA_VERSION}"
    assert f"<version>{jars.KAFKA_VERSION}</version>" in (jars.FILES / "pom.xml").read_text()
    assert f"kafka_2.13-{jars.KAFKA_VERSION}.jar" in jars.locked()


def test_the_image_is_built_from_what_exists_and_runs_as_nobody_special() -> None:
    """What the Dockerfile copies is there and let through by .dockerignore; the processes are not root."""
    recipe = (ROOT / "deploy" / "Dockerfile").read_text()
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [words for line in re.findall(r"^COPY (?!--from)(.+)$", recipe, re.M) for words in line.split()[:-1]]
    for name in copied:
        assert (ROOT / name).exists(), name
        assert name.split("/")[0] in let_through, name
    assert re.findall(r"^USER (\d+)$", recipe, re.M) == ["10001"]


def test_the_gateway_may_write_its_secrets_where_they_outlive_it() -> None:
    """The id key is made in a named volume, over a folder that the image makes for its user, who so may write it."""
    recipe = (ROOT / "deploy" / "Dockerfile").read_text()
    volume, _, folder = services()["gateway"]["volumes"][0].partition(":")
    assert volume in yaml.safe_load((ROOT / "docker-compose.yml").read_text())["volumes"]
    assert Path(folder) == Path("/app") / keyfile.DEFAULT.relative_to(ROOT).parent
    assert "WORKDIR /app\n" in recipe
    assert "install --directory --owner=10001 --mode=700 .handraise\nUSER 10001" in recipe


def test_the_images_packages_are_the_locked_ones() -> None:
    """deploy/requirements.lock has requirements.lock's pins, less the tests' tools: see tests/deploy/image_lock.py."""
    assert image_lock.IMAGE_LOCK.read_text() == image_lock.text()
