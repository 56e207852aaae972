"""The table [channels] of the secrets file: by what people and systems are told, with passwords and keys."""

from __future__ import annotations

import base64
import binascii
import re
import tomllib
from email.utils import parseaddr
from typing import Any, Literal, NoReturn
from urllib.parse import urlsplit

import msgspec

from agents.senders import Endpoint, Mailbox
from handraise import keyfile
from handraise.failure import Failure
from handraise.settings import Settings
from streams.desk.roster import ROSTER_FILE, RosterFile
from streams.letters import KINDS
from streams.rulefile import parse

_SERVER = re.compile(r"(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>\d{1,5})\Z")
_ADDRESS = re.compile(r"[^@\s<>,]+@[A-Za-z0-9.-]+\Z")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}\Z")
_SECRET_BYTES = range(24, 65)
"""As Standard Webhooks recommends."""


class _Email(msgspec.Struct, forbid_unknown_fields=True):
    server: str
    sender: str
    encryption: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password: str = ""


class _Webhook(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    url: str
    secret: str
    kinds: list[str] = []


class _Channels(msgspec.Struct, forbid_unknown_fields=True):
    email: _Email | None = None
    webhook: list[_Webhook] = []


def load(settings: Settings) -> tuple[Mailbox | None, tuple[Endpoint, ...]]:
    """What is configured: the mail server, if there is one, and the endpoints.  Raises Failure."""
    path = keyfile.path_of(settings)
    if settings.secrets is None and not path.exists():
        return None, ()
    try:
        with path.open("rb") as file:
            table = tomllib.load(file).get("channels", {})
    except OSError as error:
        _fail(settings, "", f"the secrets file cannot be read: {error.strerror}", "make it readable for this user")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        _fail(settings, "", f"the secrets file is not valid TOML: {error}", "mend it there")
    try:
        given = msgspec.convert(table, _Channels)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        field = where.rstrip("`")
        remedy = "channels are [channels.email] and [[channels.webhook]]; docs/notify.md lists their fields"
        _fail(settings, f"channels{field}", what[0].lower() + what[1:], remedy)
    mailbox = _mailbox(settings, given.email) if given.email else None
    endpoints = tuple(_endpoint(settings, n, each) for n, each in enumerate(given.webhook))
    for n, each in enumerate(endpoints):
        if each.name in {other.name for other in endpoints[:n]}:
            _fail(
                settings, f"channels.webhook[{n}].name", f"{each.name!r} is there twice", "give each a name of its own"
            )
    return mailbox, endpoints


def addresses(roster_text: str) -> dict[str, str]:
    """Person's id → e-mail address, of those who have one, from the text of roster.toml.  Raises RuleError."""
    people = parse(ROSTER_FILE, roster_text, RosterFile).person
    return {each.id: each.email for each in people if _ADDRESS.match(each.email)}


def _mailbox(settings: Settings, given: _Email) -> Mailbox:
    server = _SERVER.match(given.server)
    if not server or not 0 < int(server["port"]) < 65_536:
        remedy = 'write "HOST:PORT", such as "smtp.example.com:587"'
        _fail(settings, "channels.email.server", f"{given.server!r} is no server", remedy)
    _, address = parseaddr(given.sender)
    if not _ADDRESS.match(address) or "\n" in given.sender:
        remedy = 'write "Name <name@example.com>"'
        _fail(settings, "channels.email.sender", f"{given.sender!r} has no e-mail address", remedy)
    if given.user and not given.password:
        _fail(settings, "channels.email.password", "it is missing, though there is a user", "give the user's password")
    return Mailbox(
        host=server["host"].strip("[]"),
        port=int(server["port"]),
        sender=given.sender,
        domain=address.rpartition("@")[2].lower(),
        encryption=given.encryption,
        user=given.user,
        password=given.password,
    )


def _endpoint(settings: Settings, number: int, given: _Webhook) -> Endpoint:
    field = f"channels.webhook[{number}]"
    if not _NAME.match(given.name):
        remedy = "give it lower case letters, digits, - and _"
        _fail(settings, f"{field}.name", f"{given.name!r} is no name", remedy)
    url = _url(given.url)
    if url is None:
        _fail(settings, f"{field}.url", f"{given.url!r} is no URL", "write https://HOST/…")
    unknown = [kind for kind in given.kinds if kind not in KINDS]
    if unknown:
        remedy = f"use {', '.join(KINDS)}; none at all means all of them"
        _fail(settings, f"{field}.kinds", f"there is no kind {unknown[0]!r}", remedy)
    try:
        secret = base64.b64decode(given.secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not given.secret.startswith("whsec_") or len(secret) not in _SECRET_BYTES:
        remedy = "write whsec_ and 24 to 64 bytes in base64, such as `openssl rand -base64 32` gives"
        _fail(settings, f"{field}.secret", "it is no secret of a webhook", remedy)
    return Endpoint(given.name, given.url, secret, frozenset(given.kinds))


def _url(text: str) -> str | None:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    return text if parts.scheme in ("https", "http") and parts.hostname and not parts.fragment else None


def _fail(settings: Settings, field: str, what: str, remedy: str) -> NoReturn:
    where: Any = keyfile.path_of(settings)
    raise Failure(what, f"{where}, {field}" if field else str(where), remedy)
