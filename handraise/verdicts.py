"""What a wish about who is who has come to: for people and for machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from handraise import output, words
from handraise.lookup import Found
from handraise.person import name_of, present
from handraise.rewind import rewind
from handraise.wishes import Done
from schemas.records import LeadDuplicate
from streams.rules import Rules
from streams.score import behaviour


def _points(found: Found, rules: Rules) -> int:
    rules = found.rules or rules
    lead = rewind(found.lead, rules, at := present(found.lead))
    return behaviour(lead, rules, at)


def done_as_data(what: str, done: Done, rules: Rules) -> dict[str, Any]:
    """The JSON of `handraise lead merge` and `unmerge`."""

    def each(leads: Sequence[Found]) -> list[dict[str, Any]]:
        return [{"id": it.id, "behaviour": _points(it, rules) / 1_000, "events": it.lead.events} for it in leads]

    return {
        "done": what,
        "survivor": done.survivor,
        "other": done.other,
        "before": each(done.before),
        "after": each(done.after),
    }


def show_merged(done: Done, rules: Rules) -> None:
    """The same in words."""
    output.say(f"{done.other} is a part of {done.survivor} now", "good")
    _show(done, rules)
    output.say("Each event counts once, and limits and caps hold for all of them together.", "quiet")
    output.copyable(f"To undo it: handraise lead unmerge {done.other}", "quiet")


def show_unmerged(done: Done, rules: Rules) -> None:
    """The same in words."""
    output.say(f"{done.other} is a lead of its own again", "good")
    _show(done, rules)
    output.say("It has what it had when it was merged; what came after stays with the other lead.", "quiet")


def _show(done: Done, rules: Rules) -> None:
    columns = [("", "left"), ("lead", "left"), ("who", "left"), ("points", "right"), ("events", "right")]
    rows = []
    for title, leads in (("before", done.before), ("now", done.after)):
        for number, each in enumerate(leads):
            name = name_of(each)
            cells = (
                each.id,
                "" if name == each.id else name,
                words.points(_points(each, rules)),
                f"{each.lead.events:,}",
            )
            rows.append((Text(title if number == 0 else "", "quiet"), *cells))
    output.show(output.table(columns, rows))


def dismissed_as_data(told: Sequence[LeadDuplicate]) -> dict[str, Any]:
    """The JSON of `handraise lead not-the-same`."""
    return {
        "done": "dismissed",
        "suspicions": [
            {"evidence": each.evidence, "ids": [each.lead_id, each.other_id], "cause": each.cause} for each in told
        ],
    }


def show_dismissed(told: Sequence[LeadDuplicate]) -> None:
    """The same in words."""
    for each in told:
        output.say(f"{each.lead_id} and {each.other_id} are two persons", "good")
        output.say(f"  dismissed: {each.cause}", "quiet")
