"""Reasons in words: why a lead is worth a person's attention."""

from __future__ import annotations

from schemas.records import Reason
from streams.rules import Rules
from streams.score import strengths
from streams.state import Lead

MOST_REASONS = 3


def times_in_words(count: int) -> str:
    """Return once, twice, 3 times, …."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def top_reasons(lead: Lead, rules: Rules, at: int) -> tuple[Reason, ...]:
    """The rules that add most to a lead's score at a time (seconds), in words, strongest first."""
    return tuple(
        Reason(
            rule.reason.format(times=times_in_words(times), title=lead.titles.get(rule.code) or "something"),
            rule.id,
            millipoints,
        )
        for rule, millipoints, times in strengths(lead, rules, at)[:MOST_REASONS]
    )
