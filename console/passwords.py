"""Passwords as scrypt hashes: `scrypt$32768$8$1$SALT$HASH`, salt and hash in base64.

The cost (32 MiB of memory and some 100 ms) stands in the hash, so that it can be raised later.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets

SHORTEST = 10
"""Characters of a password."""
_LONGEST = 1_024
"""Bytes that are looked at; more is no password."""
_N, _R, _P = 1 << 15, 8, 1
_MAX_MEMORY = 128 * 1024 * 1024


def make(password: str) -> str:
    """The hash of a password, with a salt of its own.  Raises ValueError for one that is too short or too long."""
    if len(password) < SHORTEST or len(password.encode()) > _LONGEST:
        raise ValueError(f"a password has {SHORTEST} to {_LONGEST} characters")
    salt = secrets.token_bytes(16)
    return f"scrypt${_N}${_R}${_P}${_text(salt)}${_text(_hash(password, salt, _N, _R, _P))}"


def fits(password: str, stored: str) -> bool:
    """Whether a password has that hash; False, after as long a time, for a hash that cannot be read."""
    try:
        kind, n, r, p, salt, expected = stored.split("$")
        cost = (int(n), int(r), int(p))
        known, want = base64.b64decode(salt, validate=True), base64.b64decode(expected, validate=True)
        is_ours = kind == "scrypt" and len(password.encode()) <= _LONGEST
        return is_ours and hmac.compare_digest(_hash(password, known, *cost), want)
    except (ValueError, binascii.Error):
        _hash("", b"nobody", _N, _R, _P)
        return False


NOBODY = "scrypt$0$0$0$$"
"""A hash that no password has: checking it takes as long as checking somebody's."""


def _hash(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=_MAX_MEMORY, dklen=32)


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
