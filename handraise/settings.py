"""Every HANDRAISE_* variable, its default with the reason, and its check; nobody else reads the environment."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from handraise.failure import Failure

ROOT = Path(__file__).resolve().parents[1]
_PREFIX = "HANDRAISE_"


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable of the environment."""

    name: str
    field: str
    default: str
    reason: str
    """Why this default."""
    read: Callable[[str], Any]
    """Text to value; raises ValueError with what would be right."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says, checked."""

    kafka: str
    redis: str
    gateway: Address
    drain: int
    """Seconds for which a gateway that was told to end serves on, not being ready."""
    console: Address
    rules: Path
    partitions: int
    replication: int
    prefix: str
    registry: str
    """A schema registry's URL, or "" for the lock file's ids; nothing reads it yet."""
    secrets: Path | None
    """None: the file that `handraise.keyfile` makes on first use."""
    log: str
    given: frozenset[str]
    """The variables that are set, by name."""


def _servers(text: str) -> str:
    for server in text.split(","):
        _address(server)
    return text


def _address(text: str) -> Address:
    host, colon, port = text.strip().rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise ValueError("HOST:PORT, such as 127.0.0.1:9092")
    return Address(host.strip("[]"), int(port))


def _url(*schemes: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        parts = urlsplit(text)
        if parts.scheme not in schemes or not parts.hostname:
            raise ValueError(f"a URL that begins with {' or '.join(f'{scheme}://' for scheme in schemes)}")
        return text

    return read


def _between(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdigit() or not least <= int(text) <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return int(text)

    return read


def _topic_prefix(text: str) -> str:
    # Kafka's own rule for topic names, with room for the longest of ours.
    if not re.fullmatch(r"[A-Za-z0-9._-]{0,200}", text):
        raise ValueError('at most 200 letters, digits, ".", "_" and "-", such as staging.')
    return text


def _level(text: str) -> str:
    if text.lower() not in ("debug", "info", "warning", "error"):
        raise ValueError("debug, info, warning or error")
    return text.lower()


def _or_nothing(read: Callable[[str], Any], nothing: Any) -> Callable[[str], Any]:
    return lambda text: read(text) if text else nothing


VARIABLES = (
    Variable("HANDRAISE_KAFKA", "kafka", "127.0.0.1:9092", "where `make up` starts it", _servers),
    Variable(
        "HANDRAISE_REDIS", "redis", "redis://127.0.0.1:6379/0", "where `make up` starts it", _url("redis", "rediss")
    ),
    Variable("HANDRAISE_GATEWAY", "gateway", "127.0.0.1:8080", "loopback: a public door is for a purpose", _address),
    Variable(
        "HANDRAISE_DRAIN", "drain", "0", "seconds to serve on after SIGTERM; no front follows /readyz", _between(0, 300)
    ),
    Variable("HANDRAISE_CONSOLE", "console", "127.0.0.1:8081", "loopback, beside the gateway", _address),
    Variable("HANDRAISE_RULES", "rules", str(ROOT / "rules"), "the rules that are shipped", Path),
    Variable(
        "HANDRAISE_PARTITIONS", "partitions", "24", "up to 24 workers; cannot be changed later", _between(1, 10_000)
    ),
    Variable("HANDRAISE_REPLICATION", "replication", "1", "one broker; in production 3", _between(1, 15)),
    Variable("HANDRAISE_PREFIX", "prefix", "", "one deployment on a cluster needs none", _topic_prefix),
    Variable(
        "HANDRAISE_REGISTRY",
        "registry",
        "",
        "ids from the lock file; no registry is read yet",
        _or_nothing(_url("http", "https"), ""),
    ),
    Variable("HANDRAISE_SECRETS", "secrets", "", "a file made on first use", _or_nothing(Path, None)),
    Variable("HANDRAISE_LOG", "log", "info", "what an operator wants to read", _level),
)
"""In the order in which people read about them."""

FOR_TESTS = frozenset(f"HANDRAISE_CHAOS_{each}" for each in ("SEED", "EVENTS", "ROUNDS", "SECONDS"))
"""Read by test programs; no command looks at them."""


def read(environ: Mapping[str, str]) -> Settings:
    """The settings in an environment.  Raises Failure for an unknown name and for a value that cannot be."""
    known = {variable.name for variable in VARIABLES} | FOR_TESTS
    for name in sorted(environ):
        if name.startswith(_PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}? Otherwise unset it" if near else "unset it"
            raise Failure(
                f"{name} is no setting of Handraise", "the environment", f"{hint}; `handraise --help` lists all of them"
            )
    values: dict[str, Any] = {}
    for variable in VARIABLES:
        text = environ.get(variable.name, variable.default)
        try:
            values[variable.field] = variable.read(text)
        except ValueError as error:
            raise Failure(f'{variable.name} is "{text}"', "the environment", f"give {error}") from None
    return Settings(**values, given=frozenset(name for name in environ if name in known))
