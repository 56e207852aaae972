"""Who an event is about: identifiers in one spelling, their strength, and ids that carry no personal data."""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from typing import Literal, NamedTuple

import msgspec

Kind = Literal["u", "e", "a"]
"""Kinds of identifier, strongest first: user id, e-mail address, anonymous id."""

Evidence = Literal["m", "p", "n"]
"""What makes suspected duplicates and never links: another spelling of an e-mail address, telephone number, name and
company."""

KIND_NAMES: dict[Kind | Literal["p"], str] = {"u": "user", "e": "email", "a": "anonymous", "p": "phone"}
"""The kinds, and telephone numbers, which make no lead, in words."""

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of control, format, surrogate and separating characters."""
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""Letters, marks and symbols of other categories that are drawn as nothing."""


class Identifier(NamedTuple):
    """One normalised identifier."""

    kind: Kind
    value: str


class Person(msgspec.Struct, frozen=True, gc=False):
    """What an event tells of who did it, in normal forms; None for what it does not tell."""

    user_id: str | None = None
    email: str | None = None
    anonymous_id: str | None = None
    mailbox: str | None = None
    """The address by which other spellings of the e-mail address are compared; see `Vocabulary.mailbox`."""
    phone: str | None = None
    employee: str | None = None
    """Name and company; see `employee`."""


def strongest(user_id: str | None, email: str | None, anonymous_id: str | None) -> Identifier | None:
    """The strongest identifier that is known (not None and not empty), or None."""
    if user_id:
        return Identifier("u", user_id)
    if email:
        return Identifier("e", email)
    if anonymous_id:
        return Identifier("a", anonymous_id)
    return None


def lead_id(kind: Kind | Evidence, value: str, secret: bytes) -> str:
    """The lead's id: the kind, an underscore, and 80 bits of a keyed hash (BLAKE2b) in base32, lower case.

    Keyed, so that nobody without the secret can test a guessed address; 80 bits keep a collision among 10^9 leads
    below 1 in 10^6.  Raises ValueError for a secret of no or over 64 bytes.
    """
    if not 0 < len(secret) <= 64:
        raise ValueError(f"the id key has {len(secret)} bytes; it needs 1 to 64")
    digest = hashlib.blake2b(value.encode("utf-8", "surrogatepass"), digest_size=10, key=secret, person=kind.encode())
    return f"{kind}_{base64.b32encode(digest.digest()).decode().lower()}"


def identifiers(person: Person, secret: bytes) -> tuple[str, ...]:
    """The ids of all that is known, strongest first (u, e, a), then the evidence (m, p, n).

    An `m_` id is there only if the address is not the mailbox itself; it is the mailbox's `e_` id with another letter,
    so that it is known whose address it may be.
    """
    found = []
    if person.user_id:
        found.append(lead_id("u", person.user_id, secret))
    if person.email:
        found.append(lead_id("e", person.email, secret))
    if person.anonymous_id:
        found.append(lead_id("a", person.anonymous_id, secret))
    if person.mailbox and person.mailbox != person.email:
        found.append("m" + lead_id("e", person.mailbox, secret)[1:])
    if person.phone:
        found.append(lead_id("p", person.phone, secret))
    if person.employee:
        found.append(lead_id("n", person.employee, secret))
    return tuple(found)


def normal_id(value: str) -> str | None:
    """A user id or anonymous id without spaces around it, in Unicode's form NFC; None if it has unseen characters.

    Two ids that differ in what nobody sees are a mistake or a trick.  Letters of different scripts that look alike
    stay different.
    """
    text = value.strip()
    if text.isascii():
        return text if text.isprintable() else None
    if _BLANK.search(text) or any(unicodedata.category(each) in _UNSEEN for each in text):
        return None
    return unicodedata.normalize("NFC", text)


def employee(name: str, company: str) -> str | None:
    """Name and company as one text in which letter case, width and spaces do not count; None if one is missing."""
    parts = [" ".join(folded(each).split()) for each in (name, company)]
    return "\n".join(parts) if all(parts) else None


def folded(text: str) -> str:
    """The text without differences of letter case, width and compatibility (NFKC)."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def fingerprint(secret: bytes) -> str:
    """128 bits in hexadecimal by which two parties see that they have the same id key, and nothing of the key."""
    return hashlib.blake2b(b"the id key", digest_size=16, key=secret, person=b"fingerprint").hexdigest()


def event_id(source: str, message_id: str) -> bytes:
    """The 8 bytes by which a repeat of an event is known: a hash of its source and the client's message id."""
    text = f"{source}\x00{message_id}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=8).digest()
