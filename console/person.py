"""A lead as a page shows it: who, how known, which devices, every point, and what happened."""

from __future__ import annotations

from typing import NamedTuple

from console import words
from console.curve import Standing, ledger
from console.live import Request
from console.views import Reader
from schemas.records import Activity, Assignment, LeadAlert, LeadDuplicate, LeadTransition, Notice, RaisedHand, Record
from streams import links
from streams.desk.rules import DeskRules
from streams.explain import LedgerRow, sum_in_words
from streams.identity import KIND_NAMES
from streams.lifecycle import STAGES
from streams.reasons import reason_in_words
from streams.rules import Rules
from streams.state import Lead

_STATUS = {
    links.LOST: "lost: somebody else was seen with it",
    links.REFUSED: "refused: another lead had it first",
}
_STAGES = {"visitor": "visitor", "inquiry": "inquiry", "mql": "MQL"}


class Identifier(NamedTuple):
    """One thing by which a lead is known."""

    kind: str
    value: str
    since: str
    remark: str
    verified: bool


class LedgerLine(NamedTuple):
    """One row of the ledger, in words."""

    what: str
    rule: str
    when: str
    device: str
    raw: str
    limited: str
    decayed: str
    exact: str
    """The same with three decimals: these add up."""
    cut: bool
    """Whether a limit or clearing has left nothing of it."""


class Ledger(NamedTuple):
    """The rows, and what they add up to."""

    lines: list[LedgerLine]
    total: str
    exact: str


class Event(NamedTuple):
    """One thing that happened to a lead."""

    at: int
    when: str
    what: str
    detail: str
    tone: str
    """`hand`, `hot`, `done` or nothing: how much it stands out."""


def name_of(lead: Lead | None, requests: list[Request], alert: LeadAlert | None, id: str) -> tuple[str, str]:
    """The name that says most, and the company; the id where nothing else is known."""
    hands = [each.hand for each in requests if each.hand is not None]
    name = next((hand.name for hand in hands if hand.name), "")
    company = next((hand.company for hand in hands if hand.company), "")
    known = {each.kind: each.value for each in reversed(lead.known)} if lead else {}
    address = (
        known.get("e") or (alert.email if alert else None) or next((hand.email for hand in hands if hand.email), None)
    )
    return name or address or known.get("u") or (alert.user_id if alert else None) or id, company


def stage(lead: Lead) -> str:
    """Where the lead stands on its way."""
    name = STAGES[lead.stage]
    return _STAGES.get(name, name)


def identifiers(lead: Lead, id: str, reader: Reader, now: int) -> list[Identifier]:
    """What people write first, then the devices, in the order in which they were met."""
    found = []
    for known in lead.known:
        since = words.clock(known.since * 1_000, now, reader.zone)
        verified = known.verified > 0
        remark = ("verified" if verified else "not verified") if known.kind == "e" else ""
        found.append(Identifier(KIND_NAMES[known.kind], known.value, since, remark, verified))  # type: ignore[index]
    numbers = devices(lead, id)
    for link in links.entries(lead.links):
        number = numbers.get(link.id.decode())
        if number:
            last = f"last seen {words.ago(now - link.seen * 1_000)}"
            remark = _STATUS.get(link.status, last)
            since = words.clock(link.since * 1_000, now, reader.zone)
            found.append(Identifier("device", str(number), since, remark, verified=False))
    return found


def devices(lead: Lead, id: str) -> dict[str, int]:
    """The numbers of a lead's devices, from 1, by their ids."""
    own = [id] if id.startswith("a_") else []
    ids = own + [link.id.decode() for link in links.entries(lead.links) if links.is_device(link.id)]
    return {device: number for number, device in enumerate(ids, 1)}


def ledger_of(stands: Standing, rules: Rules, id: str, reader: Reader, now: int) -> Ledger:
    """Every point, newest first; the last column adds up to the score to the milli-point."""
    lead = stands.lead
    explained = ledger(lead, rules, now // 1_000)
    numbers, newest = devices(lead, id), {row.rule: row.event_id for row in explained.rows}
    lines = []
    for row in explained.rows:
        title = lead.titles.get(_code(rules, row.rule)) if newest[row.rule] == row.event_id else None
        when = "" if row.at_s is None else words.clock(row.at_s * 1_000, now, reader.zone)
        is_cap = row.at_s is None
        lines.append(
            LedgerLine(
                what=_what(row, rules, title),
                rule=row.rule,
                when=when,
                device=str(numbers.get(row.device or "", "")),
                raw="" if is_cap else words.points(row.raw_millipoints, 1),
                limited="" if is_cap else words.points(row.limited_millipoints, 1),
                decayed=words.points(row.decayed_millipoints, 1),
                exact=words.points(row.decayed_millipoints, 3),
                cut=bool(row.event_id and row.raw_millipoints and not row.limited_millipoints),
            )
        )
    score = explained.score_millipoints
    return Ledger(lines[::-1], words.points(score, 1), words.points(score, 3))


def events(records: list[Record], desk_rules: DeskRules, reader: Reader, now: int) -> list[Event]:
    """What happened, the latest first."""
    found = []
    for record in sorted(records, key=_place, reverse=True):
        at, what, detail, tone = _told(record, desk_rules)
        if what:
            found.append(Event(at, words.clock(at, now, reader.zone), what, detail, tone))
    return found


def suspicions(found: list[LeadDuplicate], id: str) -> list[tuple[str, str]]:
    """(lead id, why) of whoever may be the same person."""
    return [
        (each.other_id if each.lead_id == id else each.lead_id, each.cause)
        for each in found
        if each.status == "suspected"
    ]


def _place(record: Record) -> tuple[int, int, int, int]:
    """In time; within a second (leads have no finer clock) the lead comes before the desk, each in its own order."""
    at = getattr(record, "at", 0) or getattr(record, "decided_at", 0) or getattr(record, "requested_at", 0)
    is_desk = not isinstance(record, LeadTransition | LeadAlert)
    stage = STAGES.index(record.after) if isinstance(record, LeadTransition) and record.after in STAGES else 0
    return at // 1_000, at if is_desk else 0, getattr(record, "source_offset", 0), stage


def _told(record: Record, rules: DeskRules) -> tuple[int, str, str, str]:
    match record:
        case RaisedHand():
            return record.requested_at, "Asked to be called", record.message, "hand"
        case LeadAlert():
            why = " · ".join(reason.text for reason in record.reasons)
            return record.at, f"Got hot at {words.points(record.behaviour_millipoints)}", why, "hot"
        case LeadTransition(aspect="stage"):
            before, after = (_STAGES.get(each, each) for each in (record.before, record.after))
            return record.at, f"{before} → {after}", record.cause, ""
        case LeadTransition(aspect="identity", other=other):
            return record.at, f"{record.before} → {record.after}", f"{record.cause} {other or ''}".strip(), ""
        case LeadTransition(aspect="heat", after="cold"):
            return record.at, "Cooled", "", ""
        case Activity():
            name = _name(rules, record.rep)
            said = words.DONE.get(record.kind, f"{{name}}: {record.kind}").format(name=name)
            parts = (words.REASONS.get(record.reason, record.reason), record.note)
            tone = "done" if record.kind in ("contacted", "won") else ""
            return record.at, said, " · ".join(part for part in parts if part), tone
        case Assignment(cause=cause) if cause in words.DONE:
            return 0, "", "", ""  # the activity itself tells it, with its note
        case Assignment(owner=owner, queue=queue, status=status):
            who = _name(rules, owner) if owner else queue or ""
            said = words.DECIDED.get(status, f"{{who}}: {status}").format(who=who)
            return record.decided_at, said, " · ".join(record.trace), ""
        case Notice(kind="confirmation"):
            return record.at, "The visitor was told", record.text, ""
    return 0, "", "", ""


def _what(row: LedgerRow, rules: Rules, title: str | None) -> str:
    if told := sum_in_words(row, rules):
        return told
    rule = rules.by_code[_code(rules, row.rule)]
    if title is None and "{title}" in rule.reason:  # a state remembers a name for each rule, not for each event
        return rule.reason_often.partition("{times}")[0].rstrip(" ,")
    return reason_in_words(rule, 1, title)


def _code(rules: Rules, id: str) -> int:
    return next((rule.code for rule in rules.rules if rule.id == id), -1)


def _name(rules: DeskRules, id: str) -> str:
    person = rules.roster.people.get(id)
    return person.name if person else id
