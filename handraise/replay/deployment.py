"""A whole deployment verified: every partition of both folds, in one process or several, and the mail between them."""

from __future__ import annotations

import asyncio
import multiprocessing
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from agents import desk, leads
from handraise import rules
from handraise.failure import Failure
from handraise.replay import letters
from handraise.replay.difference import Difference
from handraise.replay.fingerprint import combined
from handraise.replay.offline import PATIENT
from handraise.replay.recorded import Recorded, recorded
from handraise.replay.verify import BATCH, TOPICS, Ends, Verified, Work, verify
from handraise.rules import RuleSet
from handraise.settings import Settings
from streams.compiled import lead_fold
from streams.desk.fold import DeskFold
from streams.fold import PartitionFold, States
from streams.poison import Skips
from streams.publish import INBOX
from streams.rules import Rules

CHANGELOGS = (leads.CHANGELOG, desk.CHANGELOG)
MAIL = f"{INBOX} (mail)"
LeadFolds = Callable[[int, States, Rules, int, int, Skips], PartitionFold]


@dataclass
class Outcome:
    """What came of all."""

    partitions: list[Verified]
    compared: dict[str, int] = field(default_factory=dict)
    """Records that are what they should be, by topic."""
    gone: dict[str, int] = field(default_factory=dict)
    """Records that are not kept any more, by topic."""
    differences: list[Difference] = field(default_factory=list)
    unverified: dict[str, str] = field(default_factory=dict)
    """Of what nothing could be said, and why."""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Everything was compared, and all is equal."""
        return not self.differences and not self.unverified

    @property
    def records(self) -> int:
        """Of the inboxes."""
        return sum(each.records for each in self.partitions)

    @property
    def hash(self) -> str:
        """Over what all folds said and remember."""
        return combined({each.fold: each.hash for each in self.partitions})

    def as_data(self) -> dict[str, Any]:
        """For machines."""
        return {
            "ok": self.ok,
            "records": self.records,
            "seconds": round(self.seconds, 3),
            "hash": self.hash,
            "compared": dict(sorted(self.compared.items())),
            "not_kept": dict(sorted(self.gone.items())),
            "unverified": self.unverified,
            "differences": [each.as_data() for each in self.differences],
        }


class Plan:
    """How to verify each part of a deployment."""

    def __init__(self, loaded: RuleSet, partitions: int, ends: Ends, folder: Path, lead_folds: LeadFolds) -> None:
        self.folds = [f"{leads.ROLE}-{partition}" for partition in range(partitions)] + [f"{desk.ROLE}-0"]
        self._loaded, self._partitions, self._ends, self._folder = loaded, partitions, ends, folder
        self._lead_folds = lead_folds

    def work(self, fold: str, most: Callable[[], int] = lambda: BATCH) -> Work:
        """The verification of one fold's partition."""
        role, _, number = fold.rpartition("-")
        is_desk = role == desk.ROLE
        return Work(
            fold=fold,
            role=role,
            partition=int(number),
            inbox=desk.INBOX if is_desk else INBOX,
            changelog=desk.CHANGELOG if is_desk else leads.CHANGELOG,
            partitions=self._partitions,
            factory=self._desk if is_desk else self._leads,
            ends=self._ends,
            folder=self._folder,
            most=most,
        )

    def _leads(self, partition: int, states: States, skips: Skips) -> PartitionFold:
        return self._lead_folds(partition, states, self._loaded.rules, self._partitions, PATIENT, skips)

    def _desk(self, partition: int, states: States, skips: Skips) -> PartitionFold:
        return DeskFold(partition, states, self._loaded.desk, self._partitions, PATIENT, skips)


async def ends_of(topics: Recorded, where: str) -> tuple[int, Ends]:
    """How many partitions the inbox of leads has, and where all topics begin and end.  Raises Failure."""
    counts = {topic: await topics.identity(topic) for topic in (*TOPICS, *CHANGELOGS)}
    missing = [topic for topic, there in counts.items() if there is None]
    if missing:
        raise Failure(f"topics are missing: {', '.join(missing)}", where, "name the deployment by HANDRAISE_PREFIX")
    ends = {}
    for topic in TOPICS:
        there = counts[topic]
        ends[topic] = await topics.bounds(topic, range(there.partitions if there else 0))
    return len(ends[INBOX]), ends


async def verify_here(
    topics: Recorded,
    loaded: RuleSet,
    *,
    most: Callable[[], int] = lambda: BATCH,
    lead_folds: LeadFolds = lead_fold,
) -> Outcome:
    """Verify a deployment in this process, one part after the other.

    `most`: how many records to fold at once; `lead_folds`: makes the lead folds.
    """
    partitions, ends = await ends_of(topics, "the topics")
    with tempfile.TemporaryDirectory(prefix="handraise-replay-") as folder:
        plan = Plan(loaded, partitions, ends, Path(folder), lead_folds)
        done = [await verify(topics, plan.work(fold, most)) for fold in plan.folds]
        return await conclude(topics, done, ends, Path(folder))


def verify_on_kafka(settings: Settings, rules_folder: Path, processes: int) -> Outcome:
    """Verify the configured deployment, its parts divided among some processes.  Raises Failure."""
    partitions, ends = asyncio.run(_ends(settings))
    with tempfile.TemporaryDirectory(prefix="handraise-replay-") as name:
        folder = Path(name)
        plan = Plan(rules.load(rules_folder), partitions, ends, folder, lead_fold)
        parts = [(settings, rules_folder, partitions, ends, folder, fold) for fold in plan.folds]
        if processes == 1:
            done = [_part(*part) for part in parts]
        else:
            with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
                done = list(pool.map(_part, *zip(*parts, strict=True)))
        return asyncio.run(_conclude(settings, done, ends, folder))


def _part(settings: Settings, rules_folder: Path, partitions: int, ends: Ends, folder: Path, fold: str) -> Verified:
    plan = Plan(rules.load(rules_folder), partitions, ends, folder, lead_fold)

    async def run() -> Verified:
        async with recorded(settings) as topics:
            return await verify(topics, plan.work(fold))

    return asyncio.run(run())


async def _ends(settings: Settings) -> tuple[int, Ends]:
    async with recorded(settings) as topics:
        return await ends_of(topics, f"{settings.kafka}, prefix {settings.prefix!r}")


async def _conclude(settings: Settings, done: Sequence[Verified], ends: Ends, folder: Path) -> Outcome:
    async with recorded(settings) as topics:
        return await conclude(topics, done, ends, folder)


async def conclude(topics: Recorded, done: Sequence[Verified], ends: Ends, folder: Path) -> Outcome:
    """Compare the mail, and put all together.  Mail can be judged only where all who may have sent it were folded."""
    outcome = Outcome([replace(each) for each in done])
    for each in done:
        outcome.differences += each.differences
        for sums, more in ((outcome.compared, each.compared), (outcome.gone, each.gone)):
            for topic, count in more.items():
                sums[topic] = sums.get(topic, 0) + count
        if each.unverified:
            outcome.unverified[each.fold] = each.unverified
    if outcome.unverified:
        outcome.unverified[MAIL] = "not all who may have sent it could be folded"
        return outcome
    for partition, bounds in ends[INBOX].items():
        read_to = next(each.read_to for each in done if each.fold == f"{leads.ROLE}-{partition}")
        found = await letters.compare(
            topics, folder, [each.fold for each in done], partition, read_to=read_to, before=bounds.end
        )
        outcome.compared[MAIL] = outcome.compared.get(MAIL, 0) + found.compared
        if found.difference is not None:
            outcome.differences.append(found.difference)
    return outcome
