"""The secrets file: the key under which identifiers become lead ids."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import tomllib
from collections.abc import Callable
from pathlib import Path

from aiokafka.errors import KafkaError

from gateway import facts
from handraise import topics
from handraise.failure import Failure
from handraise.settings import ROOT, Settings
from schemas.topics import physical
from schemas.wire import Undecodable
from streams.identity import fingerprint

DEFAULT = ROOT / ".handraise" / "secrets.toml"
_KEY_BYTES = 32
_MOST_BYTES = 64
_TEXT = """# Secrets of this installation; never commit or share this file.
# id_key turns identifiers into lead ids.  With another key every visitor is a new lead: keep it, and give the same to
# every gateway (HANDRAISE_SECRETS names the file).
id_key = "{key}"
"""


def path_of(settings: Settings) -> Path:
    """Where the secrets are, or will be made on first use."""
    return settings.secrets or DEFAULT


def id_key(settings: Settings, say: Callable[[str], None]) -> bytes:
    """The key of lead ids, 1 to 64 bytes.

    Without HANDRAISE_SECRETS the file is made on first use, with a random key, and `say` is told.  Raises Failure.
    """
    path = path_of(settings)
    if settings.secrets is None and not path.exists():
        _make(path)
        say(f"made {path} with a random id key, readable by you alone: keep it, lead ids depend on it")
    return _read(path)


def known_id_key(settings: Settings) -> bytes:
    """The key that a gateway has made or was given.  Raises Failure if there is none: a new one would find nobody."""
    path = path_of(settings)
    if not path.exists():
        raise Failure(
            "there is no id key here, so nobody's lead id can be told",
            str(path),
            "ask where the gateway runs, set HANDRAISE_SECRETS to its secrets file, or give the lead id itself",
        )
    return _read(path)


async def check(settings: Settings, key: bytes) -> None:
    """Raise Failure if the deployment's lead ids are made with another key: this one would find nobody.

    A deployment in which no gateway has started yet has no key, and any will do.
    """
    topic, ours = physical(facts.TOPIC, settings.prefix), fingerprint(key)
    try:
        async with topics.admin(settings.kafka) as client:
            there = await topics.find(client, [topic])
        theirs = await facts.known(settings.kafka, settings.prefix, facts.ID_KEY) if there else None
    except (KafkaError, OSError) as error:
        raise topics.unreachable(settings.kafka, error) from error
    except Undecodable as error:
        raise Failure(
            f"the deployment's id key is not told in words that this release knows: {error}",
            f"topic {topic} on {settings.kafka}",
            "run the release that wrote it, or a newer one",
        ) from error
    if theirs not in (None, ours):
        raise Failure(
            f"this is another id key than the deployment's (fingerprint {ours}, not {theirs}): it finds nobody",
            str(path_of(settings)),
            "set HANDRAISE_SECRETS to a copy of the gateway's secrets file, or give the lead id itself",
        )


def _make(path: Path) -> None:
    """Write a new key; if somebody else makes the file at the same moment theirs stands."""
    text = _TEXT.format(key=base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    except OSError as error:
        raise Failure(
            f"the secrets file cannot be made: {error.strerror}",
            str(path),
            "make the folder writable, or set HANDRAISE_SECRETS to a file with `id_key`",
        ) from error


def _read(path: Path) -> bytes:
    remedy = f'write `id_key = "…"`, 1 to {_MOST_BYTES} bytes in base64, such as `openssl rand -base64 32` gives'
    try:
        with path.open("rb") as file:
            values = tomllib.load(file)
    except OSError as error:
        raise Failure(f"the secrets file cannot be read: {error.strerror}", str(path), remedy) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Failure(f"the secrets file is not valid TOML: {error}", str(path), remedy) from error
    text = values.get("id_key")
    try:
        key = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        key = b""
    if not 0 < len(key) <= _MOST_BYTES:
        raise Failure("there is no usable id_key in the secrets file", str(path), remedy)
    return key
