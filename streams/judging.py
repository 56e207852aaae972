"""What a lead is after something happened to it: its stage, its heat, and when a tick is to look at it."""

from __future__ import annotations

from collections.abc import Callable

from streams.contact import reachable
from streams.ledger import rebuild
from streams.lifecycle import INQUIRY, MQL, VISITOR, next_stage
from streams.publish import Publisher
from streams.rules import Rules
from streams.score import behaviour, behaviour_and_ceiling, earliest_below
from streams.state import Lead, State

OVERDUE = 1
"""A time before all others that are due (seconds)."""
Wake = Callable[[bytes, State, int], None]
"""Have a tick look at the state under a key at a time (seconds)."""


class Judge:
    """Judges the leads of one partition under one set of rules."""

    def __init__(self, rules: Rules, publisher: Publisher, wake: Wake) -> None:
        self._rules, self._publisher, self._wake = rules, publisher, wake

    def renew(self, key: bytes, lead: Lead, as_of: int) -> bool:
        """Bring a lead under the present rules, before anything else happens to it; False if it is under them.

        What it crosses by that alone is a change of heat, and nothing that anybody is alerted to.
        """
        rules = self._rules
        if lead.model == rules.number:
            return False
        rebuild(lead, rules)
        if not lead.hot_since:
            if key.startswith(b"a_") and lead.wake > (idle_at := as_of + rules.anonymous_idle_s):
                self._wake(key, lead, idle_at)
            if reachable(lead) and (score := behaviour(lead, rules, as_of)) >= rules.hot_at:
                lead.hot_since = as_of
                self._publisher.heat(key, lead, as_of, score, None, by_rules=True)
        return True

    def due(self, key: bytes, state: State) -> int:
        """When a tick is to look at what is under a key; 0 for never.

        A hot lead that was never looked at under these rules may have cooled by them.
        """
        if isinstance(state, Lead) and state.wake and state.model != self._rules.number:
            if state.hot_since:
                return OVERDUE
            return min(state.wake, state.as_of + self._rules.anonymous_idle_s)  # only anonymous ones have one then
        return state.wake

    def judge(self, key: bytes, lead: Lead, kind: str, event_id: bytes | None, as_of: int, fell: bool) -> None:
        """Stage and heat after an accepted event, and when a tick is to look next."""
        rules = self._rules
        cause_event = None if event_id is None else event_id.hex()
        if lead.stage == VISITOR and (lead.email is not None or key[:1] != b"a" or kind in rules.inquiry_kinds):
            self._inquire(key, lead, kind, cause_event, as_of)
        # The ceiling saves most leads the price of a score: below every mark nothing can happen.
        if lead.ceiling >= rules.lowest_mark and (lead.stage == INQUIRY or not lead.hot_since):
            score, lead.ceiling = behaviour_and_ceiling(lead, rules, as_of)
            if (
                lead.stage == INQUIRY
                and next_stage(INQUIRY, True, score >= rules.mql_at and lead.email is not None) == MQL
            ):
                lead.stage, lead.stage_since = MQL, as_of
                cause = f"the score reached {rules.mql_at // 1_000} with an e-mail address known"
                self._publisher.qualified(key, lead, cause, score, cause_event)
            if not lead.hot_since and score >= rules.hot_at and reachable(lead):
                lead.hot_since, fell = as_of, True
                publisher = self._publisher
                publisher.heat(key, lead, as_of, score, cause_event)
                alerted_at = lead.opened().alerted_at
                if not alerted_at or as_of - alerted_at >= rules.cooldown_s:
                    lead.keep(alerted_at=as_of)
                    publisher.hot_lead(key, lead, score, cause_event)
        if lead.hot_since:
            if fell or not lead.wake:
                self._wake(key, lead, earliest_below(lead, rules, rules.cool_below, as_of))
        elif not lead.wake and key.startswith(b"a_"):
            self._wake(key, lead, as_of + rules.anonymous_idle_s)

    def _inquire(self, key: bytes, lead: Lead, kind: str, cause_event: str | None, as_of: int) -> None:
        """A visitor that can be answered, or has asked for something, becomes an inquiry."""
        can_be_answered = key[:1] != b"a" or lead.email is not None
        if next_stage(VISITOR, can_be_answered or kind in self._rules.inquiry_kinds, False) == INQUIRY:
            lead.stage, lead.stage_since = INQUIRY, as_of
            score = behaviour(lead, self._rules, as_of)
            self._publisher.inquiry(key, as_of, "" if can_be_answered else kind, score, cause_event)
