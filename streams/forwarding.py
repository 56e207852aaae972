"""Who a lead is: identifiers met in events, and what leads write to each other about them.

A lead lives under its strongest identifier.  A weaker one that it meets gets a `Link`; who lives under that one sends
what it remembers as `Absorb` and leaves a forwarding address, `Moved`.  Addresses always point to a stronger lead
(`streams.links.order`), so they never form a circle; who absorbs a lead writes to all that pointed to it, so that
chains stay short.
"""

from __future__ import annotations

from schemas.codec import Undecodable
from schemas.records import Absorb, DeviceLost, Link, Mail, Merge, NotTheSame, Release, Sighted, Unmerge
from streams import links, state
from streams.contact import learn
from streams.duplicates import Duplicates, Leads, suspects_of
from streams.ledger import new_lead, rebuild
from streams.lifecycle import STAGES
from streams.links import ABSORBED, LOST, MOST_LINKS, OURS, REFUSED, RELINK_S
from streams.news import News
from streams.parting import Parting, refuse_under_way
from streams.publish import Publisher
from streams.rules import DAY_S, Rules
from streams.score import behaviour
from streams.state import Lead, Match, Moved, State, Undo
from streams.union import lead_of, memory_of, unite

MOVED_IDLE_S = 180 * DAY_S
"""An address that nothing used for so long is forgotten."""
LINKED = "it was linked to a stronger identifier"
MOST_OWNERS = 16
"""An identifier that more leads have owned or claimed is nobody's."""
MOST_FORMER = 16
"""Former owners of a device who still get what happened on it in their time, however late it comes."""
_OWNER_MARK = 6
"""Characters of an owner's id by which it is known again."""


class Forwarding:
    """Identifiers and mail of one partition's leads."""

    def __init__(self, leads: Leads, publisher: Publisher, rules: Rules) -> None:
        self._leads, self._publisher, self._rules = leads, publisher, rules
        self.duplicates = Duplicates(leads, publisher)
        self._parting = Parting(leads, publisher, rules, self.claim)

    # -- events

    def meet(self, key: bytes, lead: Lead, news: News, at: int) -> int:
        """Take note of an event's identifiers, and link those that the lead does not know.

        Returns the place in `Lead.links` of the device that it came from, from 1; 0 for the lead's own key or none.
        """
        origin = 0
        for number, id in enumerate(news.identifiers):
            if id == key:
                continue
            place = links.find(lead.links, id)
            # The strongest is not linked: the record came under its key, or was forwarded by it.
            if number or (place >= 0 and links.is_brought(links.read(lead.links, place))):
                place = self._see(key, lead, id, place, at)
            if links.is_device(id):
                origin = place // links.SIZE + 1
        if news.phone:
            learn(lead, "p", news.phone, at)
        for alias in news.aliases:
            if alias.encode() != key:
                self._take(key, lead, alias, at)
        return origin

    def _take(self, key: bytes, lead: Lead, alias: str, at: int) -> None:
        """Take what an alias call says to be the same: all that is weaker than the lead.

        Two users, or two addresses, settle between themselves who owns whom, and nothing is noted before they have:
        there may be nobody under the alias.  Two devices are no persons.
        """
        place, rank, own = links.find(lead.links, alias.encode()), links.order(alias)[0], links.order(key.decode())[0]
        absorbed = place >= 0 and links.read(lead.links, place).status == ABSORBED
        if rank > own:
            self._see(key, lead, alias.encode(), place, at)
        elif rank == own and not links.is_device(key) and not absorbed:
            self._publisher.mail(alias.encode(), Merge(other=key.decode(), at=at * 1_000, by="alias"))

    def _see(self, key: bytes, lead: Lead, id: bytes, place: int, at: int) -> int:
        """Note that the lead was seen with an identifier; returns the place of its entry, or -1."""
        link = links.Link(id, at, at, OURS)
        if place >= 0:
            known = links.read(lead.links, place)
            if known.status != LOST and at // RELINK_S <= known.seen // RELINK_S:
                if at > known.seen or at < known.since or links.is_brought(known):
                    status = OURS if links.is_brought(known) else known.status
                    known = known._replace(seen=max(at, known.seen), since=min(at, known.since), status=status)
                    lead.links = links.write(lead.links, place, known)
                return place
            # Who lost it was seen with it before another lead was, or it was another's that it was given back to.
            seen = at if known.status == LOST else max(at, known.seen)
            link = link._replace(since=min(at, known.since), seen=seen)
        elif len(lead.links) >= MOST_LINKS * links.SIZE:
            self._crowded(key, lead)
            return -1
        else:
            place = len(lead.links)
        lead.links = links.write(lead.links, place, link)
        self.claim(key.decode(), link)
        return place

    def claim(self, owner: str, link: links.Link, via: str | None = None) -> None:
        """Tell an identifier whose it is."""
        id, at = link.id, link.seen * 1_000
        if links.is_shared(link) or links.is_given_back(link):
            home = b"e" + id[1:] if id.startswith(b"m_") else id
            self._publisher.mail(home, Sighted(lead=owner, evidence=id.decode(), at=at, via=via))
        else:
            self._publisher.mail(id, Link(owner=owner, at=at, via=via))

    def _crowded(self, key: bytes, lead: Lead) -> None:
        if not lead.opened().crowded:
            lead.keep(crowded=lead.as_of)
            cause = f"it has {MOST_LINKS} identifiers, as a login that many share has: no more are linked"
            score = behaviour(lead, self._rules, lead.as_of)
            self._publisher.identity(key, "linking", "quarantined", lead.as_of, cause, None, score)

    # -- mail

    def receive(self, key: bytes, mail: Mail, value: bytes) -> None:
        """What one mail to the lead under a key changes.  Raises Undecodable for mail that no fold writes."""
        at, found = mail.at // 1_000, self._leads.state(key)
        match mail:
            case Link():
                self._link(key, found, mail, at)
            case Sighted():
                self.duplicates.sighted(key, found, mail, at)
            case NotTheSame():
                self.duplicates.not_the_same(key, found, mail, at)
            case Unmerge():
                self._parting.unmerge(key, found, at)
            case Release():
                if isinstance(found, Moved):
                    self._parting.pass_on(key, found, mail, value)
                else:
                    self._parting.release(key, found, mail)
            case Absorb() | DeviceLost() | Merge():
                if isinstance(found, Moved):
                    self._pass_on(key, found, mail, value)
                elif isinstance(mail, Absorb):
                    self._absorb(key, found, mail, at)
                elif isinstance(mail, Merge):
                    self._merge(key, found, mail, at)
                elif isinstance(found, Lead):
                    self._device_lost(key, found, mail, at)

    def used(self, key: bytes, moved: Moved, at: int) -> None:
        """Note that an address was used; once a day is enough."""
        if at - moved.used >= DAY_S:
            moved.used = at
            self._leads.keep(key, moved, at + MOVED_IDLE_S, published=False)

    def _pass_on(self, key: bytes, moved: Moved, mail: Absorb | DeviceLost | Merge, value: bytes) -> None:
        if isinstance(mail, DeviceLost) and mail.reason != "returned":
            return  # who absorbed this lead has asked for all that it had, and gets answers of its own
        if not moved.to:
            raise Undecodable("quarantined", f"{key.decode()} has had too many owners to be anybody's")
        if isinstance(mail, Merge) and moved.undo is not None and moved.undo.parting:
            refuse_under_way(key, moved.undo)
        if not (isinstance(mail, Merge) and mail.other == moved.to):
            self.used(key, moved, max(self._leads.now, mail.at // 1_000))
            self._publisher.forward(moved.to.encode(), value)

    def _link(self, key: bytes, found: State | None, mail: Link, at: int) -> None:
        owner, id = mail.owner, key.decode()
        if links.order(owner) > links.order(id):
            raise Undecodable("bad_mail", f"{owner} is not stronger than {id}, which it would own")
        if mail.via == id:
            self._parting.answered(key, found, owner)
        elif owner == id:
            return
        elif isinstance(found, Moved):
            self._relink(key, found, owner, mail.via, at)
        elif isinstance(found, Lead):
            if key.startswith(b"u_"):
                self._lost(owner, key.decode(), at, "claimed", key.decode())
            else:
                self._move(key, found, owner, at, "link", LINKED)
        else:
            self._address(key, owner, at, found)

    def _address(self, key: bytes, owner: str, at: int, found: Match | None) -> None:
        """Leave an address where no lead lives."""
        moved = Moved(owner, at, at)
        if found is not None:
            self.duplicates.introduce(owner, moved, found, at)
        self._leads.keep(key, moved, max(at, self._leads.now) + MOVED_IDLE_S, published=False)

    def _move(self, key: bytes, lead: Lead, owner: str, at: int, cause: str, words: str) -> None:
        """Send what a lead remembers to its owner, and leave an address."""
        as_of = max(lead.as_of, self._leads.now)
        if lead.model != self._rules.number:
            rebuild(lead, self._rules)
        score = behaviour(lead, self._rules, as_of)
        undo = Undo(state.encode(lead)) if cause == "merge" else None
        if undo is None and lead.opened().merged:
            undo, cause = Undo(b""), "nested"
        absorb = Absorb(source=key.decode(), owner=owner, at=at * 1_000, cause=cause, memory=memory_of(lead))
        self._publisher.mail(owner.encode(), absorb)
        self._publisher.identity(key, "lead", "moved", as_of, words, owner, score)
        used = max(at, as_of)
        moved = Moved(owner, at, used, undo=undo)
        self.duplicates.inherit(key.decode(), suspects_of(lead), key.decode(), moved, owner, at)
        self._leads.keep(key, moved, used + MOVED_IDLE_S, published=True)

    def _relink(self, key: bytes, moved: Moved, owner: str, via: str | None, at: int) -> None:
        id, former = key.decode(), moved.to
        if via is not None and former and id.startswith("e_"):
            # Who claimed the address before may be a part of the one who does now.
            self.duplicates.sighted(key, moved, Sighted(owner, at * 1_000, id, via), at)
        if former == owner:
            moved.at = max(at, moved.at)
        elif not former:
            self._lost(owner, id, at, "quarantined", "")
            return
        elif former == via and at >= moved.at:
            moved.to, moved.at = owner, at
            self.duplicates.inherit(id, moved.suspects, former, moved, owner, at)
            if _has_owned(moved, owner):  # it has been told, or will be, that this is not its own
                self._lost(owner, id, at, "returned", owner)
            if links.order(former) < links.order(owner):  # of which the owner was a part
                self._lost(former, id, at, "parted", owner)
        elif moved.undo is not None and moved.undo.parting:
            self._lost(owner, id, at, "moved", id)  # it asks again, until the lead lives that has been there before
        elif not links.is_device(key):
            self._claimed(key, moved, owner, via, at)
        elif (-at, links.order(owner)) < (-moved.at, links.order(former)):
            moved.to, moved.at = owner, at
            moved.before = [*moved.before, (at, former)][-MOST_FORMER:]
            if moved.undo is not None:
                moved.undo.frozen = b""
            if _owners(moved, former, owner) > MOST_OWNERS:
                moved.to = ""
                cause = f"over {MOST_OWNERS} leads have owned it, as a device that many share: it is nobody's"
                self._publisher.identity(key, "linking", "quarantined", max(at, self._leads.now), cause, None, 0)
                self._lost(owner, id, at, "quarantined", "")
                self._lost(former, id, at, "quarantined", "")
            else:
                self._lost(former, id, at, "moved", owner)
        else:
            _owners(moved, former, owner)
            self._lost(owner, id, moved.at, "moved", former)
        moved.used = max(at, moved.used)
        self._leads.keep(key, moved, max(moved.used, self._leads.now) + MOVED_IDLE_S, published=False)

    def _claimed(self, key: bytes, moved: Moved, owner: str, via: str | None, at: int) -> None:
        """A second lead claims an address of a person: the first keeps it."""
        id, before = key.decode(), len(moved.owners)
        owners = _owners(moved, moved.to, owner)
        if owners <= MOST_OWNERS and not id.startswith("u_"):
            self.duplicates.claimed(id, moved, owner, via, at)
        elif owners > MOST_OWNERS and len(moved.owners) > before:
            cause = f"over {MOST_OWNERS} leads have claimed it: claims are no longer reported"
            self._publisher.identity(key, "linking", "quarantined", max(at, self._leads.now), cause, moved.to, 0)
        self._lost(owner, id, at, "claimed", moved.to)

    def _lost(self, to: str, id: str, at: int, reason: str, owner: str) -> None:
        self._publisher.mail(to.encode(), DeviceLost(identifier=id, at=at * 1_000, reason=reason, owner=owner))

    def _device_lost(self, key: bytes, lead: Lead, mail: DeviceLost, at: int) -> None:
        place = links.find(lead.links, mail.identifier.encode())
        if place < 0 or (mail.owner.encode() == key and mail.reason != "returned"):
            return
        link = links.read(lead.links, place)
        if mail.reason == "returned":
            link = link._replace(seen=max(at, link.seen), status=OURS)
            if mail.owner.encode() != key:  # who has it has become a part of this lead
                self.claim(key.decode(), link, mail.owner)
        elif mail.reason not in ("moved", "parted"):
            link = link._replace(status=REFUSED)
        elif mail.reason == "parted" and link.held and link.seen <= at:
            owner = links.find(lead.links, mail.owner.encode())
            if owner >= 0 and links.read(lead.links, owner).held:
                return  # it has become a part of this lead again
            link = link._replace(status=LOST)
        elif link.held and (-link.seen, links.order(key.decode())) < (-at, links.order(mail.owner)):
            self.claim(key.decode(), link)
        else:
            link = link._replace(status=LOST)
        lead.links = links.write(lead.links, place, link)
        self._leads.keep(key, lead, lead.wake, published=False)

    def _absorb(self, key: bytes, found: Lead | Match | None, mail: Absorb, at: int) -> None:
        source = mail.source.encode()
        links.order(mail.owner)
        if source == key or links.order(mail.source) < links.order(key.decode()):
            raise Undecodable(
                "bad_mail", f"{key.decode()} cannot absorb {mail.source[:40]}, which is stronger or itself"
            )
        other = lead_of(mail.memory)
        as_of = max(other.as_of, self._leads.now)
        if isinstance(found, Lead):
            lead = found
        else:
            lead = new_lead(other.first_seen, as_of, [], self._rules)
            if found is not None:
                self.duplicates.introduce(key.decode(), lead, found, at)
        as_of = max(as_of, lead.as_of)
        self._leads.renew(key, lead, as_of)
        stage = lead.stage
        unite(lead, key, other, source, at, self._rules)
        lead.as_of = as_of
        if mail.owner.encode() != key:
            self.claim(key.decode(), links.Link(source, at, at, OURS), mail.owner)
        if mail.cause != "link":
            lead.keep(merged=at)
            self._parting.answer(key.decode(), mail.source, key.decode(), at)
        for link in links.entries(other.links):
            if link.held and link.id != key:
                self.claim(key.decode(), link, mail.source)
                if links.find(lead.links, link.id) < 0:
                    self._crowded(key, lead)
            elif links.is_shared(link) or links.is_given_back(link):
                self.claim(key.decode(), link, mail.source)
        self._leads.keep(key, lead, lead.wake, published=True)
        if lead.stage != stage:
            score = behaviour(lead, self._rules, as_of)
            cause = f"{mail.source}, which had come further, is the same person"
            self._publisher.stage(key, lead, STAGES[stage], cause, score, None)
        self._leads.judge(key, lead, as_of)

    def _merge(self, key: bytes, found: Lead | Match | None, mail: Merge, at: int) -> None:
        id = key.decode()
        if mail.other == id or not isinstance(found, Lead):
            return  # it is itself, or nobody was ever seen under this id
        if links.order(mail.other) > links.order(id):
            self._publisher.mail(mail.other.encode(), Merge(other=id, at=mail.at, by=mail.by))
        else:
            self._move(key, found, mail.other, at, "merge", f"{mail.by}: it is the same person")


def _owners(moved: Moved, *leads: str) -> int:
    """Note who has owned or claimed an identifier; returns how many different leads that are so far."""
    for lead in leads:
        if not _has_owned(moved, lead) and len(moved.owners) <= MOST_OWNERS * _OWNER_MARK:
            moved.owners += lead[2 : 2 + _OWNER_MARK].encode()
    return len(moved.owners) // _OWNER_MARK


def _has_owned(moved: Moved, lead: str) -> bool:
    """True if the lead is among those noted, or more have been than are noted."""
    marks = [moved.owners[n : n + _OWNER_MARK] for n in range(0, len(moved.owners), _OWNER_MARK)]
    return lead[2 : 2 + _OWNER_MARK].encode() in marks or len(marks) > MOST_OWNERS
