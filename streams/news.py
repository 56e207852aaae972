"""What an event tells of who it is about, read before anything is changed."""

from __future__ import annotations

from typing import NamedTuple

from schemas.fields import engagement_fields
from streams import links
from streams.state import Lead


class News(NamedTuple):
    """What an event tells of who it is about."""

    identifiers: tuple[bytes, ...] = ()
    """Ids, the strongest first."""
    phone: str | None = None
    """The telephone number, if the lead was not seen with it before, or has lost it since."""
    aliases: tuple[str, ...] = ()
    """Lead ids that an alias call says to be the same person."""


def read_news(key: bytes, lead: Lead | None, identifiers: tuple[bytes, ...], kind: str, value: bytes) -> News:
    """What an event tells of who it is about beside its head; raises Undecodable before anything is changed."""
    phone: str | None = None
    for id in identifiers:
        if id != key and _is_new(lead, id):
            links.check(id.decode(), "ueampn")
            if id.startswith(b"p_"):
                (phone,) = engagement_fields(value, "phone")
    aliases: tuple[str, ...] = ()
    if kind == "alias":
        aliases = engagement_fields(value, "aliases")[0] or ()
        for alias in aliases:
            links.order(alias)
    return News(identifiers, phone, aliases)


def _is_new(lead: Lead | None, id: bytes) -> bool:
    if lead is None or (place := links.find(lead.links, id)) < 0:
        return True
    link = links.read(lead.links, place)
    return link.status == links.LOST or links.is_brought(link)
