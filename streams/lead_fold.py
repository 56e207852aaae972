"""The lead fold: engagements and ticks in; states, transitions, alerts and filtered events out.

Guarantee: what a partition publishes is a function of its inbox records, their order, and the rules; how records
were cut into batches decides only how often `lead.state` is published.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import cast

from schemas.codec import Undecodable, decode
from schemas.fields import engagement_fields
from schemas.head import ENGAGEMENTS, engagement_head, is_unknown_mail, mail_name, record_name, tick_at
from schemas.records import Mail, Promote
from schemas.wire import PREFIX_SIZE
from streams import poison, state
from streams.agenda import Agenda
from streams.conditions import fitting
from streams.contact import MOST_CHARACTERS, first_known, learn, verify
from streams.fold import InboxRecord, Sealed, States
from streams.forwarding import MOST_OWNERS, MOVED_IDLE_S, Forwarding
from streams.judging import Judge
from streams.ledger import add, holds, new_lead, rebuild
from streams.links import ID
from streams.news import News, read_news
from streams.poison import LAST_MS, MOST_BYTES, NONE, NewerMail, PoisonGauge, Skips
from streams.publish import INBOX, Publisher
from streams.reasons import keep_titles
from streams.rules import DAY_S, Rules
from streams.ruleset import RULES, lead_rules, remembered
from streams.score import behaviour, earliest_below
from streams.state import Lead, Match, Moved, State

CLOCK = b"\x00clock"
"""The key under which a partition remembers the largest tick it has seen."""
RESERVED = frozenset({CLOCK, RULES})
"""Keys that are no lead's."""
MOST_DUE = 500
"""Leads that cool or expire by one record."""
MOST_LOOKED_AT = 10 * MOST_DUE
"""What one record looks at: most leads are looked at because something may be due, and then nothing is."""
FULL = MOST_LOOKED_AT
"""A batch that has looked at so many takes no more: neither a transaction nor the loop's wait for it may be endless."""
SILENT = -1
"""In place of an offset: the state changed in nothing that is published."""
MOST_TITLE = 60
_DAY_MS = DAY_S * 1_000
_NO_NEWS = News()


class LeadFold:
    """The lead fold over one partition; implements streams.fold.PartitionFold."""

    def __init__(
        self, partition: int, states: States, rules: Rules, partitions: int, accept_poison: int = 0, skip: Skips = NONE
    ) -> None:
        self._partition, self._partitions, self._states, self._rules = partition, partitions, states, rules
        self._gauge, self._skip = PoisonGauge(accept_poison), skip
        self._looked_at = 0  # leads, by the open batch, because something may be due
        self._open: dict[bytes, State | None] = {}
        self._touched: dict[bytes, int] = {}
        self._promoted: bytes | None = None  # the record by which the open batch has got other rules
        self._publisher = Publisher(partition, partitions, rules)
        self._now = self._sealed_now = int.from_bytes(states.get(CLOCK, b""), "big")
        self._agenda = Agenda(self._due_of)
        in_force, self._paused = remembered(states, rules)
        self._obey(in_force)
        self._plan()

    def _plan(self) -> None:
        for key in chain(self._unplanned(), self._open):
            if key not in RESERVED and (due := self._due_of(key)):
                self._agenda.add(due, key)

    def _unplanned(self) -> Iterable[bytes]:
        """Keys that are not on the agenda yet, though a tick may have to look at them."""
        return self._states

    # -- the contract with the lane

    def apply(self, records: Sequence[InboxRecord]) -> int:
        """Fold records into the open batch; returns how many were consumed (see PartitionFold)."""
        if self._paused is not None:
            return 0
        apply, publisher, skip, consumed, good = self._apply, self._publisher, self._skip, 0, 0
        for record in records:
            if self._looked_at >= FULL:
                break
            publisher.offset, publisher.count, publisher.value = record.offset, 0, record.value or b""
            try:
                poison.skipped(record, skip)
                apply(record)
            except NewerMail as newer:
                self._paused = str(newer)
                break
            except Undecodable as error:
                self._gauge.good(good)
                good = 0
                if not self._reject(record, error.code, error.reason):
                    break
            except Exception as error:
                raise poison.unfoldable("leads", INBOX, self._partition, record, error) from error
            else:
                good += 1
            consumed += 1
        self._gauge.good(good)
        return consumed

    def seal(self) -> Sealed:
        """Close the open batch: states encoded, `lead.state` published once for each lead that changed."""
        self._publish()
        changes: dict[bytes, bytes | None] = {}
        states, opened = self._states, self._open
        for key in self._touched:
            lead = opened[key]
            if lead is None:
                changes[key] = None
                states.pop(key, None)
            else:
                changes[key] = states[key] = state.encode(lead)
        opened.clear()
        return self._sealed(changes)

    def _publish(self) -> None:
        """Say how the leads that changed are now."""
        for key, offset in self._touched.items():
            if offset >= 0:
                lead = self._open[key]
                if isinstance(lead, Lead):
                    self._publisher.state(key, lead, offset)
                else:
                    self._publisher.gone(key, self._now, offset)

    def _sealed(self, changes: dict[bytes, bytes | None]) -> Sealed:
        """The batch, with what the partition as a whole remembers of it; the next one is open."""
        if self._now != self._sealed_now:
            changes[CLOCK] = self._states[CLOCK] = self._now.to_bytes(8, "big")
            self._sealed_now = self._now
        if self._promoted is not None:
            changes[RULES] = self._states[RULES] = self._promoted
            self._promoted = None
        self._touched.clear()
        self._looked_at = 0
        return Sealed(changes, self._publisher.take())

    def ready(self) -> str | None:
        """Why the partition is paused, or None."""
        return self._paused

    # -- one record

    def _apply(self, record: InboxRecord) -> None:
        value = record.value or b""
        if len(value) > MOST_BYTES:
            raise Undecodable("too_large", f"the record has {len(value)} bytes; {MOST_BYTES} are taken")
        if value[:PREFIX_SIZE] in ENGAGEMENTS:
            self._engagement(record, value)
        elif mail_name(value) is not None:
            self._mail(record, value)
        else:
            self._tick(record, value)
        # Last, so that a record which stays unread has caused nothing.
        if self._agenda.next_due <= self._now:
            self._fire(record.offset)

    def _tick(self, record: InboxRecord, value: bytes) -> None:
        if is_unknown_mail(value):
            raise poison.newer(INBOX, self._partition, record)
        if (name := record_name(value)) != "Tick":
            raise Undecodable(
                "not_an_inbox_record" if name else "undecodable",
                f"{INBOX} takes Engagement, Tick and mail; this is {name or 'none of the known records'}",
            )
        at_ms = tick_at(value)
        if at_ms > min(record.timestamp + _DAY_MS, LAST_MS):
            raise Undecodable("from_the_future", f"the tick says {at_ms}, over 24 h after it was appended")
        self._now = max(self._now, at_ms // 1_000)

    def _mail(self, record: InboxRecord, value: bytes) -> None:
        mail = cast("Mail", decode(value))
        if not 0 <= mail.at <= min(record.timestamp + _DAY_MS, LAST_MS):
            raise Undecodable("from_the_future", f"the mail says {mail.at}, over 24 h after it was appended")
        if isinstance(mail, Promote):
            self._promote(record, mail, value)
        elif self._is_own(key := record.key or b"", value):
            self._forwarding.receive(key, mail, value)

    @property
    def rules(self) -> Rules:
        """The rules in force: those that were promoted last, or those that were given."""
        return self._rules

    def _promote(self, record: InboxRecord, mail: Promote, value: bytes) -> None:
        """Judge by another rule set from here on.  What has changed so far is published as the former rules have it."""
        rules = lead_rules(mail, f"{INBOX}, partition {self._partition}, offset {record.offset}")
        self._publish()
        self._touched.update(dict.fromkeys(self._touched, SILENT))
        former, self._promoted = self._rules, value
        self._obey(rules)
        if rules.number != former.number:
            self._plan()

    def _obey(self, rules: Rules) -> None:
        self._rules = rules
        self._publisher.obey(rules)
        self._forwarding = Forwarding(self, self._publisher, rules)
        self._judge = Judge(rules, self._publisher, self._wake)

    def _is_own(self, key: bytes, value: bytes) -> bool:
        """True for an id of this partition; a record under one of another partition is forwarded."""
        if not ID.fullmatch(key.decode("latin-1")):
            raise Undecodable("bad_key", f"the key of {len(key)} bytes is no lead id")
        if self._publisher.partition_of(key, self._partitions) == self._partition:
            return True
        self._publisher.forward(key, value)
        return False

    def _engagement(self, record: InboxRecord, value: bytes) -> None:
        event_id, occurred_at, kind, asset, title, verdict, email, identifiers = engagement_head(value)
        if not 0 <= occurred_at <= record.timestamp + _DAY_MS or occurred_at > LAST_MS:
            raise Undecodable(
                "from_the_future" if occurred_at > 0 else "before_1970",
                f"occurred_at {occurred_at} does not lie between 1970 and 24 h after the record was appended",
            )
        if email is not None and len(email) > MOST_CHARACTERS:
            raise Undecodable("too_long", f"the e-mail has {len(email)} characters; {MOST_CHARACTERS} are taken")
        key = record.key or b""
        found = self._open.get(key) or self.state(key)
        lead = found if isinstance(found, Lead) else None
        if lead is None:
            if isinstance(found, Moved):
                return self._moved(key, found, value, event_id, occurred_at)
            if not self._is_own(key, value):
                return None
        if verdict != "human":
            (reasons,) = engagement_fields(value, "verdict_reasons")
            return self._publisher.quarantine(key, value, event_id, verdict, reasons, occurred_at)
        if lead is not None and event_id in lead.ids and holds(lead.ids, event_id):
            reasons = ("the lead already has this event",)
            return self._publisher.quarantine(key, value, event_id, "duplicate", reasons, occurred_at)

        rules, at, renewed = self._rules, occurred_at // 1_000, False
        matched = rules.matching(kind, asset)
        for rule in matched:
            if rule.conditions:
                matched = fitting(matched, value)
                break
        news = _NO_NEWS
        if (identifiers and identifiers != (key,)) or kind == "alias":
            news = read_news(key, lead, identifiers, kind, value)
        if lead is None:
            as_of = max(at, self._now)
            known = first_known(key, value, email, at)
            lead = self._open[key] = new_lead(at, as_of, known, rules)
            if isinstance(found, Match):
                self._forwarding.duplicates.introduce(key.decode(), lead, found, at)
        else:
            as_of = lead.as_of = max(at, self._now, lead.as_of)
            renewed = self._judge.renew(key, lead, as_of)
            # Where nothing is left, whatever it had is another one's again.
            lead.first_seen = min(at, lead.first_seen) if lead.events else at
            lead.last_seen = max(at, lead.last_seen) if lead.events else at
        lead.events += 1
        origin = 0 if news is _NO_NEWS else self._forwarding.meet(key, lead, news, at)
        fell = add(lead, at, event_id, kind == "page_view", matched, asset, rules, origin)
        for rule in matched:
            if rule.keeps_title:
                keep_titles(lead, matched, (title or asset)[:MOST_TITLE])
                break
        if email is not None:
            if email != lead.email:
                learn(lead, "e", email, at)
                lead.email = email
            if kind == "email_click":
                verify(lead, email, at)
        self._touched[key] = record.offset
        self._judge.judge(key, lead, kind, event_id, as_of, fell or renewed)
        return None

    def _moved(self, key: bytes, moved: Moved, value: bytes, event_id: bytes, occurred_at: int) -> None:
        """An event under an identifier that another lead owns, or nobody."""
        if to := moved.owner_at(occurred_at // 1_000):
            self._forwarding.used(key, moved, max(occurred_at // 1_000, self._now))
            self._publisher.forward(to.encode(), value)
        else:
            reasons = (f"over {MOST_OWNERS} leads have owned this device: whose event it is cannot be told",)
            self._publisher.quarantine(key, value, event_id, "suspect", reasons, occurred_at)

    # -- what identities ask of the fold (streams.forwarding.Leads)

    @property
    def now(self) -> int:
        """The largest tick so far, in seconds."""
        return self._now

    def state(self, key: bytes) -> State | None:
        """The state under a key, decoded once a batch."""
        try:
            return self._open[key]
        except KeyError:
            value = self._states.get(key)
            if value is None or key in RESERVED:
                return None
            lead = self._open[key] = state.decode(value)
            return lead

    def keep(self, key: bytes, state: State, wake: int, published: bool) -> None:
        """Remember a state; `wake`: when a tick is to look at it; `published`: the public is to hear of it."""
        self._open[key] = state
        if published:
            self._touched[key] = self._publisher.offset
        else:
            self._touched.setdefault(key, SILENT)
        if wake and wake != state.wake:
            self._wake(key, state, wake)

    def judge(self, key: bytes, lead: Lead, as_of: int) -> None:
        """Stage and heat after a lead has become more, or less, by what another one told it."""
        self._judge.judge(key, lead, "", None, as_of, True)

    def renew(self, key: bytes, lead: Lead, as_of: int) -> None:
        """Bring a lead under the present rules, before another one's news change it."""
        self._judge.renew(key, lead, as_of)

    # -- what is due

    def _fire(self, offset: int) -> None:
        fired = 0
        for _ in range(MOST_LOOKED_AT):
            if fired == MOST_DUE or (key := self._agenda.pop(self._now)) is None:
                return
            self._looked_at += 1
            found = self.state(key)
            if isinstance(found, Lead):
                fired += self._due(key, found, offset)
            elif found is not None:
                self._unused(key, found)

    def _due(self, key: bytes, lead: Lead, offset: int) -> bool:
        """True if the lead cools or expires."""
        now, rules, hot = self._now, self._rules, lead.hot_since
        self._touched.setdefault(key, SILENT)
        if lead.model != rules.number:
            rebuild(lead, rules)
            if hot:
                self._wake(key, lead, earliest_below(lead, rules, rules.cool_below, lead.as_of))
                return False
        if hot:
            if lead.wake <= lead.as_of or behaviour(lead, rules, lead.wake) >= rules.cool_below:  # others are first
                self._wake(key, lead, earliest_below(lead, rules, rules.cool_below, max(lead.wake, lead.as_of)))
                return False
            score = behaviour(lead, rules, now)
            if score >= rules.cool_below:
                self._wake(key, lead, earliest_below(lead, rules, rules.cool_below, now))
                return False
            lead.hot_since, lead.as_of = 0, now
            self._touched[key] = offset
            self._publisher.heat(key, lead, now, score, None)
        if not key.startswith(b"a_"):
            lead.wake = 0
        elif (idle_at := lead.as_of + rules.anonymous_idle_s) > (now if hot else lead.wake):
            self._wake(key, lead, idle_at)
        else:
            self._open[key] = None
            self._touched[key] = offset
            return True
        return bool(hot)

    def _unused(self, key: bytes, found: Moved | Match) -> None:
        """Forget an address or a match that nothing has used for long; what somebody merged stays merged."""
        self._touched.setdefault(key, SILENT)
        if (idle_at := found.used + MOVED_IDLE_S) > self._now:
            self._wake(key, found, idle_at)
        elif isinstance(found, Moved) and found.undo is not None:
            found.undo.expire()
            found.wake = 0
        else:
            self._open[key] = None

    def _wake(self, key: bytes, state: State, due: int) -> None:
        state.wake = due
        self._agenda.add(due, key)

    def _due_of(self, key: bytes) -> int:
        """When a tick is to look at this key; a lead that is only asked for this is not kept decoded."""
        value = self._states.get(key)
        lead = self._open[key] if key in self._open else value and state.decode(value)
        return self._judge.due(key, lead) if lead else 0

    def _reject(self, record: InboxRecord, code: str, reason: str) -> bool:
        """Dead-letter a record; False if it is part of a flood and must stay unread."""
        if not self._gauge.poison():
            self._paused = poison.flood("leads", poison.place(INBOX, self._partition, record), code, reason)
            return False
        self._publisher.reject(poison.dead_letter(INBOX, self._partition, record, code, reason, poison.MEND))
        return True
