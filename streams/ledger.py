"""The ledger of a lead: events in, points counted, limits applied, sums kept (docs/scoring.md says by which rules).

An event that comes in order takes a short way: it is appended, and only what it adds is computed.  Everything else (an
event out of order, new rules, folding) goes through `rebuild`, which derives all from the recorded marks.  Both ways
give the same ledger; a property test holds them to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from struct import Struct
from typing import NamedTuple

from streams.decay import forward, rebase
from streams.rules import DAY_S, Rule, Rules, group_of, half_life_of, has_key
from streams.state import END, PAGE, Known, Lead, Rest, Visits, pack

HORIZON_S = 35 * DAY_S
"""How far behind the newest event the ledger is exact."""
MAX_EVENTS = 1_024
"""Events a ledger holds one by one (a state stays below 64 KB); in a week with more, the rest gives no points."""
MAX_OLD_ONCES = 64
NO_CEILING = 1 << 40
"""More than any score: it is to be computed."""

_pack_time = Struct("<I").pack
_read_time = Struct("<I").unpack_from


class Row(NamedTuple):
    """One match in the ledger."""

    at: int
    event_id: bytes
    rule: Rule
    counts: bool
    """False where a limit cut it."""
    once: bytes
    """What a once-only match is remembered by, or nothing."""
    origin: int
    """The place of its device in `Lead.links`, from 1; 0 for the lead's own key or none."""


def week_start(at: int) -> int:
    """The Monday, 00:00 UTC, of the week of a time in seconds."""
    days = at // DAY_S
    return (days - (days + 3) % 7) * DAY_S


def line_for(last_seen: int) -> int:
    """Where the ledger of a lead whose newest event has this time begins: a week's start, so that limits stay whole."""
    return max(0, week_start(last_seen - HORIZON_S))


def new_lead(at: int, as_of: int, known: list[Known], rules: Rules) -> Lead:
    """A lead about to receive its first event."""
    emails = [each.value for each in known if each.kind == "e"]
    rest = pack(Rest(known=known))
    return Lead(
        rules.number, line_for(at), at, at, as_of, stage_since=as_of, email=emails[-1] if emails else None, rest=rest
    )


def holds(column: bytes, item: bytes) -> bool:
    """True if one of the 8-byte items of a column is this one."""
    at = column.find(item)
    while at >= 0 and at & 7:
        at = column.find(item, at + 1)
    return at >= 0


def once_key(rule: Rule, asset: str) -> bytes:
    """The 8 bytes by which a once-only match is remembered."""
    text = f"{rule.code}\x00{asset if rule.once == 'asset' else ''}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=8).digest()


def add(
    lead: Lead,
    at: int,
    event_id: bytes,
    is_page: bool,
    matched: Iterable[Rule],
    asset: str,
    rules: Rules,
    origin: int = 0,
) -> bool:
    """Enter an event that is no repeat, with the rules it matched and the place of its device in `Lead.links`.

    The ledger is one of these rules already.  Returns True if the score can have fallen by it: negative points, a group
    cleared, an event out of order.
    """
    fell = False
    if at - lead.line >= HORIZON_S + 7 * DAY_S:
        move_line(lead, line_for(at), rules)
    if len(lead.times) >= 4 * MAX_EVENTS:
        fold_oldest(lead, MAX_EVENTS // 4, max(at, _time(lead, -1)), rules)
    if at < lead.line:
        return _add_late(lead, at, matched, asset)
    if len(lead.times) >= 4 * MAX_EVENTS:
        if _clear(lead, at, matched):
            rebuild(lead, rules)  # what came after the clearing, by its time, stays
            return True
        return False
    if lead.times and at < _time(lead, -1):
        _insert(lead, at, event_id, is_page, matched, asset, origin)
        rebuild(lead, rules)
        return True
    marks, recorded = "", lead.marks
    if is_page:
        marks = PAGE
        lead.visits, on_visit = _next_page(lead.visits, at, rules)
        if on_visit:
            matched = (*matched, *on_visit)
    for rule in matched:
        counts = recorded.count(rule.counted) < rule.least_limit or _has_room(lead, rule, at, asset)
        marks += rule.counted if counts else rule.cut
        if rule.clears:
            fell = _clear(lead, at, (rule,))
        elif counts and rule.millipoints and lead.cleared.get(rule.group, -1) < at:
            channel = rule.channel
            points = forward(rule.millipoints, at, rule.half_life_s, lead.line)
            lead.sums[channel] = lead.sums.get(channel, 0) + points
            if rule.millipoints > 0:
                lead.ceiling += rule.millipoints
            else:
                fell = True
    if len(lead.origins) > 1 or (lead.origins or b"\0")[0] != origin:
        lead.origins = packed(origins(lead) + bytes((origin,)))
    lead.times += _pack_time(at)
    lead.ids += event_id
    lead.marks += marks + END
    return fell


def origins(lead: Lead) -> bytes:
    """The column of origins, a byte for each event."""
    count = len(lead.times) // 4
    return (lead.origins or b"\0") * count if len(lead.origins) < 2 else lead.origins


def packed(column: bytes) -> bytes:
    """The column of origins as a lead holds it: one byte if all are the same, none if all are 0."""
    if column.count(column[:1]) < len(column):
        return column
    return column[:1].strip(b"\0")


def _clear(lead: Lead, at: int, matched: Iterable[Rule]) -> bool:
    """Clear the groups of those of the rules that clear; True if any does."""
    groups = [rule.group for rule in matched if rule.clears]
    for group in groups:
        lead.cleared[group] = max(at, lead.cleared.get(group, 0))
        _drop_group(lead.sums, group)
        _drop_group(lead.base, group)
    return bool(groups)


def fold_oldest(lead: Lead, count: int, newest: int, rules: Rules) -> None:
    """Fold so many of the oldest events early, or more: whole weeks, and never that of the newest event's time.

    Folding a part of a week would forget which limits are used up, and a flood would score over and over.
    """
    line = min(week_start(newest), week_start(_time(lead, count)) + 7 * DAY_S)
    if line > lead.line:
        move_line(lead, line, rules)


def _time(lead: Lead, index: int) -> int:
    at: int = _read_time(lead.times, 4 * index if index >= 0 else len(lead.times) + 4 * index)[0]
    return at


def _next_page(before: Visits, at: int, rules: Rules) -> tuple[Visits, tuple[Rule, ...]]:
    """Count a page view; the rules on visits that it matches."""
    gap = at - before.last
    if gap < rules.session_gap_s and before.count:
        pages = before.pages + 1
        return Visits(before.count, at, pages), rules.page_rules.get(pages, ())
    matched = rules.page_rules.get(1, ())
    if before.count:
        matched += tuple(rule for within, rule in rules.return_rules if gap <= within)
    return Visits(before.count + 1, at, 1), matched


def _has_room(lead: Lead, rule: Rule, at: int, asset: str) -> bool:
    """True if no limit cuts a match that is the latest of its rule; remembers a once-only match."""
    if rule.once:
        key = once_key(rule, asset)
        room = not holds(lead.onces, key) and not holds(lead.opened().old_onces, key)
        lead.onces += key
        if not room:
            return False
    marks, counted = lead.marks, rule.counted
    for count, days in rule.period_limits:
        if marks.count(counted) < count:
            continue
        place = len(marks)
        for _ in range(count):  # to the count-th latest match that counts
            place = marks.rfind(counted, 0, place)
        then = _time(lead, marks.count(END, 0, place))
        if _period(then, days) == _period(at, days):
            return False
    return True


def _period(at: int, days: int) -> int:
    return at // DAY_S if days == 1 else (at // DAY_S + 3) // 7


def _add_late(lead: Lead, at: int, matched: Iterable[Rule], asset: str) -> bool:
    """An event older than the ledger: only once-only matches give points, for no other limit is known so far back.

    (Nor is a repeat: without this an old event that is sent again and again would make anybody hot.)
    """
    rest = lead.opened()
    old_onces, fell = rest.old_onces, False
    for rule in matched:
        if rule.once:
            key = once_key(rule, asset)
            if holds(lead.onces, key) or holds(old_onces, key):
                continue
            old_onces = (old_onces + key)[-8 * MAX_OLD_ONCES :]
        if rule.clears:
            for channel in _drop_group(lead.base, rule.group):
                lead.sums[channel[0]] -= channel[1]
            fell = True
        elif rule.once and rule.millipoints and lead.cleared.get(rule.group, -1) < at:
            points = forward(rule.millipoints, at, rule.half_life_s, lead.line)
            lead.base[rule.channel] = lead.base.get(rule.channel, 0) + points
            lead.sums[rule.channel] = lead.sums.get(rule.channel, 0) + points
            lead.ceiling = NO_CEILING
            fell = fell or rule.millipoints < 0
    lead.keep(late=rest.late + 1, old_onces=old_onces)
    return fell


def _drop_group(sums: dict[int, int], group: int) -> list[tuple[int, int]]:
    """Remove a group's sums; what was removed."""
    return [(channel, sums.pop(channel)) for channel in list(sums) if group_of(channel) == group]


def _insert(
    lead: Lead, at: int, event_id: bytes, is_page: bool, matched: Iterable[Rule], asset: str, origin: int
) -> None:
    """Put an event into its place in the columns, its matches not yet judged."""
    count = len(lead.times) // 4
    index = next((i for i in range(count, 0, -1) if _time(lead, i - 1) <= at), 0)
    parts = lead.marks.split(END)
    matched = tuple(matched)
    parts.insert(index, (PAGE if is_page else "") + "".join(rule.cut for rule in matched))
    keys = b"".join(once_key(rule, asset) for rule in matched if rule.once)
    place = 8 * sum(has_key(mark) for part in parts[:index] for mark in part)
    lead.onces = lead.onces[:place] + keys + lead.onces[place:]
    column = origins(lead)
    lead.origins = packed(column[:index] + bytes((origin,)) + column[index:])
    lead.times = lead.times[: 4 * index] + _pack_time(at) + lead.times[4 * index :]
    lead.ids = lead.ids[: 8 * index] + event_id + lead.ids[8 * index :]
    lead.marks = END.join(parts)


def rows(lead: Lead, rules: Rules) -> Iterator[list[Row]]:
    """The ledger's rows, a list for each recorded event, oldest first: all derived anew from what was recorded."""
    rest, once_at = lead.opened(), 0
    visits, old_onces = rest.visits_before, rest.old_onces
    once_seen: set[bytes] = set()
    used: dict[tuple[int, int, int], int] = {}
    origin_of = origins(lead)
    for index, part in enumerate(lead.marks.split(END)[:-1]):
        at = _time(lead, index)
        found: list[Row] = []
        event_id = lead.ids[8 * index : 8 * index + 8]
        matched: list[tuple[Rule, bytes]] = []
        for mark in part:
            key = b""
            if has_key(mark):
                key = lead.onces[once_at : once_at + 8]
                once_at += 8
            rule = rules.by_code.get(ord(mark) >> 2)
            if rule is not None and not rule.on_visits:
                matched.append((rule, key))
        if part.startswith(PAGE):
            visits, on_visit = _next_page(visits, at, rules)
            matched += [(rule, b"") for rule in on_visit]
        for rule, key in matched:
            if rule.once and not key:  # recorded under rules by which it was not once-only
                key = once_key(rule, "")
            counts = not (rule.once and (key in once_seen or holds(old_onces, key)))
            if rule.once:
                once_seen.add(key)
            places = [(rule.code, days, _period(at, days)) for _, days in rule.period_limits]
            limits = [count for count, _ in rule.period_limits]
            counts = counts and all(used.get(place, 0) < n for place, n in zip(places, limits, strict=True))
            if counts:
                for place in places:
                    used[place] = used.get(place, 0) + 1
            found.append(Row(at, event_id, rule, counts, key if rule.once else b"", origin_of[index]))
        yield found


def rebuild(lead: Lead, rules: Rules) -> None:
    """Derive marks, sums and visits anew: after an event out of order, under new rules, after folding."""
    ledger = list(rows(lead, rules))
    for row in (row for event in ledger for row in event if row.rule.clears):
        lead.cleared[row.rule.group] = max(row.at, lead.cleared.get(row.rule.group, 0))
    lead.cleared = {group: at for group, at in lead.cleared.items() if at >= lead.line}
    for group in lead.cleared:
        _drop_group(lead.base, group)
    sums, visits, marks, onces = dict(lead.base), lead.opened().visits_before, "", b""
    kept = _of_other_rules(lead, rules)
    for index, (event, part) in enumerate(zip(ledger, lead.marks.split(END), strict=False)):
        is_page = part.startswith(PAGE)
        marks += PAGE if is_page else ""
        if is_page:
            visits, _ = _next_page(visits, _time(lead, index), rules)
        for row in event:
            rule = row.rule
            marks += rule.counted if row.counts else rule.cut
            onces += row.once
            if is_worth(row, lead):
                sums[rule.channel] = sums.get(rule.channel, 0) + forward(
                    rule.millipoints, row.at, rule.half_life_s, lead.line
                )
        if kept:
            marks += kept[index][0]
            onces += kept[index][1]
        marks += END
    lead.model, lead.sums, lead.visits, lead.marks, lead.onces = rules.number, sums, visits, marks, onces
    lead.ceiling = NO_CEILING


def _of_other_rules(lead: Lead, rules: Rules) -> list[tuple[str, bytes]]:
    """Of each event the marks and once-only keys of rules that there are no more, or not yet: kept for their return."""
    if all(ord(mark) >> 2 in rules.by_code for mark in set(lead.marks) - {PAGE, END}):
        return []
    found, once_at = [], 0
    for part in lead.marks.split(END)[:-1]:
        marks, keys = "", b""
        for mark in part:
            is_other = ord(mark) >> 2 and ord(mark) >> 2 not in rules.by_code
            if is_other:
                marks += mark
            if has_key(mark):
                keys += lead.onces[once_at : once_at + 8] if is_other else b""
                once_at += 8
        found.append((marks, keys))
    return found


def is_worth(row: Row, lead: Lead) -> bool:
    """True if a row gives points: it counts, and its group was not cleared at or after its time."""
    return row.counts and row.rule.millipoints != 0 and lead.cleared.get(row.rule.group, -1) < row.at


def move_line(lead: Lead, line: int, rules: Rules) -> None:
    """Move the ledger's line forward; the events before it become part of the base."""
    if not lead.times or _time(lead, 0) >= line:
        # Nothing to fold, and then a shift is exact: every recent event's term is a multiple of what is shifted out.
        lead.base = _rebased(lead.base, lead.line, line)
        lead.sums = _rebased(lead.sums, lead.line, line)
        lead.line = line
        return
    base = _rebased(lead.base, lead.line, line)
    rest, folded = lead.opened(), 0
    visits, old_onces = rest.visits_before, rest.old_onces
    parts = lead.marks.split(END)
    for index, event in enumerate(rows(lead, rules)):
        at = _time(lead, index)
        if at >= line:
            break
        folded += 1
        if parts[index].startswith(PAGE):
            visits, _ = _next_page(visits, at, rules)
        for row in event:
            old_onces += row.once if row.counts else b""
            if is_worth(row, lead):
                rule = row.rule
                base[rule.channel] = base.get(rule.channel, 0) + forward(rule.millipoints, at, rule.half_life_s, line)
    keys = 8 * sum(has_key(mark) for part in parts[:folded] for mark in part)
    lead.line, lead.base = line, base
    lead.keep(visits_before=visits, old_onces=old_onces[-8 * MAX_OLD_ONCES :])
    column = origins(lead)
    lead.times, lead.ids, lead.onces = lead.times[4 * folded :], lead.ids[8 * folded :], lead.onces[keys:]
    lead.marks = END.join(parts[folded:])
    lead.origins = packed(column[folded:])
    rebuild(lead, rules)


def _rebased(sums: dict[int, int], line: int, new_line: int) -> dict[int, int]:
    return {channel: rebase(total, half_life_of(channel), line, new_line) for channel, total in sums.items()}
