"""The environment, read in one place."""

from pathlib import Path

import pytest

from handraise.failure import Failure
from handraise.settings import FOR_TESTS, VARIABLES, Address, read


def test_an_empty_environment_gives_the_defaults() -> None:
    """Without variables everything has the value that the documentation names."""
    settings = read({"PATH": "/bin"})
    assert (settings.kafka, settings.partitions, settings.replication) == ("127.0.0.1:9092", 24, 1)
    assert (settings.gateway, settings.console) == (Address("127.0.0.1", 8080), Address("127.0.0.1", 8081))
    assert (settings.rules / "model.toml").is_file()
    assert settings.given == frozenset()


def test_every_variable_is_read() -> None:
    """Each variable sets its field, and is known as given."""
    environ = {
        "HANDRAISE_KAFKA": "a:1,b:2",
        "HANDRAISE_REDIS": "rediss://r:1/2",
        "HANDRAISE_GATEWAY": "0.0.0.0:80",
        "HANDRAISE_DRAIN": "15",
        "HANDRAISE_CONSOLE": "[::1]:81",
        "HANDRAISE_RULES": "elsewhere",
        "HANDRAISE_PARTITIONS": "4",
        "HANDRAISE_REPLICATION": "3",
        "HANDRAISE_PREFIX": "staging.",
        "HANDRAISE_REGISTRY": "https://registry.example",
        "HANDRAISE_SECRETS": "s.toml",
        "HANDRAISE_LOG": "DEBUG",
    }
    assert set(environ) == {variable.name for variable in VARIABLES}
    settings = read(environ)
    assert settings.given == set(environ)
    assert (settings.console, settings.rules, settings.secrets) == (
        Address("::1", 81),
        Path("elsewhere"),
        Path("s.toml"),
    )
    assert (settings.partitions, settings.replication, settings.log, settings.drain) == (4, 3, "debug", 15)


def test_an_unknown_name_is_refused_with_the_nearest_known_one() -> None:
    """A misspelt variable would be ignored in silence; it is an error that names the right one."""
    with pytest.raises(Failure, match="HANDRAISE_PARTITONS is no setting") as caught:
        read({"HANDRAISE_PARTITONS": "4"})
    assert "did you mean HANDRAISE_PARTITIONS" in caught.value.remedy
    assert caught.value.exit_code == 2


def test_what_tests_need_is_let_through() -> None:
    """The seed of the chaos run is no setting, and no error."""
    assert read(dict.fromkeys(FOR_TESTS, "7")).given == FOR_TESTS


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HANDRAISE_KAFKA", "localhost"),
        ("HANDRAISE_KAFKA", "a:1,b"),
        ("HANDRAISE_REDIS", "127.0.0.1:6379"),
        ("HANDRAISE_GATEWAY", "127.0.0.1:0"),
        ("HANDRAISE_GATEWAY", "127.0.0.1:99999"),
        ("HANDRAISE_PARTITIONS", "0"),
        ("HANDRAISE_PARTITIONS", "four"),
        ("HANDRAISE_REPLICATION", ""),
        ("HANDRAISE_PREFIX", "a/b"),
        ("HANDRAISE_REGISTRY", "ftp://x"),
        ("HANDRAISE_LOG", "loud"),
    ],
)
def test_a_value_that_cannot_be_is_refused(name: str, value: str) -> None:
    """A wrong value is told with its name, and with what would be right."""
    with pytest.raises(Failure, match=name) as caught:
        read({name: value})
    assert caught.value.remedy.startswith("give ")
