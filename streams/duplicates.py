"""Suspected duplicates: leads that share a piece of evidence may be one person.  They are reported, never merged.

Each piece of evidence has a home, the key under which it is remembered who was seen with it.  That of an address which
reaches the same mailbox as a simpler one is that one's key: most addresses are simple, and need no memory beside their
lead's.
"""

from __future__ import annotations

from typing import Protocol

from schemas.records import NotTheSame, Sighted
from streams import links
from streams.publish import Publisher
from streams.rules import DAY_S
from streams.state import Lead, Match, Moved, State

MATCH_IDLE_S = 180 * DAY_S
"""A match to which nothing was added for so long is forgotten."""
MOST_MATCHED = 8
"""Leads that share one piece of evidence; what more share proves nothing."""
MOST_APART = 64


class Leads(Protocol):
    """What the lead fold lends."""

    @property
    def now(self) -> int:
        """The largest tick so far, in seconds."""

    def state(self, key: bytes) -> State | None:
        """What is remembered under a key."""

    def keep(self, key: bytes, state: State, wake: int, published: bool) -> None:
        """Remember a state, and look at it at `wake`; `published`: the public is to hear of it."""

    def judge(self, key: bytes, lead: Lead, as_of: int) -> None:
        """Stage and heat after a lead has become more, or less."""


class Duplicates:
    """The evidence whose home is in one partition."""

    def __init__(self, leads: Leads, publisher: Publisher) -> None:
        self._leads, self._publisher = leads, publisher

    def introduce(self, lead: str, found: Match, at: int) -> None:
        """A lead moves in where only leads with like addresses were known."""
        for other in found.leads:
            self._suspect(found.evidence, lead, other, at)

    def sighted(self, key: bytes, found: State | None, mail: Sighted, at: int) -> None:
        """A lead was seen with a piece of evidence whose home this key is."""
        evidence, lead, via = mail.evidence, mail.lead, mail.via
        links.check(evidence, "mpn")
        links.order(lead)
        links.order(via or lead)
        if isinstance(found, Lead | Moved):
            home = key.decode() if isinstance(found, Lead) else found.to
            if via is not None and home:
                self._resolve(evidence, via, home, at)
            if home:
                self._suspect(evidence, home, lead, at)
            return
        match = found or Match(evidence, [], at)
        others = [other for other in match.leads if other not in (lead, via)]
        if via in match.leads:
            self._resolve(evidence, via, lead, at)
            match.apart = [links.pair(*(lead if each == via else each for each in pair)) for pair in match.apart]
            for other in others:
                self._resolve(evidence, via, other, at)
        if lead not in match.leads or via in match.leads:
            for other in others if len(others) < MOST_MATCHED else []:
                if links.pair(lead, other) not in match.apart:
                    self._suspect(evidence, lead, other, at)
            if len(others) == MOST_MATCHED:
                cause = f"over {MOST_MATCHED} leads share it: it proves nothing"
                self._publisher.duplicate(evidence, links.pair(lead, others[0]), "quarantined", at, cause)
        match.leads = [*others, lead][: MOST_MATCHED + 1]
        match.used = max(at, match.used)
        self._leads.keep(key, match, max(match.used, self._leads.now) + MATCH_IDLE_S, published=False)

    def not_the_same(self, key: bytes, found: State | None, mail: NotTheSame, at: int) -> None:
        """Somebody says that two leads which share the evidence are two persons."""
        links.check(mail.evidence, "mpne")
        pair = links.pair(mail.lead, mail.other)
        if isinstance(found, Match) and pair not in found.apart:
            found.apart = [*found.apart, pair][-MOST_APART:]
            self._leads.keep(key, found, found.wake, published=False)
        self._publisher.duplicate(mail.evidence, pair, "dismissed", at, f"{mail.by}: they are not the same")

    def _suspect(self, evidence: str, lead: str, other: str, at: int) -> None:
        if lead != other:
            cause = {"m": "addresses that reach the same mailbox", "p": "the same phone number"}
            words = cause.get(evidence[0], "the same name at the same company")
            self._publisher.duplicate(evidence, links.pair(lead, other), "suspected", at, words)

    def _resolve(self, evidence: str, former: str, lead: str, at: int) -> None:
        if former != lead:
            self._publisher.duplicate(
                evidence, links.pair(former, lead), "resolved", at, f"{former} is part of another lead"
            )
