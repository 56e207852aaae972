"""The recorded inboxes folded again into a folder: what was said between two times, and the states at the end.

Each fold reads its inbox as it is on record, with the ticks and the mail of then, from its beginning: what a lead is
depends on all that was before.  Nothing is written to Kafka.
"""

from __future__ import annotations

from bisect import bisect_left
from operator import attrgetter
from pathlib import Path

from handraise.failure import CHECK_FAILED, Failure
from handraise.replay.batches import Stopped, batches
from handraise.replay.deployment import Plan, ends_of
from handraise.replay.inbox import Inbox
from handraise.replay.recorded import Recorded
from handraise.replay.verify import Work, skips
from handraise.replay.writing import Folder
from handraise.rules import RuleSet
from streams.compiled import compact_states, lead_fold

_timestamp = attrgetter("timestamp")


async def replay(topics: Recorded, loaded: RuleSet, since: int | None, until: int | None, folder: Folder) -> int:
    """Fold what was appended before `until`; say what follows from records appended from `since` on (both in ms).

    Returns how many records were folded.  Raises Failure where the beginning is not kept.
    """
    partitions, ends = await ends_of(topics, "the configured deployment")
    plan = Plan(loaded, partitions, ends, Path(), lead_fold)
    count = 0
    for fold in plan.folds:
        work = plan.work(fold)
        first, end = ends[work.inbox][work.partition]
        if first > 0:
            raise Failure(
                "retention has removed the beginning of an inbox, and what a lead is depends on all that was before",
                f"{work.inbox}, partition {work.partition}: it begins at offset {first}",
                "keep inboxes for longer (retention.ms), or replay a file of events",
                CHECK_FAILED,
            )
        count += await _fold(topics, work, end, since, until, folder)
    return count


async def _fold(topics: Recorded, work: Work, end: int, since: int | None, until: int | None, folder: Folder) -> int:
    states = compact_states()
    fold = work.factory(work.partition, states, await skips(topics, work))
    inbox = Inbox(topics.reader(work.inbox, work.partition, 0), lambda records: None)
    count, went_on = 0, True
    try:
        while went_on and (run := await inbox.take(end, work.most())):
            wanted = run if until is None else run[: bisect_left(run, until, key=_timestamp)]
            went_on = len(wanted) == len(run)
            told = 0 if since is None else bisect_left(wanted, since, key=_timestamp)
            for _ in batches(fold, wanted[:told]):
                pass
            for said in batches(fold, wanted[told:]):
                folder.say(work.fold, said)
            count += len(wanted)
    except Stopped as stopped:
        where = f"{work.inbox}, partition {work.partition}"
        raise Failure(str(stopped), where, "replay it by the release that wrote it", CHECK_FAILED) from None
    folder.remember(work.fold, states)
    return count
