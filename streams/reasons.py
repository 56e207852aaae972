"""Reasons in words: why a lead is worth a person's attention."""

from __future__ import annotations

from schemas.records import Reason
from streams.rules import Rule, Rules
from streams.score import strengths
from streams.state import Lead

MOST_REASONS = 3


def times_in_words(count: int) -> str:
    """Return once, twice, 3 times, …."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def reason_in_words(rule: Rule, times: int, title: str | None) -> str:
    """What a lead did, for a person to read; `title` names what it touched last."""
    text = rule.reason if times == 1 else rule.reason_often
    return text.format(times=times_in_words(times), title=title or "something")


def keep_titles(lead: Lead, matched: tuple[Rule, ...], title: str) -> None:
    """Remember what the rules that a reason names have matched last."""
    titles = lead.titles
    new = {rule.code: title for rule in matched if rule.keeps_title and titles.get(rule.code) != title}
    if new:
        lead.keep(titles=titles | new)


def top_reasons(lead: Lead, rules: Rules, at: int) -> tuple[Reason, ...]:
    """The rules that add most to a lead's score at a time (seconds), in words, strongest first."""
    return tuple(
        Reason(reason_in_words(rule, times, lead.titles.get(rule.code)), rule.id, millipoints)
        for rule, millipoints, times in strengths(lead, rules, at)[:MOST_REASONS]
    )
