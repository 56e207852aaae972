"""Merges undone: a lead that was merged by somebody's wish is taken out again of whatever holds it by then.

Who was merged leaves an address with an `Undo`, and lives again only when its points have been given back.  What it
brought is always inside of the lead that took it in (`Undo.into`), wherever that one has gone: so a `Release` is
handed from there to there, behind the mail by which each of them went, until it meets a lead that lives.  No address
hands it on before it knows who took its lead in.  Every merge and every release is answered by a `Link` to the
absorbed id whose `via` is that id itself: the owner it names is who has it now, or the id itself.
"""

from __future__ import annotations

from collections.abc import Callable

from schemas.codec import Undecodable
from schemas.records import Link, Release
from streams import links, state
from streams.duplicates import Leads
from streams.ledger import rebuild
from streams.links import LOST
from streams.publish import Publisher
from streams.rules import Rules
from streams.score import behaviour
from streams.state import Lead, Moved, State, Undo
from streams.union import give_back, has_taken, lead_of, memory_of

MOST_WAITING = 4
"""Releases kept at an address whose lead is still on its way; more go round in the inbox until it has arrived."""


class Parting:
    """The merges of one partition's leads that can be undone; `claim` is `Forwarding.claim`."""

    def __init__(
        self, leads: Leads, publisher: Publisher, rules: Rules, claim: Callable[[str, links.Link, str | None], None]
    ) -> None:
        self._leads, self._publisher, self._rules, self._claim = leads, publisher, rules, claim

    def answer(self, key: str, source: str, owner: str, at: int) -> None:
        """Tell an absorbed id who has it now, or that it is to live again."""
        self._publisher.mail(source.encode(), Link(owner=owner, at=at * 1_000, via=source))

    def unmerge(self, key: bytes, found: State | None, at: int) -> None:
        """Ask for a lead's points back.  Raises Undecodable if it was not merged, or the merge is under way."""
        undo = found.undo if isinstance(found, Moved) else None
        lead = state.decode(undo.frozen) if undo is not None and undo.frozen else None
        if not isinstance(found, Moved) or undo is None or not isinstance(lead, Lead):
            raise Undecodable("not_merged", f"{key.decode()} was not merged by anybody, or that is long ago")
        refuse_under_way(key, undo)
        undo.parting = True
        self._leads.keep(key, found, found.wake, published=False)
        release = Release(source=key.decode(), at=at * 1_000, by="unmerge", memory=memory_of(lead))
        self._publisher.mail(undo.into.encode(), release)

    def pass_on(self, key: bytes, moved: Moved, mail: Release, value: bytes) -> None:
        """A release at an address: what is undone may have been merged into this lead before it went."""
        undo = moved.undo
        if undo is None:
            if moved.to:
                self._publisher.forward(moved.to.encode(), value)
            else:
                self.answer(key.decode(), mail.source, mail.source, mail.at // 1_000)
            return
        frozen, other = state.decode(undo.frozen) if undo.frozen else None, lead_of(mail.memory)
        if isinstance(frozen, Lead) and has_taken(frozen, other, mail.source):
            # If this one comes back, it is to come without.
            before = frozen.links
            give_back(frozen, other, mail.source.encode(), self._rules)
            if undo.parting:  # it is said already to share with others what both shared with them
                for place, link in enumerate(links.entries(before)):
                    if links.is_shared(link):
                        frozen.links = links.write(frozen.links, place * links.SIZE, link)
            undo.frozen = state.encode(frozen)
        if undo.into:
            self._publisher.forward(undo.into.encode(), value)
        elif len(undo.waiting) < MOST_WAITING:
            undo.waiting.append(value)
        else:
            self._publisher.forward(key, value)
        self._leads.keep(key, moved, moved.wake, published=False)

    def release(self, key: bytes, found: State | None, mail: Release) -> None:
        """A release where it ends: who has the points gives them back."""
        other = lead_of(mail.memory)
        if isinstance(found, Lead) and has_taken(found, other, mail.source):
            found.as_of = max(found.as_of, self._leads.now)
            self._leads.renew(key, found, found.as_of)
            later = give_back(found, other, mail.source.encode(), self._rules)
            for link in later:
                self._claim(key.decode(), link, None)
            for link in filter(links.is_shared, links.entries(other.links)):
                place = links.find(found.links, link.id)
                if place < 0 or links.read(found.links, place).status == LOST:
                    self._claim(mail.source, link, key.decode())
            self._leads.keep(key, found, found.wake, published=True)
            self._leads.judge(key, found, found.as_of)
        self.answer(key.decode(), mail.source, mail.source, mail.at // 1_000)

    def answered(self, key: bytes, found: State | None, owner: str) -> None:
        """An absorbed id hears who took it in, or that it is to live again."""
        undo = found.undo if isinstance(found, Moved) else None
        if not isinstance(found, Moved) or undo is None:
            return
        if owner.encode() != key:
            if not undo.into:
                undo.into = owner
                for value in undo.waiting:
                    self._publisher.forward(owner.encode(), value)
                undo.waiting = []
                self._leads.keep(key, found, found.wake, published=False)
        elif undo.parting and isinstance(lead := state.decode(undo.frozen), Lead):
            self._live_again(key, found, lead)

    def _live_again(self, key: bytes, moved: Moved, lead: Lead) -> None:
        rebuild(lead, self._rules)
        lead.as_of, lead.wake = max(lead.as_of, self._leads.now), 0
        as_of = lead.as_of
        self._leads.keep(key, lead, 0, published=True)
        score = behaviour(lead, self._rules, as_of)
        self._publisher.identity(key, "moved", "lead", as_of, "the merge was undone", moved.to, score)
        for link in links.entries(lead.links):
            if links.is_shared(link):
                self._claim(key.decode(), link, None)
            elif link.held or links.is_given_back(link):
                self._claim(key.decode(), link, moved.to)
        self._leads.judge(key, lead, as_of)


def refuse_under_way(key: bytes, undo: Undo) -> None:
    """Raise Undecodable if a merge, or what undoes it, has not been read by all whom it concerns."""
    if undo.parting or not undo.into:
        what = "is being taken out of another lead" if undo.parting else "is still being merged"
        raise Undecodable("under_way", f"{key.decode()} {what}: say it again in a few seconds")
