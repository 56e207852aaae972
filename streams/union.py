"""Two leads that are one person: their ledgers united, and taken apart again.

The union of two ledgers is the ledger of the union of their events: each event once, limits and caps applied to all of
them together.  What was folded away, more than 35 days back, is added up.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from schemas.codec import Undecodable
from schemas.records import Cleared, KnownIdentifier, LeadMemory, Sum, Title, VisitCount
from streams import links
from streams.contact import MOST_KNOWN
from streams.ledger import (
    HORIZON_S,
    MAX_EVENTS,
    MAX_OLD_ONCES,
    fold_oldest,
    holds,
    line_for,
    move_line,
    origins,
    packed,
    rebuild,
)
from streams.lifecycle import STAGES
from streams.links import ABSORBED, CONTACTS, ID, LOST, MOST_LINKS, OURS, REFUSED, Link, is_shared
from streams.rules import DAY_S, Rules, has_key
from streams.state import END, Known, Lead, Rest, Visits, pack

_EVER = (1 << 32) - 1
"""The last second there is: what was seen by then is seen no later."""
_UNKNOWN_MODEL = -1
"""No rules have this number: what is derived from events has to be derived anew."""


def memory_of(lead: Lead) -> LeadMemory:
    """What one lead tells another of itself."""
    rest = lead.opened()
    return LeadMemory(
        line=lead.line,
        first_seen=lead.first_seen,
        last_seen=lead.last_seen,
        as_of=lead.as_of,
        events=lead.events,
        times=lead.times,
        ids=lead.ids,
        marks=lead.marks,
        onces=lead.onces,
        origins=lead.origins,
        links=lead.links,
        base=tuple(Sum(channel, total) for channel, total in sorted(lead.base.items())),
        visits_before=VisitCount(rest.visits_before.count, rest.visits_before.last, rest.visits_before.pages),
        cleared=tuple(Cleared(group, at) for group, at in sorted(lead.cleared.items())),
        stage=STAGES[lead.stage],
        stage_since=lead.stage_since,
        hot_since=lead.hot_since,
        alerted_at=rest.alerted_at,
        email=lead.email,
        known=tuple(KnownIdentifier(each.kind, each.value, each.since, each.verified) for each in rest.known),
        titles=tuple(Title(rule, title) for rule, title in sorted(rest.titles.items())),
        late=rest.late,
        old_onces=rest.old_onces,
    )


def lead_of(memory: LeadMemory) -> Lead:
    """The lead that a memory is of, without what is derived from its events.

    Raises Undecodable where its columns do not fit each other.
    """
    _check(memory)
    before = memory.visits_before
    rest = Rest(
        known=[Known(each.kind, each.value, each.since, each.verified) for each in memory.known],
        titles={each.rule: each.title for each in memory.titles},
        alerted_at=memory.alerted_at,
        late=memory.late,
        old_onces=memory.old_onces,
        visits_before=Visits(before.count, before.last, before.pages),
    )
    return Lead(
        model=_UNKNOWN_MODEL,
        line=memory.line,
        first_seen=memory.first_seen,
        last_seen=memory.last_seen,
        as_of=memory.as_of,
        events=memory.events,
        times=memory.times,
        ids=memory.ids,
        marks=memory.marks,
        onces=memory.onces,
        origins=memory.origins,
        links=memory.links,
        base={each.channel: each.total for each in memory.base},
        cleared={each.group: each.at for each in memory.cleared},
        stage=STAGES.index(memory.stage),
        stage_since=memory.stage_since,
        hot_since=memory.hot_since,
        email=memory.email,
        rest=pack(rest),
    )


def _check(memory: LeadMemory) -> None:
    count, rest = divmod(len(memory.times), 4)
    times = struct.unpack(f"<{count}I", memory.times) if not rest else ()
    keys = sum(map(has_key, memory.marks))
    seconds = (memory.line, memory.first_seen, memory.last_seen, memory.as_of, memory.stage_since, memory.hot_since)
    problems = {
        "times": rest or count > MAX_EVENTS or list(times) != sorted(times),
        "ids": len(memory.ids) != 8 * count,
        "marks": memory.marks.count(END) != count or (not memory.marks.endswith(END) and count),
        "onces": len(memory.onces) != 8 * keys,
        "origins": len(memory.origins) not in (0, 1, count) or 27 * max(memory.origins, default=0) > len(memory.links),
        "links": len(memory.links) % links.SIZE
        or len(memory.links) > MOST_LINKS * links.SIZE
        or not all(ID.fullmatch(link.id.decode("latin-1")) for link in links.entries(memory.links)),
        "times of the lead": not all(0 <= each < 1 << 32 for each in seconds),
        "stage": memory.stage not in STAGES,
    }
    if wrong := [name for name, problem in problems.items() if problem]:
        raise Undecodable("bad_mail", f"the memory's {', '.join(wrong)} cannot be")


def unite(lead: Lead, key: bytes, other: Lead, source: bytes, at: int, rules: Rules) -> None:
    """Make a lead the union of itself and of another one that was kept under the key `source`.

    `at`: when the two were seen to be one (seconds).  Stage and heat are left for the fold to judge, except that the
    further stage is kept.
    """
    _at_one_line(lead, other, rules)
    place_of = _unite_links(lead, key, other, source, at)
    # What came from no device of the other lead came from its own key, which may be a device itself.
    place_of[0] = links.find(lead.links, source) // links.SIZE + 1 if links.is_device(source) else 0
    own = list(_events(lead))
    known = {event.id for event in own}
    new = [event._replace(origin=place_of.get(event.origin, 0)) for event in _events(other) if event.id not in known]
    if not lead.events:
        lead.first_seen, lead.last_seen = other.first_seen, other.last_seen
    elif other.events:
        lead.first_seen = min(lead.first_seen, other.first_seen)
        lead.last_seen = max(lead.last_seen, other.last_seen)
    lead.events += other.events - (len(other.ids) // 8 - len(new))
    _write_events(lead, sorted([*own, *new], key=lambda event: event.at))
    for group, then in other.cleared.items():
        lead.cleared[group] = max(then, lead.cleared.get(group, 0))
    for channel, total in other.base.items():
        lead.base[channel] = lead.base.get(channel, 0) + total
    lead.as_of = max(lead.as_of, other.as_of)
    if (other.stage, -other.stage_since) > (lead.stage, -lead.stage_since):
        lead.stage, lead.stage_since = other.stage, other.stage_since
    lead.email = lead.email or other.email
    _unite_rest(lead, other)
    if lead.last_seen - lead.line >= HORIZON_S + 7 * DAY_S:
        move_line(lead, line_for(lead.last_seen), rules)
    if len(lead.ids) > 8 * MAX_EVENTS:
        fold_oldest(lead, len(lead.ids) // 8 - MAX_EVENTS, lead.last_seen, rules)
        _write_events(lead, list(_events(lead))[:MAX_EVENTS])
    rebuild(lead, rules)


def has_taken(lead: Lead, other: Lead, source: str) -> bool:
    """True if a lead has what another one that was kept under the key `source` brought, and has not given it back."""
    place = links.find(lead.links, source.encode())
    if not (links.read(lead.links, place).held if place >= 0 else len(lead.links) >= MOST_LINKS * links.SIZE):
        return False
    # What lies behind either's line is in their sums.
    line = max(lead.line, other.line).to_bytes(4, "big")
    recent = [event.id for event in _events(other) if event.at >= line]
    return not recent or any(holds(lead.ids, id) for id in recent)


def give_back(lead: Lead, other: Lead, source: bytes, rules: Rules) -> list[Link]:
    """Take out of a lead what it had from another one; what it learned later stays with it.

    Returns the links of both that the lead has seen since: the other one is not to have them.
    """
    _at_one_line(lead, other, rules)
    given = {event.id for event in _events(other)}
    own = list(_events(lead))
    kept = [event for event in own if event.id not in given]
    lead.events -= other.events - len(given) + len(own) - len(kept)
    _write_events(lead, kept)
    if kept and lead.events == len(kept):
        lead.first_seen, lead.last_seen = (int.from_bytes(kept[place].at, "big") for place in (0, -1))
    for channel, total in other.base.items():
        if channel in lead.base:  # else it was cleared since
            lead.base[channel] -= total
    # What clears and is its own is among its events, where the clearing is found again.
    lead.cleared = {group: then for group, then in lead.cleared.items() if then != other.cleared.get(group)}
    later, contacts = [], set[bytes]()
    for theirs in [*links.entries(other.links), Link(source, 0, _EVER, ABSORBED)]:
        place = links.find(lead.links, theirs.id)
        if place < 0:
            continue
        ours = links.read(lead.links, place)
        stays, has_given = True, _has_given(ours, theirs)
        if is_shared(theirs) and ours.held == theirs.held:
            # It has seen it before or after, too, or knows of it from the other one alone.
            stays = has_given or ours.seen > theirs.seen or ours.since < theirs.since
        elif ours.held and theirs.held:
            stays = ours.seen > theirs.seen
            later += [ours] if stays else []
        if has_given or (stays and ours.status != LOST):
            contacts.add(theirs.id)
        if not stays:
            lead.links = links.write(lead.links, place, ours._replace(status=LOST))
    theirs_known = {(each.kind, each.value, each.since) for each in other.known} - _known_as(other, source, contacts)
    lead.keep(known=[each for each in lead.known if (each.kind, each.value, each.since) not in theirs_known])
    emails = [each.value for each in lead.known if each.kind == "e"]
    if lead.email not in emails:
        lead.email = emails[-1] if emails else None
    rebuild(lead, rules)
    return later


def _has_given(ours: Link, theirs: Link) -> bool:
    """True for a contact that the lead was seen with itself: it came not by the other one, or by none of its parts."""
    return ours.id.startswith(CONTACTS) and (ours.status == OURS or (ours.status == REFUSED and theirs.held))


def _known_as(lead: Lead, key: bytes, ids: set[bytes]) -> set[tuple[str, str, int]]:
    """What is known of a lead's contacts that have these ids; both are in the order in which they came."""
    found: set[tuple[str, str, int]] = set()
    for prefix in CONTACTS:
        entries = [Link(key, 0, 0, OURS), *links.entries(lead.links)]
        are_meant = [link.id in ids for link in entries if link.id.startswith(prefix) and link.status != LOST]
        known = [each for each in lead.known if each.kind == prefix[:1].decode()]
        if len(known) != len(are_meant):  # there was no room for some: which is which cannot be told
            are_meant = [any(are_meant)] * len(known)
        found |= {
            (each.kind, each.value, each.since) for each, is_meant in zip(known, are_meant, strict=True) if is_meant
        }
    return found


class _Event(NamedTuple):
    at: bytes
    id: bytes
    marks: str
    onces: bytes
    origin: int


def _events(lead: Lead) -> Iterable[_Event]:
    once_at = 0
    origin_of = origins(lead)
    for n, marks in enumerate(lead.marks.split(END)[:-1]):
        keys = 8 * sum(map(has_key, marks))
        # Big-endian times sort as bytes do.
        yield _Event(
            lead.times[4 * n : 4 * n + 4][::-1],
            lead.ids[8 * n : 8 * n + 8],
            marks,
            lead.onces[once_at : once_at + keys],
            origin_of[n],
        )
        once_at += keys


def _write_events(lead: Lead, events: list[_Event]) -> None:
    lead.times = b"".join(event.at[::-1] for event in events)
    lead.ids = b"".join(event.id for event in events)
    lead.marks = "".join(event.marks + END for event in events)
    lead.onces = b"".join(event.onces for event in events)
    lead.origins = packed(bytes(event.origin for event in events))


def _at_one_line(lead: Lead, other: Lead, rules: Rules) -> None:
    """Bring both ledgers to the later of their lines, and make room for the events of both."""
    line = max(lead.line, other.line)
    for each in (lead, other):
        if each.line < line:
            move_line(each, line, rules)


def _unite_links(lead: Lead, key: bytes, other: Lead, source: bytes, at: int) -> dict[int, int]:
    """Add the other's links; where each of its entries is now, places counted from 1."""
    place_of: dict[int, int] = {}
    theirs = [*links.entries(other.links)]
    for number, link in enumerate([*theirs, Link(source, other.first_seen, at, ABSORBED)], 1):
        if link.id == key:
            continue
        place = links.find(lead.links, link.id)
        if place < 0:
            place = len(lead.links)
            if place >= MOST_LINKS * links.SIZE:
                continue
            if link.held and link.id.startswith(CONTACTS):
                link = link._replace(status=ABSORBED)
        else:
            ours = links.read(lead.links, place)
            # Who lost it was not the last to be seen with it.
            seen = max((each.seen for each in (ours, link) if each.held), default=max(ours.seen, link.seen))
            status = min(ours.status, link.status)
            if status <= OURS and link.id.startswith(CONTACTS):
                status = ABSORBED if ours.status in (ABSORBED, LOST) else OURS
            link = Link(link.id, min(ours.since, link.since), seen, status)
        lead.links = links.write(lead.links, place, link)
        place_of[number] = place // links.SIZE + 1
    return place_of


def _unite_rest(lead: Lead, other: Lead) -> None:
    ours, theirs = lead.opened(), other.opened()
    known = {(each.kind, each.value): each for each in ours.known}
    for each in theirs.known:
        mine = known.get((each.kind, each.value))
        if mine is not None:
            verified = min(filter(None, (mine.verified, each.verified)), default=0)
            known[each.kind, each.value] = Known(each.kind, each.value, min(mine.since, each.since), verified)
        elif len(known) < MOST_KNOWN:
            known[each.kind, each.value] = each
    before = (ours.visits_before, theirs.visits_before)
    latest = max(before, key=lambda visits: visits.last)
    lead.keep(
        known=list(known.values()),
        titles=theirs.titles | ours.titles,
        alerted_at=max(ours.alerted_at, theirs.alerted_at),
        late=ours.late + theirs.late,
        old_onces=(theirs.old_onces + ours.old_onces)[-8 * MAX_OLD_ONCES :],
        visits_before=Visits(before[0].count + before[1].count, latest.last, latest.pages),
    )
