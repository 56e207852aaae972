"""What is known of a lead, and the ledger of its points: for people and for machines."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rich.text import Text

from handraise import output, words
from handraise.failure import Failure
from handraise.lookup import Found
from handraise.rewind import rewind
from handraise.settings import Settings
from handraise.titles import titles
from streams.explain import Explanation, LedgerRow, explain
from streams.lifecycle import STAGES
from streams.reasons import reason_in_words, top_reasons
from streams.rules import Rules
from streams.score import behaviour
from streams.state import Lead


def read_time(text: str) -> int:
    """An ISO 8601 time (UTC if it names no zone) in seconds.  Raises Failure."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Failure(f'"{text}" is no time', "--at", "write it as 2026-11-22T14:03:00Z, or 2026-11-22") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def present(lead: Lead) -> int:
    """Now in seconds; a lead's own time never runs backwards."""
    return max(int(time.time()), lead.as_of, lead.last_seen)


def lead_as_data(found: Found, rules: Rules) -> dict[str, Any]:
    """The JSON of `handraise lead`; what no fold knows yet is null."""
    lead = rewind(found.lead, rules, at := present(found.lead))
    return {
        "id": found.moved_from or found.id,
        "behaviour": behaviour(lead, rules, at) / 1_000,
        "fit": None,
        "grade": None,
        "stage": STAGES[lead.stage],
        "hot": lead.hot_since > 0,
        "owner": None,
        "identifiers": [
            {"kind": known.kind, "value": known.value, "verified": False, "since": words.iso(known.since)}
            for known in lead.known
        ],
        "reasons": [
            {"text": reason.text, "rule": reason.rule, "points": reason.millipoints / 1_000}
            for reason in top_reasons(lead, rules, at)
        ],
        "moved_to": found.id if found.moved_from else None,
    }


def show_lead(found: Found, rules: Rules) -> None:
    """The same in words."""
    lead = rewind(found.lead, rules, at := present(found.lead))
    score = behaviour(lead, rules, at)
    level = rules.level(score)
    output.say(Text(_name(found), "strong"))
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
    ]
    facts += [(known.kind, f"{known.value}  since {words.when(known.since)} UTC") for known in lead.known]
    facts.append(("lead id", found.id))
    if found.moved_from:
        facts.append(("moved from", found.moved_from))
    output.show(output.table([("", "left"), ("", "left")], [(Text(name, "quiet"), value) for name, value in facts]))


def explanation(found: Found, rules: Rules, at_s: int | None) -> tuple[Lead, Explanation]:
    """The ledger at a time in seconds (now if None).  Raises Failure for a time before the ledger begins."""
    at = present(found.lead) if at_s is None else at_s
    lead = rewind(found.lead, rules, at)
    return lead, explain(lead, rules, at)


def explanation_as_data(explained: Explanation) -> dict[str, Any]:
    """The JSON of `handraise explain`: points with three decimals; `decayed` adds up to `score` exactly."""
    return {
        "score": explained.score_millipoints / 1_000,
        "as_of": words.iso(explained.as_of_s),
        "rows": [
            {
                "rule": row.rule,
                "event_id": row.event_id,
                "at": None if row.at_s is None else words.iso(row.at_s),
                "raw": row.raw_millipoints / 1_000,
                "limited": row.limited_millipoints / 1_000,
                "decayed": row.decayed_millipoints / 1_000,
                "device": None,
            }
            for row in explained.rows
        ],
    }


async def names(settings: Settings, found: Found, explained: Explanation) -> dict[str, str]:
    """The names of what the rows' events touched, by event id."""
    rows = [(row.event_id, row.at_s) for row in explained.rows if row.event_id and row.at_s is not None]
    if not rows:
        return {}
    since_s = min(at_s for _, at_s in rows)
    return await titles(settings, found.id, found.partitions, {event_id for event_id, _ in rows}, since_s)


def show_explanation(found: Found, lead: Lead, rules: Rules, explained: Explanation, named: Mapping[str, str]) -> None:
    """The ledger as a table whose last column adds up; `named`: what events touched, by their ids."""
    output.say(
        Text.assemble(
            (_name(found), "strong"),
            f"  {words.points(explained.score_millipoints)} points on {words.when(explained.as_of_s)} UTC",
        )
    )
    output.say()
    columns = [("rule", "left"), ("what", "left"), ("when, UTC", "left")]
    columns += [("raw", "right"), ("limited", "right"), ("decayed", "right")]
    newest = {row.rule: row.event_id for row in explained.rows}
    rows = []
    for row in explained.rows:
        # A state remembers what a rule matched last: better than nothing for an event that is not kept any more.
        last = lead.titles if newest[row.rule] == row.event_id else {}
        rows.append(_cells(row, _what(row, rules, named.get(row.event_id or ""), last)))
    total = Text(words.points(explained.score_millipoints, 3), "strong")
    rows.append((Text("total", "strong"), "", "", "", "", total))
    output.show(output.table(columns, rows))
    if any(row.event_id and row.raw_millipoints and not row.limited_millipoints for row in explained.rows):
        output.say("Rows with nothing under limited are over a limit of their rule, or were cleared.", "quiet")


def _name(found: Found) -> str:
    known = {each.kind: each.value for each in reversed(found.lead.known)}
    return known.get("email") or known.get("user") or known.get("anonymous") or found.id


def _cells(row: LedgerRow, what: str) -> tuple[str | Text, ...]:
    style = "quiet" if row.event_id and not row.limited_millipoints else ""
    when = "" if row.at_s is None else words.day_and_time(row.at_s)
    entered = [words.points(row.raw_millipoints), words.points(row.limited_millipoints)]
    if row.at_s is None:  # what a cap takes away has no points of its own
        entered = ["", ""]
    cells = [row.rule, what, when, *entered, words.points(row.decayed_millipoints, 3)]
    return tuple(Text(cell, style) for cell in cells)


def _what(row: LedgerRow, rules: Rules, name: str | None, last: Mapping[int, str]) -> str:
    """A row in words."""
    kind, colon, group = row.rule.partition(":")
    if kind == "before" and colon:
        return f"earlier points of the group {group}"
    if kind == "cap":
        if colon:
            cap = next(rules.caps[code] for code, known in rules.group_names.items() if known == group)
            return f"the group {group} gives at most {cap // 1_000}"
        return "a score is never below 0" if row.decayed_millipoints > 0 else f"a score is at most {rules.cap // 1_000}"
    rule = next(each for each in rules.rules if each.id == row.rule)
    text = reason_in_words(rule, 1, name or last.get(rule.code) or "…")
    return f"{text}: {name}" if name and not rule.keeps_title and not rule.on_visits else text
