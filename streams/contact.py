"""The identifiers of a lead as people write them: how it can be reached, and which of them are proved to be its own."""

from __future__ import annotations

from schemas.fields import engagement_fields
from streams.state import Known, Lead

MOST_KNOWN = 8
MOST_CHARACTERS = 500
"""Of an identifier: what is longer is none that people write.  (The gateway takes no longer ones.)"""


def first_known(key: bytes, value: bytes, email: str | None, at: int) -> list[Known]:
    """What the key of a lead was made of, as far as the event tells it; a device's id is not kept."""
    if key.startswith(b"a_"):
        return []
    kind = key[:1].decode()
    (user_id,) = engagement_fields(value, "user_id") if kind == "u" else (email,)
    return [Known(kind, user_id, at)] if user_id and len(user_id) <= MOST_CHARACTERS else []


def learn(lead: Lead, kind: str, value: str, at: int) -> None:
    """Take note of an identifier, while there is room."""
    known = lead.known
    if (
        len(known) < MOST_KNOWN
        and len(value) <= MOST_CHARACTERS
        and all((each.kind, each.value) != (kind, value) for each in known)
    ):
        lead.keep(known=[*known, Known(kind, value, at)])


def verify(lead: Lead, email: str, at: int) -> None:
    """Take note that a human followed a link in a mail to this address."""
    known = lead.known
    if any(each.kind == "e" and each.value == email and not each.verified for each in known):
        lead.keep(
            known=[
                Known(each.kind, each.value, each.since, each.verified or at) if each.value == email else each
                for each in known
            ]
        )


def reachable(lead: Lead) -> bool:
    """True if an e-mail address or a telephone number is known."""
    return lead.email is not None or any(each.kind == "p" for each in lead.known)
