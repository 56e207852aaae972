"""Suspected duplicates of leads, as `lead.duplicates` has them: of each pair and piece of evidence the last word."""

from __future__ import annotations

from collections.abc import Collection

from handraise.settings import Settings
from handraise.subscriber import subscribe
from schemas.records import LeadDuplicate

TOPIC = "lead.duplicates"


async def suspicions(settings: Settings, ids: Collection[str]) -> list[LeadDuplicate]:
    """What is thought, or was, of pairs in which one of these ids is, oldest first.  Raises Failure."""
    latest: dict[bytes | None, LeadDuplicate] = {}
    async with subscribe(settings, [TOPIC], beginning=True) as subscriber:
        for seen in await subscriber.rest():
            match seen.value:
                case LeadDuplicate(lead_id=one, other_id=other) as told if one in ids or other in ids:
                    latest[seen.raw.key] = told
    return sorted(latest.values(), key=lambda each: (each.at, each.evidence_id))


def open_ones(told: Collection[LeadDuplicate], ids: Collection[str]) -> list[LeadDuplicate]:
    """Those that still stand, and are not about two ids that have become one lead since."""
    return [each for each in told if each.status == "suspected" and not {each.lead_id, each.other_id} <= set(ids)]


def other_of(told: LeadDuplicate, ids: Collection[str]) -> str:
    """The id in a suspicion that is not one of the lead's own."""
    return told.other_id if told.lead_id in ids else told.lead_id
