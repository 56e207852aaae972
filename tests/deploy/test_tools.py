import os
from pathlib import Path

import pytest

from deploy import tools
from deploy.problem import Problem


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is all of PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def _program(folder: Path, name: str, body: str = "") -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("manager", "said"),
    [
        ("apt-get", "sudo apt-get install -y --no-install-recommends maven redis-server"),
        ("dnf", "sudo dnf install -y maven valkey"),
        ("brew", "brew install maven redis"),
    ],
)
def test_what_is_missing_is_named_in_one_command(
    programs: Path, monkeypatch: pytest.MonkeyPatch, manager: str, said: str
) -> None:
    """Who may not install is told all that is missing, what it is for, and the one command of this system."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    _program(programs, manager)
    with pytest.raises(Problem) as caught:
        tools.require([tools.MAVEN, tools.REDIS])
    assert caught.value.what == (
        "mvn is missing (Maven fetches the Kafka broker); redis-server is missing (Redis keeps the read side)"
    )
    assert caught.value.remedy == f"run: {said}"


def test_an_unknown_system_is_told_all_three_commands(programs: Path) -> None:
    """Without a package manager we know, the commands for apt, dnf and brew are said."""
    assert [line.split()[-2] for line in tools.command([tools.MAVEN]).splitlines()] == [
        "--no-install-recommends",
        "-y",
        "install",
    ]


def test_root_on_debian_installs_what_is_missing(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root with apt the package lists are read first, then the missing packages installed, without a question."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    log = programs / "log"
    install = f'case "$1" in install) echo "#!/bin/sh" > {programs}/mvn; /bin/chmod 755 {programs}/mvn;; esac'
    _program(programs, "apt-get", f'echo "$DEBIAN_FRONTEND $@" >> {log}\n{install}')
    said: list[str] = []
    tools.require([tools.MAVEN], said.append)
    assert said == ["installing with apt: mvn"]
    assert log.read_text().splitlines() == [
        "noninteractive update -qq",
        "noninteractive install -y -qq --no-install-recommends maven",
    ]


def test_an_installation_that_fails_is_a_problem(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When apt brings nothing, the tool is still missing and the command is said."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    _program(programs, "apt-get", "exit 100")
    with pytest.raises(Problem, match="mvn is missing"):
        tools.require([tools.MAVEN], lambda _: None)


@pytest.mark.parametrize(
    ("banner", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_402"', 1),
        ('openjdk version "25" x', 25),
        ("", 0),
    ],
)
def test_java_is_known_by_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, banner: str, version: int
) -> None:
    """JAVA_HOME's Java is taken when Kafka runs on it and passed over when it is too old or none at all."""
    (tmp_path / "bin").mkdir()
    _program(tmp_path / "bin", "java", f"echo '{banner}' >&2")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert (tools.java() == str(tmp_path / "bin" / "java")) is (version >= tools.OLDEST_JAVA)


@pytest.mark.parametrize(("body", "answers"), [("exit 0", True), ("exit 1", False), ('test "$1" = info', False)])
def test_a_docker_client_without_engine_or_compose_is_none(programs: Path, body: str, answers: bool) -> None:
    """Docker counts only when its engine and its Compose both answer."""
    _program(programs, "docker", body)
    assert tools.docker() is answers
