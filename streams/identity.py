"""Who an event is about: identifiers, their strength, and ids that carry no personal data."""

from __future__ import annotations

import base64
import hashlib
from typing import Literal, NamedTuple

Kind = Literal["u", "e", "a"]
"""Kinds of identifier, strongest first: user id, e-mail address, anonymous id."""

KIND_NAMES: dict[Kind | Literal["p"], str] = {"u": "user", "e": "email", "a": "anonymous", "p": "phone"}
"""The kinds, and telephone numbers, which make no lead, in words."""


class Identifier(NamedTuple):
    """One normalised identifier."""

    kind: Kind
    value: str


def strongest(user_id: str | None, email: str | None, anonymous_id: str | None) -> Identifier | None:
    """The strongest identifier that is known (not None and not empty), or None."""
    if user_id:
        return Identifier("u", user_id)
    if email:
        return Identifier("e", email)
    if anonymous_id:
        return Identifier("a", anonymous_id)
    return None


def lead_id(kind: Kind, value: str, secret: bytes) -> str:
    """The lead's id: the kind, an underscore, and 80 bits of a keyed hash (BLAKE2b) in base32, lower case.

    Keyed, so that nobody without the secret can test a guessed address; 80 bits keep a collision among 10^9 leads
    below 1 in 10^6.  Raises ValueError for a secret of no or over 64 bytes.
    """
    if not 0 < len(secret) <= 64:
        raise ValueError(f"the id key has {len(secret)} bytes; it needs 1 to 64")
    digest = hashlib.blake2b(value.encode("utf-8", "surrogatepass"), digest_size=10, key=secret, person=kind.encode())
    return f"{kind}_{base64.b32encode(digest.digest()).decode().lower()}"


def event_id(source: str, message_id: str) -> bytes:
    """The 8 bytes by which a repeat of an event is known: a hash of its source and the client's message id."""
    text = f"{source}\x00{message_id}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=8).digest()
