"""The stages of a lead, as one table of allowed moves."""

from __future__ import annotations

STAGES = ("visitor", "inquiry", "mql")
"""The stages by the number under which states keep them; numbers never change."""

MOVES: dict[str, tuple[str, ...]] = {
    "visitor": ("inquiry",),
    "inquiry": ("mql",),
    "mql": (),
}
"""stage → the stages that may follow it."""

VISITOR, INQUIRY, MQL = range(len(STAGES))


def next_stage(stage: int, has_asked: bool, qualifies: bool) -> int | None:
    """The stage that follows, or None if the lead stays where it is.

    `has_asked`: the lead can be answered or has asked for something; `qualifies`: its score and address make an MQL.
    """
    wanted = {"inquiry": has_asked, "mql": qualifies}
    return next((STAGES.index(to) for to in MOVES[STAGES[stage]] if wanted[to]), None)
