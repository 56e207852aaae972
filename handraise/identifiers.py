"""The identifiers of a lead and its devices, and what became of each."""

from __future__ import annotations

from typing import NamedTuple

from handraise.lookup import Found
from streams import links
from streams.identity import lead_id
from streams.links import ABSORBED, LOST, OURS, REFUSED, Link
from streams.state import Lead

STATUS = {ABSORBED: "ours", OURS: "ours", LOST: "lost", REFUSED: "refused"}
EVIDENCE = "mpn"
"""Kinds of links that identify nobody and only make suspicions."""


class Identifier(NamedTuple):
    """One identifier; times in seconds, 0 where none is known."""

    kind: str
    """A letter, see `streams.identity.KIND_NAMES`."""
    value: str
    """As people write it; the lead id where nothing else is kept, as of devices."""
    id: str | None
    """Its lead id, as far as it can be told: a telephone number has none."""
    since: int
    seen: int
    verified: int
    status: str
    """`ours`; `lost`: another lead was seen with it later; `refused`: it is another lead's for good, or nobody's."""


def identifiers(found: Found) -> list[Identifier]:
    """All of a lead: what people write first, then merged leads and devices in the order in which they were met."""
    key = found.key
    linked = {link.id.decode(): link for link in met(found.id, found.lead)}
    result = []
    for known in found.lead.known:
        id = None if key is None or known.kind == "p" else lead_id(known.kind, known.value, key)  # type: ignore[arg-type]
        link = linked.pop(id or "", None)
        seen, status = (link.seen, STATUS[link.status]) if link else (0, "ours")
        result.append(Identifier(known.kind, known.value, id, known.since, seen, known.verified, status))
    for id, link in linked.items():
        # Without the key an address cannot be told from its id: those that are the lead's stand above.
        if key is not None or id[0] != "e" or not link.held:
            result.append(Identifier(id[0], id, id, link.since, link.seen, 0, STATUS[link.status]))
    return result


def met(id: str, lead: Lead) -> list[Link]:
    """The lead ids that a lead has met, a device that it lives under itself first."""
    own = [Link(id.encode(), lead.first_seen, lead.last_seen, OURS)] if id.startswith("a_") else []
    return own + [link for link in links.entries(lead.links) if link.id[:1].decode() not in EVIDENCE]


def devices(id: str, lead: Lead) -> dict[str, int]:
    """The numbers of a lead's devices, from 1, by their lead ids."""
    ids = [link.id.decode() for link in met(id, lead) if links.is_device(link.id)]
    return {device: number for number, device in enumerate(ids, 1)}


def ids_of(found: Found) -> set[str]:
    """All ids that lead to a lead: its own, and those that it has absorbed or owns."""
    return {found.id, *(link.id.decode() for link in met(found.id, found.lead) if link.held)}
