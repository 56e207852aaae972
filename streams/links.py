"""The ids that a lead has seen beside its own: a column of fixed entries in `Lead.links`.

An entry is an id (18 bytes of ASCII), since when and until when it was seen (seconds), and what became of it.  Entries
are never removed or moved, because the origins of events count them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from schemas.wire import Undecodable
from streams.rules import DAY_S

ABSORBED = 0
"""What was remembered under this id has come to this lead; or it is a contact that only its parts were seen with."""
OURS = 1
"""What is said under this id is forwarded to this lead, or will be."""
LOST = 2
"""Another lead was seen with it later."""
REFUSED = 3
"""It belongs to another lead for good, or to nobody."""

CONTACTS = (b"e_", b"p_")
"""How the ids of addresses and telephone numbers begin: who was seen with one itself keeps it if its parts leave."""
EVIDENCE = (b"m_", b"p_", b"n_")
"""How ids begin that are shared by leads which may be one."""
MOST_LINKS = 128
RELINK_S = 30 * DAY_S
"""Once in each such period a lead says again that an id is its own: forwarding addresses that are not used expire."""

_RANKS = {"u": 0, "e": 1, "a": 2}
ID = re.compile(r"[ueampn]_[a-z2-7]{16}")
"""Ids of leads (u, e, a) and of evidence that two leads are one (m, p, n)."""
ID_SIZE = 18
"""Bytes, or characters, of an id."""
_ENTRY = Struct("<18sIIB")
SIZE = _ENTRY.size


class Link(NamedTuple):
    """An entry, in its order."""

    id: bytes
    since: int
    seen: int
    status: int

    @property
    def held(self) -> bool:
        """True if, as far as is known, what is said under the id is forwarded to this lead."""
        return self.status <= OURS


def find(links: bytes, id: bytes) -> int:
    """The byte at which the id's entry begins, or -1."""
    at = links.find(id)
    while at > 0 and at % SIZE:
        at = links.find(id, at + 1)
    return at


def read(links: bytes, place: int) -> Link:
    """The entry that begins at that byte."""
    return Link(*_ENTRY.unpack_from(links, place))


def write(links: bytes, place: int, link: Link) -> bytes:
    """The column with that entry in that place; appended if the place is its end."""
    return links[:place] + _ENTRY.pack(*link) + links[place + SIZE :]


def entries(links: bytes) -> Iterator[Link]:
    """All entries, oldest first."""
    return (Link(*each) for each in _ENTRY.iter_unpack(links))


def is_device(id: bytes) -> bool:
    """True for the lead id of an anonymous id."""
    return id.startswith(b"a_")


def is_brought(link: Link) -> bool:
    """True for a contact that, as far as is known, only the lead's parts were seen with."""
    return link.status == ABSORBED and link.id.startswith(CONTACTS)


def is_shared(link: Link) -> bool:
    """True for what others may have as well: evidence, and an address that is another's."""
    return link.id.startswith(EVIDENCE) if link.held else link.status == REFUSED and link.id.startswith(b"e_")


def is_given_back(link: Link) -> bool:
    """True for an address that the lead had from another one; its claim of it may still be on its way."""
    return link.status == LOST and link.id.startswith(b"e_")


def check(id: str, kinds: str) -> None:
    """Raise Undecodable for what is no id of one of these kinds (their letters)."""
    if not ID.fullmatch(id) or id[0] not in kinds:
        raise Undecodable("bad_mail", f"{id[:40]!r} is no id of the kinds {', '.join(kinds)}")


def order(id: str) -> tuple[int, str]:
    """Smaller is stronger: by kind of identifier, then by id.  Raises Undecodable for what is no lead's id."""
    check(id, "uea")
    return _RANKS[id[0]], id


def pair(one: str, two: str) -> tuple[str, str]:
    """Two lead ids, the stronger first.  Raises Undecodable for what is no lead's id."""
    return (one, two) if order(one) < order(two) else (two, one)
