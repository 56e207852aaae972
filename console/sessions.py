"""Who is signed in: a cookie that says so, signed with a key that everybody's console shares.

Nothing is kept on the server, so any number of consoles can stand behind one address.  The signature covers the
password's hash: whoever changes a password ends all sessions begun with it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

COOKIE = "handraise"
LASTS_MS = 12 * 3_600_000
"""A working day, and then some."""
ONCE_LASTS_MS = 10 * 60_000
_MOST_USED = 10_000


class Session(msgspec.Struct, frozen=True, array_like=True):
    """Somebody who is signed in until then (ms)."""

    rep: str
    until: int


class Once(msgspec.Struct, frozen=True, array_like=True):
    """A link that signs somebody in, once, until then (ms), and leads to a page."""

    rep: str
    until: int
    page: str
    nonce: str


_Token = TypeVar("_Token", Session, Once)


class Sessions:
    """Makes and reads cookies and one-time links; `passwords`: person → hash, as the secrets file has them."""

    def __init__(self, secret: bytes, passwords: Callable[[], Mapping[str, str]]) -> None:
        self._key = hashlib.blake2b(b"handraise console sessions", key=secret[:64]).digest()
        self._passwords = passwords
        self._used: dict[str, int] = {}

    def begin(self, rep: str, now: int) -> str:
        """The cookie's value for somebody who has just shown who they are."""
        return self._sign("session", rep, Session(rep, now + LASTS_MS))

    def read(self, value: str, now: int) -> Session | None:
        """Who a cookie's value stands for; None if it is not ours, or over."""
        found = self._open("session", value, Session)
        return found if found and now < found.until else None

    def link(self, rep: str, page: str, now: int) -> str:
        """The token of a link that signs somebody in once within ten minutes."""
        return self._sign("once", rep, Once(rep, now + ONCE_LASTS_MS, page, secrets.token_hex(8)))

    def use(self, token: str, now: int) -> Once | None:
        """What a link's token stands for, the first time; None ever after, and for what is not ours or over."""
        found = self._open("once", token, Once)
        if found is None or now >= found.until or found.nonce in self._used:
            return None
        for nonce in [each for each, until in self._used.items() if until <= now][:_MOST_USED]:
            del self._used[nonce]
        self._used[found.nonce] = found.until
        return found

    def _sign(self, purpose: str, rep: str, value: Session | Once) -> str:
        body = msgspec.json.encode(value)
        return f"{_text(body)}.{_text(self._seal(purpose, rep, body))}"

    def _open(self, purpose: str, value: str, cls: type[_Token]) -> _Token | None:
        body, _, seal = value.partition(".")
        try:
            found = msgspec.json.decode(_bytes(body), type=cls)
            ours = hmac.compare_digest(_bytes(seal), self._seal(purpose, found.rep, _bytes(body)))
        except (msgspec.MsgspecError, binascii.Error, ValueError):
            return None
        return found if ours else None

    def _seal(self, purpose: str, rep: str, body: bytes) -> bytes:
        since = self._passwords().get(rep, "")
        return hmac.digest(self._key, b"\0".join((purpose.encode(), since.encode(), body)), "sha256")


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
