"""What is known of a lead, and the ledger of its points: for people and for machines."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.text import Text

from handraise import output, words
from handraise.failure import Failure
from handraise.identifiers import Identifier, devices, identifiers, ids_of, met
from handraise.lookup import Found
from handraise.rewind import rewind
from handraise.settings import Settings
from handraise.suspicions import open_ones, other_of
from handraise.titles import titles
from schemas.records import Assignment, LeadDuplicate
from streams.explain import Explanation, LedgerRow, explain, sum_in_words
from streams.identity import KIND_NAMES
from streams.lifecycle import STAGES
from streams.reasons import reason_in_words, top_reasons
from streams.rules import Rules
from streams.score import behaviour
from streams.state import Lead


def read_time(text: str, option: str = "--at") -> int:
    """An ISO 8601 time (UTC if it names no zone) in seconds.  Raises Failure, which names the option."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Failure(f'"{text}" is no time', option, "write it as 2026-11-22T14:03:00Z, or 2026-11-22") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def present(lead: Lead) -> int:
    """Now in seconds; a lead's own time never runs backwards."""
    return max(int(time.time()), lead.as_of, lead.last_seen)


def lead_as_data(
    found: Found, rules: Rules, told: Sequence[LeadDuplicate], assignment: Assignment | None
) -> dict[str, Any]:
    """The JSON of `handraise lead`; what no fold knows yet is null.

    `rules`: the folder's, for a lead that is judged by no promoted ones; `told`: what is suspected of the lead;
    `assignment`: the last word on what it asked.
    """
    rules = found.rules or rules
    lead, ids = rewind(found.lead, rules, at := present(found.lead)), ids_of(found)
    return {
        "id": found.moved_from or found.id,
        "behaviour": behaviour(lead, rules, at) / 1_000,
        "fit": None,
        "grade": None,
        "stage": STAGES[lead.stage],
        "hot": lead.hot_since > 0,
        "owner": assignment.owner if assignment else None,
        "identifiers": [_identifier_as_data(each) for each in identifiers(found)],
        "reasons": [
            {"text": reason.text, "rule": reason.rule, "points": reason.millipoints / 1_000}
            for reason in top_reasons(lead, rules, at)
        ],
        "model": rules.version,
        "moved_to": found.id if found.moved_from else None,
        "duplicates": [
            {
                "id": other_of(each, ids),
                "evidence": each.evidence,
                "status": each.status,
                "at": words.iso(each.at // 1_000),
                "cause": each.cause,
            }
            for each in told
        ],
    }


def _identifier_as_data(each: Identifier) -> dict[str, Any]:
    return {
        "kind": KIND_NAMES[each.kind],  # type: ignore[index]
        "value": each.value,
        "verified": each.verified > 0,
        "since": words.iso(each.since),
        "id": each.id,
        "seen": words.iso(each.seen) if each.seen else None,
        "verified_at": words.iso(each.verified) if each.verified else None,
        "status": each.status,
    }


def show_lead(found: Found, rules: Rules, told: Sequence[LeadDuplicate], assignment: Assignment | None) -> None:
    """The same in words."""
    rules = found.rules or rules
    lead = rewind(found.lead, rules, at := present(found.lead))
    score = behaviour(lead, rules, at)
    level = rules.level(score)
    output.say(Text(name_of(found), "strong"))
    reasons = words.reasons([reason.text for reason in top_reasons(lead, rules, at)])
    output.say(reasons or "nothing that counts at present")
    output.say()
    heat = Text("not hot")
    if lead.hot_since:
        heat = Text.assemble(
            ("hot", "hot"), f" since {words.ago(at - lead.hot_since)}, {words.when(lead.hot_since)} UTC"
        )
    mark = Text.assemble((words.level_mark(level), "hot" if lead.hot_since else ""), f" level {level}")
    seen = f"{words.count(lead.visits.count, 'visit')}, {words.count(lead.events, 'event')}"
    first_last = f"first {words.ago(at - lead.first_seen)}, last {words.ago(at - lead.last_seen)}"
    facts: list[tuple[str, str | Text]] = [
        ("score now", Text.assemble((words.points(score), "strong"), "  ", mark)),
        ("heat", heat),
        ("stage", f"{STAGES[lead.stage]} since {words.ago(at - lead.stage_since)}"),
        ("seen", f"{seen}; {first_last}"),
        ("lead id", found.id),
    ]
    if assignment is not None:
        facts.append(("owner", _owner_in_words(assignment)))
    if found.moved_from:
        facts.append(("asked for", f"{found.asked}, a part of this lead since {words.when(found.moved_at)} UTC"))
    output.show(output.table([("", "left"), ("", "left")], [(Text(name, "quiet"), value) for name, value in facts]))
    numbers, known = devices(found.id, lead), identifiers(found)
    if known:
        rows = [_identifier_in_words(each, found, numbers, at) for each in known]
        columns = [("known as", "left"), ("", "left"), ("since, UTC", "left"), ("", "left")]
        output.say()
        output.show(output.table(columns, [(Text(name, "quiet"), *rest) for name, *rest in rows]))
    _show_suspicions(found, told)


def _owner_in_words(assignment: Assignment) -> str:
    """Who has the lead, as what, until when."""
    who = assignment.owner or f"queue {assignment.queue}"
    due = f", due {words.when(assignment.due_at // 1_000)} UTC" if assignment.due_at else ""
    return f"{who}: {assignment.follow_up_class.replace('_', ' ')}, {assignment.status}{due}"


def _show_suspicions(found: Found, told: Sequence[LeadDuplicate]) -> None:
    ids = ids_of(found)
    causes: dict[str, list[str]] = {}
    for each in open_ones(told, ids):
        causes.setdefault(other_of(each, ids), []).append(each.cause)
    for other, why in causes.items():
        output.say()
        output.say(f"May be the same person as {other}: {words.reasons(why)}")
        output.copyable(f"  handraise lead merge {found.id} {other}", "quiet")
        output.copyable(f"  handraise lead not-the-same {found.id} {other}", "quiet")


def _identifier_in_words(
    each: Identifier, found: Found, numbers: Mapping[str, int], at: int
) -> tuple[str, str, str, str]:
    """What it is, its value, since when, and what else there is to say."""
    device = numbers.get(each.id or "")
    kind = f"device {device}" if device else KIND_NAMES[each.kind]  # type: ignore[index]
    more = ""
    if each.status == "lost":
        more = f"lost: somebody else was seen with it after {words.day_and_time(each.seen)}"
    elif each.status == "refused":
        more = "refused: " + ("too many people have used it" if device else "another lead had it first")
    elif device:
        more = f"last {words.ago(at - each.seen)}"
    elif each.kind == "u" and each.id not in (None, found.id):
        more = f"merged; to undo it: handraise lead unmerge {each.id}"
    elif each.kind == "e":
        more = f"verified {words.day_and_time(each.verified)}" if each.verified else "not verified"
    return kind, each.value, words.day_and_time(each.since), more


def explanation(found: Found, rules: Rules, at_s: int | None) -> tuple[Lead, Explanation]:
    """The ledger at a time in seconds (now if None).  Raises Failure for a time before the ledger begins."""
    rules = found.rules or rules
    at = present(found.lead) if at_s is None else at_s
    lead = rewind(found.lead, rules, at)
    return lead, explain(lead, rules, at)


def explanation_as_data(found: Found, rules: Rules, explained: Explanation) -> dict[str, Any]:
    """The JSON of `handraise explain`: points with three decimals; `decayed` adds up to `score` exactly."""
    return {
        "score": explained.score_millipoints / 1_000,
        "as_of": words.iso(explained.as_of_s),
        "model": (found.rules or rules).version,
        "rows": [
            {
                "rule": row.rule,
                "event_id": row.event_id,
                "at": None if row.at_s is None else words.iso(row.at_s),
                "raw": row.raw_millipoints / 1_000,
                "limited": row.limited_millipoints / 1_000,
                "decayed": row.decayed_millipoints / 1_000,
                "device": device_of(row, found.id),
            }
            for row in explained.rows
        ],
    }


def device_of(row: LedgerRow, id: str) -> str | None:
    """The device that a row came from; a lead that is known by nothing else is one."""
    return row.device or (id if row.event_id and id.startswith("a_") else None)


async def names(settings: Settings, found: Found, explained: Explanation) -> dict[str, str]:
    """The names of what the rows' events touched, by event id."""
    rows = [(row.event_id, row.at_s) for row in explained.rows if row.event_id and row.at_s is not None]
    if not rows:
        return {}
    since_s = min(at_s for _, at_s in rows)
    keys = [found.id, *(link.id.decode() for link in met(found.id, found.lead))]
    return await titles(settings, keys, found.partitions, {event_id for event_id, _ in rows}, since_s)


def show_explanation(found: Found, lead: Lead, rules: Rules, explained: Explanation, named: Mapping[str, str]) -> None:
    """The ledger as a table whose last column adds up; `named`: what events touched, by their ids."""
    rules = found.rules or rules
    output.say(
        Text.assemble(
            (name_of(found), "strong"),
            f"  {words.points(explained.score_millipoints)} points on {words.when(explained.as_of_s)} UTC",
            (f", by the rules {rules.version}", "quiet"),
        )
    )
    output.say()
    columns = [("rule", "left"), ("what", "left"), ("when, UTC", "left"), ("device", "right")]
    columns += [("raw", "right"), ("limited", "right"), ("decayed", "right")]
    numbers = devices(found.id, found.lead)
    newest = {row.rule: row.event_id for row in explained.rows}
    rows = []
    for row in explained.rows:
        # A state remembers what a rule matched last: better than nothing for an event that is not kept any more.
        last = lead.titles if newest[row.rule] == row.event_id else {}
        what = _what(row, rules, named.get(row.event_id or ""), last)
        rows.append(_cells(row, what, numbers.get(device_of(row, found.id) or "")))
    total = Text(words.points(explained.score_millipoints, 3), "strong")
    rows.append((Text("total", "strong"), "", "", "", "", "", total))
    output.show(output.table(columns, rows))
    if any(row.event_id and row.raw_millipoints and not row.limited_millipoints for row in explained.rows):
        output.say("Rows with nothing under limited are over a limit of their rule, or were cleared.", "quiet")
    shown = {device_of(row, found.id) for row in explained.rows}
    for id, number in numbers.items():
        if id in shown:
            output.say(f"device {number} is {id}", "quiet")


def name_of(found: Found) -> str:
    """The lead in the words that say most: an e-mail address, a user id, else its id."""
    known = {each.kind: each.value for each in reversed(found.lead.known)}
    return known.get("e") or known.get("u") or found.id


def _cells(row: LedgerRow, what: str, device: int | None) -> tuple[str | Text, ...]:
    style = "quiet" if row.event_id and not row.limited_millipoints else ""
    when = "" if row.at_s is None else words.day_and_time(row.at_s)
    entered = [words.points(row.raw_millipoints), words.points(row.limited_millipoints)]
    if row.at_s is None:  # what a cap takes away has no points of its own
        entered = ["", ""]
    whence = "" if row.event_id is None else str(device or "–")
    cells = [row.rule, what, when, whence, *entered, words.points(row.decayed_millipoints, 3)]
    return tuple(Text(cell, style) for cell in cells)


def _what(row: LedgerRow, rules: Rules, name: str | None, last: Mapping[int, str]) -> str:
    """A row in words."""
    if told := sum_in_words(row, rules):
        return told
    rule = next(each for each in rules.rules if each.id == row.rule)
    text = reason_in_words(rule, 1, name or last.get(rule.code) or "…")
    return f"{text}: {name}" if name and not rule.keeps_title and not rule.on_visits else text
