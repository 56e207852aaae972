"""A lead, found by its id or by an identifier of its person in the workers' memory."""

from __future__ import annotations

from typing import NamedTuple

from gateway.contact import normal_email
from handraise import keyfile
from handraise.failure import CHECK_FAILED, Failure
from handraise.memory import Memory, memory
from handraise.settings import Settings
from streams.identity import KIND_NAMES, Kind, lead_id, normal_id
from streams.links import ID
from streams.rules import Rules
from streams.state import Lead, Moved

_KINDS: dict[str, Kind] = {name: kind for kind, name in KIND_NAMES.items() if kind != "p"}
_MOST_MOVES = 32
"""Forwarding addresses make no cycles; a chain this long would be damage."""


class Asked(NamedTuple):
    """What somebody typed: a lead id, and the identifier behind it if one was given."""

    id: str
    kind: str
    """The kind's letter, or empty."""
    value: str

    def __str__(self) -> str:
        return f"{KIND_NAMES[self.kind]}:{self.value}" if self.kind else self.id  # type: ignore[index]


class Found(NamedTuple):
    """A lead, and how the id that was asked for led to it."""

    id: str
    lead: Lead
    asked: Asked
    moved_from: str | None
    """The id that was asked for, if it is a part of the lead."""
    moved_at: int
    """Since when, in seconds; 0 if the lead lives under the id itself."""
    partitions: int
    """Of the changelog, and so of the inbox."""
    key: bytes | None = None
    """The deployment's id key, if it is here: a lead can be shown without it."""
    rules: Rules | None = None
    """The promoted rules by which it is judged; None if none were promoted."""


def parse(text: str, settings: Settings) -> Asked:
    """A lead id, or `user:…`, `email:…`, `anonymous:…` as its lead id.  Raises Failure."""
    if ID.fullmatch(text) and text[0] in _KINDS.values():
        return Asked(text, "", "")
    name, colon, value = text.partition(":")
    if not colon or name not in _KINDS or not value.strip():
        raise Failure(
            f'"{text}" is no lead id',
            "ID",
            "give a lead id such as u_abcdefghijklmnop, or user:…, email:…, anonymous:… with the identifier",
        )
    normal = normal_email(value) if name == "email" else normal_id(value)
    if normal is None:
        raise Failure(
            f"{value!r} is no e-mail address" if name == "email" else f"{value!r} has characters that nobody sees",
            "ID",
            "give it as name@company.example" if name == "email" else "give it without them",
        )
    return Asked(lead_id(_KINDS[name], normal, keyfile.known_id_key(settings)), _KINDS[name], normal)


async def look_up(settings: Settings, asked: Asked) -> Found:
    """The lead; of a moved one that to which it moved.  Raises Failure if there is none."""
    key = await key_for(settings, asked)
    async with memory(settings) as remembered:
        return (await find(remembered, asked))._replace(key=key)


async def key_for(settings: Settings, *asked: Asked) -> bytes | None:
    """The deployment's id key, or None where no right one is here and none is needed.

    Raises Failure if an identifier was asked for: with another key it would find nobody.
    """
    try:
        key = keyfile.known_id_key(settings)
        await keyfile.check(settings, key)
    except Failure:
        if any(each.kind for each in asked):
            raise
        return None
    return key


async def find(remembered: Memory, asked: Asked) -> Found:
    """The lead, in a memory that is open.  Raises Failure if there is none."""
    key, moved_at = asked.id, 0
    for _ in range(_MOST_MOVES):
        found = await remembered.state(key)
        if isinstance(found, Lead):
            moved_from, rules = asked.id if moved_at else None, await remembered.rules(key)
            return Found(key, found, asked, moved_from, moved_at, remembered.partitions, rules=rules)
        if not isinstance(found, Moved):
            break
        if not found.to:
            raise Failure(
                f"{asked} is nobody's: too many leads have owned it",
                f"topic {remembered.topic}, key {key}",
                "ask for a user id or an e-mail address; its events are in engagement.quarantine",
                CHECK_FAILED,
            )
        key, moved_at = found.to, moved_at or found.at
    if asked.value and not moved_at:
        return await _by_identifier(remembered, asked)
    raise _unknown(asked, remembered.topic)


async def _by_identifier(remembered: Memory, asked: Asked) -> Found:
    """An identifier that leads nowhere may still be known of a lead: ask them all."""
    found = [
        Found(key, lead, asked, None, 0, remembered.partitions, rules=await remembered.rules(key))
        for key, lead in (await remembered.leads()).items()
        if any((known.kind, known.value) == (asked.kind, asked.value) for known in lead.known)
    ]
    if not found:
        raise _unknown(asked, remembered.topic)
    if len(found) > 1:
        ids = ", ".join(sorted(each.id for each in found))
        raise Failure(f"{len(found)} leads have this identifier", str(asked), f"name one: {ids}", CHECK_FAILED)
    return found[0]


def _unknown(asked: Asked, topic: str) -> Failure:
    return Failure(
        f"there is no lead {asked}",
        topic,
        "see that HANDRAISE_PREFIX and HANDRAISE_SECRETS are those of the deployment, and that a worker runs; "
        "`handraise tail lead.state` shows the leads that there are",
        CHECK_FAILED,
    )
