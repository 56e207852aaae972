"""The rules in force, for processes that fold nothing: read from rules.published at their start, and as they change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from handraise import rules
from handraise.failure import Failure
from handraise.promotion import TOPIC, known
from handraise.rules import FILES, RuleSet
from handraise.settings import Settings
from handraise.subscriber import subscribe
from schemas.records import PublishedRules
from schemas.wire import Undecodable
from streams.ruleset import PROMOTED, files_of

_AGAIN_S = 1.0
_POLL_MS = 500

log = structlog.get_logger("handraise")


async def follow(settings: Settings, obey: Callable[[RuleSet], None]) -> None:
    """Hand over the promoted set, and each one that is promoted later, until cancelled.

    A Kafka that is away is asked again; a set that this release cannot read is logged, and the one before stays.
    """
    while True:
        try:
            async with subscribe(settings, [TOPIC], beginning=True, wait_ms=_POLL_MS) as subscriber:
                while True:
                    for seen in await subscriber.next(_POLL_MS):
                        if seen.raw.key == PROMOTED.encode() and isinstance(seen.value, PublishedRules):
                            _hand_over(seen.value, obey)
        except Failure as failure:
            log.info("the promoted rules cannot be read yet", what=failure.what, where=failure.where)
        await asyncio.sleep(_AGAIN_S)


async def in_force(settings: Settings, given: RuleSet) -> RuleSet:
    """The promoted rules, or those given if none were, or this release cannot read them.  Raises Failure."""
    found = [given]
    there = await known(settings)
    if there.in_force is not None:
        _hand_over(there.in_force, found.append)
    return found[-1]


def _hand_over(published: PublishedRules, obey: Callable[[RuleSet], None]) -> None:
    try:
        texts = files_of(published)
        missing = [name for name in FILES if name not in texts]
        found, faults = (None, []) if missing else rules.check(Path(f"rules {published.version}"), texts)
        why = str(faults[0]) if faults else f"{', '.join(missing)} missing"
    except Undecodable as error:
        found, why = None, error.reason
    if found is None:
        log.error("this release cannot read the rules in force", rules=published.version, why=why)
        return
    log.info("promoted rules", in_force=published.version)
    obey(found)
