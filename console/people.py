"""Leads, asked for by a reader: one of them in full, several by a name, and what somebody does about one."""

from __future__ import annotations

from typing import NamedTuple

from console import person, words
from console.curve import Standing
from console.gather import Gather
from console.history import KnownLead
from console.live import Request
from console.person import Event, Identifier, Ledger
from console.saying import Desk, Word
from console.views import Reader, Row, is_open, is_part_of_a_hand
from schemas.records import Activity, Record
from streams import links

MOST_EVENTS = 200


class LeadPage(NamedTuple):
    """All that the page of a lead shows."""

    id: str
    name: str
    company: str
    standing: Standing | None
    score: str
    level: int
    stage: str
    stage_since: str
    hot_since: str
    seen: str
    owner: str
    identifiers: list[Identifier]
    rows: list[Row]
    """Its open requests."""
    ledger: Ledger | None
    events: list[Event]
    suspicions: list[tuple[str, str]]


class Found(NamedTuple):
    """A lead in a list."""

    id: str
    name: str
    company: str
    standing: Standing | None
    score: str
    level: int
    owner: str


class Facts(NamedTuple):
    """What is known of a lead, before it is put in words."""

    known: KnownLead
    ids: list[str]
    """All ids that lead to it."""
    requests: list[Request]
    standing: Standing | None


class People:
    """Finds leads."""

    def __init__(self, gather: Gather, desk: Desk) -> None:
        self._gather, self._desk = gather, desk

    async def facts(self, id: str, now: int) -> Facts | None:
        """What is known under an id; None if nothing is.  Raises Away."""
        history = self._gather.history
        stands = await history.standing(id)
        if stands is None:
            return None
        known = (await history.leads([stands])).get(stands)
        standing = self._gather.standing(known, now) if known else None
        ids = [stands]
        if standing is not None:
            ids += [link.id.decode() for link in links.entries(standing.lead.links) if link.held]
        ids = list(dict.fromkeys([*ids, id]))
        requests = [self._gather.live.over(each) for each in await history.requests_of(ids)]
        if known is None and not requests:
            return None
        return Facts(known or KnownLead(stands, None, None, None, None), ids, requests, standing)

    async def lead(self, id: str, reader: Reader, now: int) -> LeadPage | None:
        """The page of a lead; None if nobody is known under the id.  Raises Away."""
        facts = await self.facts(id, now)
        if facts is None:
            return None
        history, rules = self._gather.history, self._gather.rules
        known, standing = facts.known, facts.standing
        lead = standing.lead if standing else None
        name, company = person.name_of(lead, facts.requests, known.alert, known.id)
        rows = await self._gather.rows(
            [each for each in facts.requests if is_open(each) and not is_part_of_a_hand(each)], reader, now
        )
        records = await self.timeline(facts)
        score, level = _score(known, standing)
        return LeadPage(
            id=known.id,
            name=name,
            company=company,
            standing=standing,
            score=score,
            level=level,
            stage=person.stage(lead) if lead else known.state.stage if known.state else "",
            stage_since=words.ago(now - lead.stage_since * 1_000) if lead and lead.stage_since else "",
            hot_since=words.ago(now - lead.hot_since * 1_000) if lead and lead.hot_since else "",
            seen=_seen(known, standing, now),
            owner=_name(self._gather, known.owner),
            identifiers=person.identifiers(lead, known.id, reader, now) if lead else [],
            rows=rows,
            ledger=person.ledger_of(standing, rules, known.id, reader, now) if standing else None,
            events=person.events(records, self._gather.desk_rules, reader, now),
            suspicions=person.suspicions(await history.duplicates(known.id), known.id),
        )

    async def timeline(self, facts: Facts) -> list[Record]:
        """What happened to a lead, hands included.  Raises Away."""
        ids = [each.id for each in facts.requests]
        records = await self._gather.history.timeline(facts.ids, ids, MOST_EVENTS)
        return [*records, *(each.hand for each in facts.requests if each.hand is not None)]

    async def search(self, text: str, reader: Reader, now: int) -> list[Found]:
        """Leads by words of their names and addresses.  Raises Away."""
        history = self._gather.history
        ids = await history.search(text, 20) if text.strip() else []
        standing_ids = list(dict.fromkeys([id for each in ids if (id := await history.standing(each))]))
        known = await history.leads(standing_ids)
        found = []
        for id in standing_ids:
            lead = known.get(id) or KnownLead(id, None, None, None, None)
            standing = self._gather.standing(lead, now)
            requests = [self._gather.live.over(each) for each in await history.requests_of([id])]
            name, company = person.name_of(standing.lead if standing else None, requests, lead.alert, id)
            score, level = _score(lead, standing)
            found.append(Found(id, name, company, standing, score, level, _name(self._gather, lead.owner)))
        return found

    async def act(self, activity: Activity) -> Word:
        """Say what somebody did, and hear what the desk says.  Raises Unavailable."""
        return await self._desk.act(activity)


def _score(known: KnownLead, standing: Standing | None) -> tuple[str, int]:
    if standing is not None:
        return words.points(standing.score), standing.level
    if known.state is not None:
        return words.points(known.state.behaviour_millipoints), known.state.level
    return "", 4


def _seen(known: KnownLead, standing: Standing | None, now: int) -> str:
    if standing is not None:
        lead = standing.lead
        last = words.ago(now - lead.last_seen * 1_000)
        return f"{words.count(lead.visits.count, 'visit')}, {words.count(lead.events, 'event')}; last {last}"
    if known.state is not None:
        return f"{words.count(known.state.visits, 'visit')}, {words.count(known.state.events, 'event')}"
    return ""


def _name(gather: Gather, id: str | None) -> str:
    found = gather.desk_rules.roster.people.get(id or "")
    return found.name if found else id or ""
