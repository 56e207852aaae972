"""Suspected duplicates: leads that share a piece of evidence may be one person.  They are reported, never merged.

Each piece of evidence has a home, the key under which it is remembered who was seen with it.  That of an address which
reaches the same mailbox as a simpler one is that one's key: most addresses are simple, and need no memory beside their
lead's.  So whoever has an address, its own lead or a forwarding address, remembers who may be one with its owner: a
suspicion goes with both leads wherever they go.
"""

from __future__ import annotations

from typing import Protocol

from schemas.codec import Undecodable
from schemas.records import NotTheSame, Sighted
from streams import links
from streams.links import ID_SIZE
from streams.publish import Publisher
from streams.rules import DAY_S
from streams.state import Lead, Match, Moved, State

MATCH_IDLE_S = 180 * DAY_S
"""A match to which nothing was added for so long is forgotten."""
MOST_MATCHED = 8
"""Leads that share one piece of evidence; what more share proves nothing."""
MOST_SUSPECTS = 16
"""Leads that are reported as perhaps one with the owner of an address, by each sort of evidence."""
MOST_APART = 64
MOST_HOLDERS = 16
"""Leads, each a part of the next, that are remembered to hold a claim; of more, those in between are forgotten."""
_CLAIMS = "eE"
"""How the entries of those begin who gave an address that is another's: as they are, and as not the same after all."""
_WORDS = {
    "m": "addresses that reach the same mailbox",
    "e": "both gave the same e-mail address",
    "p": "the same phone number",
    "n": "the same name at the same company",
}


class Leads(Protocol):
    """What the lead fold lends."""

    @property
    def now(self) -> int:
        """The largest tick so far, in seconds."""

    def state(self, key: bytes) -> State | None:
        """What is remembered under a key."""

    def keep(self, key: bytes, state: State, wake: int, published: bool) -> None:
        """Remember a state, and look at it at `wake`; `published`: the public is to hear of it."""

    def renew(self, key: bytes, lead: Lead, as_of: int) -> None:
        """Bring a lead under the present rules, before it becomes more, or less."""

    def judge(self, key: bytes, lead: Lead, as_of: int) -> None:
        """Stage and heat after a lead has become more, or less."""


class Duplicates:
    """The evidence whose home is in one partition."""

    def __init__(self, leads: Leads, publisher: Publisher) -> None:
        self._leads, self._publisher = leads, publisher

    def introduce(self, lead: str, home: Lead | Moved, found: Match, at: int) -> None:
        """A lead moves in where only leads with like addresses were known."""
        for other in found.leads:
            self._suspect(found.evidence, lead, other, at)
        _note(home, [found.evidence[0] + other for other in found.leads if other != lead])

    def claimed(self, key: str, moved: Moved, other: str, via: str | None, at: int) -> None:
        """Another lead has claimed an address, too; by `via`, who was a part of it, or it of whom."""
        claims = _parted(moved.suspects, other)
        passed_on = (via or "") + other  # or it only has who claimed it before
        if not any(entry[1:].startswith(other) or entry.endswith(passed_on) for entry in claims if entry[0] in _CLAIMS):
            claims = [*claims, "e" + other]
        self._report(key, (moved.to, moved.suspects), (moved.to, claims), at, other)
        _note(moved, claims)

    def inherit(self, key: str, suspects: list[str], former: str, home: Lead | Moved, owner: str, at: int) -> None:
        """What was suspected of an address's former owner is suspected of its owner."""
        kept = [entry for entry in suspects if entry[0] in _CLAIMS]
        self._report(key, (former, kept), (owner, kept), at, former)
        for entry in suspects:
            if entry[0] in _CLAIMS:
                continue
            evidence, other = entry[0].lower() + key[1:], entry[1:]
            if entry[0].islower():
                self._resolve(evidence, former, other, at, former)
                self._suspect(evidence, owner, other, at)
            kept += [entry] if other != owner else []
        _note(home, kept)

    def sighted(self, key: bytes, found: State | None, mail: Sighted, at: int) -> None:
        """A lead was seen with a piece of evidence whose home this key is."""
        evidence, lead, via = mail.evidence, mail.lead, mail.via
        links.check(evidence, "mpne")
        links.order(lead)
        links.order(via or lead)
        if isinstance(found, Lead | Moved):
            self._sighted_at_home(key, found, mail, at)
            return
        if evidence[0] == "e":
            return  # its owner has been forgotten
        match = found or Match(evidence, [], at)
        others = [other for other in match.leads if other not in (lead, via)]
        if via in match.leads:
            self._resolve(evidence, via, lead, at, via)
            match.apart = [links.pair(*(lead if each == via else each for each in pair)) for pair in match.apart]
            for other in others:
                self._resolve(evidence, via, other, at, via)
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

    def _sighted_at_home(self, key: bytes, found: Lead | Moved, mail: Sighted, at: int) -> None:
        kind, home = mail.evidence[0], key.decode() if isinstance(found, Lead) else found.to
        if mail.evidence[1:] != key.decode()[1:]:
            raise Undecodable("bad_mail", f"the home of {mail.evidence} is not {key.decode()}")
        before = suspects_of(found)
        if kind == "e":
            self._claim_passed_on(key, found, home, mail, at)
            return
        suspects = [entry for entry in before if entry[1:] != mail.via or entry[0].lower() != kind]
        apart = mail.via is not None and kind.upper() + mail.via in before
        if mail.via is not None and kind + mail.via in before:
            self._resolve(mail.evidence, mail.via, home, at, mail.via)
        is_new = mail.lead != home and not {kind + mail.lead, kind.upper() + mail.lead} & set(suspects)
        if is_new and home:
            if apart:
                suspects.append(kind.upper() + mail.lead)
            elif sum(entry[0] == kind for entry in suspects) < MOST_SUSPECTS:
                suspects.append(kind + mail.lead)
                self._suspect(mail.evidence, home, mail.lead, at)
        if suspects != before:
            _note(found, suspects)
            self._leads.keep(key, found, found.wake, published=False)

    def _claim_passed_on(self, key: bytes, found: Lead | Moved, home: str, mail: Sighted, at: int) -> None:
        """Who claimed an address is a part of another lead now, or of one lead fewer."""
        before, lead, via = suspects_of(found), mail.lead, mail.via
        if via is not None and links.order(lead) < links.order(via):
            claims = [
                _passed_on(entry, lead) if entry[0] in _CLAIMS and _holder(entry) == via else entry for entry in before
            ]
        else:
            claims = _parted(before, lead)
            # A claim is noted when it is made; here it may have been forgotten since.
            is_known = any(_holder(entry) == lead for entry in claims if entry[0] in _CLAIMS)
            if via is None and not is_known and sum(entry[0] == "e" for entry in claims) < MOST_SUSPECTS:
                claims = [*claims, "e" + lead]
        if claims != before:
            self._report(key.decode(), (home, before), (home, claims), at, via or lead)
            _note(found, claims)
            self._leads.keep(key, found, found.wake, published=False)

    def _report(
        self, evidence: str, before: tuple[str, list[str]], after: tuple[str, list[str]], at: int, gone: str
    ) -> None:
        """Say which pairs are suspected no longer, and which are from now on; each is an owner and the claims on it."""
        was, now = _pairs(*before), _pairs(*after)
        for one, other in was:
            if (one, other) not in now:
                self._resolve(evidence, one, other, at, gone)
        for one, other in now:
            if (one, other) not in was:
                self._suspect(evidence, one, other, at)

    def not_the_same(self, key: bytes, found: State | None, mail: NotTheSame, at: int) -> None:
        """Somebody says that two leads which share the evidence are two persons."""
        links.check(mail.evidence, "mpne")
        pair = links.pair(mail.lead, mail.other)
        if isinstance(found, Match) and pair not in found.apart:
            found.apart = [*found.apart, pair][-MOST_APART:]
            self._leads.keep(key, found, found.wake, published=False)
        elif isinstance(found, Lead | Moved):
            named = {mail.evidence[0] + mail.lead, mail.evidence[0] + mail.other}
            suspects = suspects_of(found)
            _note(found, [entry.capitalize() if entry[0] + _holder(entry) in named else entry for entry in suspects])
            self._leads.keep(key, found, found.wake, published=False)
        self._publisher.duplicate(mail.evidence, pair, "dismissed", at, f"{mail.by}: they are not the same")

    def _suspect(self, evidence: str, lead: str, other: str, at: int) -> None:
        if lead != other:
            self._publisher.duplicate(evidence, links.pair(lead, other), "suspected", at, _WORDS[evidence[0]])

    def _resolve(self, evidence: str, former: str, lead: str, at: int, gone: str) -> None:
        if former != lead:
            cause = f"{gone} is part of another lead, or was parted from who shares it"
            self._publisher.duplicate(evidence, links.pair(former, lead), "resolved", at, cause)


def suspects_of(found: Lead | Moved) -> list[str]:
    """Who may be one with the owner of an address."""
    return found.opened().suspects if isinstance(found, Lead) else found.suspects


def _holder(entry: str) -> str:
    """The lead that an entry is of: of a claim, whoever has the one that made it."""
    return entry[-ID_SIZE:]


def _passed_on(entry: str, lead: str) -> str:
    """The entry of a claim whose holder has become a part of a lead: who made it, and the latest whose part that is."""
    first, rest = entry[: 1 + ID_SIZE], entry[1 + ID_SIZE :]
    return first + (rest + lead)[-MOST_HOLDERS * ID_SIZE :]


def _parted(suspects: list[str], lead: str) -> list[str]:
    """The entries when a lead is nobody's part: what it claimed, itself or by its parts, is its own again."""
    return [
        entry[: entry.index(lead) + ID_SIZE] if entry[0] in _CLAIMS and lead in entry else entry for entry in suspects
    ]


def _pairs(owner: str, suspects: list[str]) -> list[tuple[str, str]]:
    """The owner of an address with each who claims it and was not said to be somebody else."""
    apart = {_holder(entry) for entry in suspects if entry[0] == "E"} | {owner}
    found = [_holder(entry) for entry in suspects if entry[0] == "e"] if owner else []
    return list(dict.fromkeys(links.pair(owner, each) for each in found if each not in apart))


def _note(home: Lead | Moved, suspects: list[str]) -> None:
    if isinstance(home, Moved):
        home.suspects = suspects
    elif suspects != suspects_of(home):
        home.keep(suspects=suspects)
