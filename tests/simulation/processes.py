"""Worker processes: the lane's own code, each in a loop of its own, with the rebalance of `agents.lane.store`.

What Kafka's consumer groups would promise about who owns a partition is not promised here: any process may believe so
at any time.  The guarantee rests on the fence alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import NamedTuple

from aiokafka import TopicPartition

from agents.desk import Place, Placed, Pump, desk_config
from agents.lane.config import LaneConfig
from agents.lane.errors import BatchRefused, Fenced, LaneFailed
from agents.lane.log import Log
from agents.lane.memory_log import MemoryLog, MemoryRecord
from agents.lane.simulated import SimulatedWorker
from agents.leads import leads_config
from agents.metrics import LaneMetrics
from handraise.zones import zone
from schemas.head import mail_name
from schemas.records import Promote
from streams.compiled import CompiledFold
from streams.desk import rules as desk_rules
from streams.desk.fold import DeskFold
from streams.desk.rules import DeskRules
from streams.fold import InboxRecord
from streams.lead_fold import LeadFold
from streams.poison import NewerMail
from streams.rules import Rules, load
from streams.ruleset import record_files, version_of
from tests.simulation.log import WAITING, SimulatedLog
from tests.simulation.loop import HandTurnedLoop
from tests.streams.desk.harness import SMALL as SMALL_DESK
from tests.streams.harness import MONDAY, SMALL
from tests.streams.rule_variants import VARIANTS

PARTITIONS = 2
MAX_BATCH = 6
"""Records that are folded while a transaction is on its way; few, so that feeders have to wait in short stories."""
FETCHED = 4
"""Records that a fetch brings."""
FENCED_MEANWHILE = "was fenced during the rebalance"
RELEASES = ("python, old words", "compiled, old words", "older, old words", "python, new words", "compiled, new words")
"""Builds, each under a rule set.  The older build knows less mail, and stops at what it does not know.

The new words give the same points as the old ones.
"""
OTHER_POINTS = "python, other points"
PATIENT = ("python, patient", "compiled, patient")
"""Rules under which nobody is forgotten within a story: the oracle of merges knows no end."""
NEWEST = RELEASES[-1]
SETS = (
    "as it was",
    "dearer",
    "cheaper",
    "hot sooner",
    "hot never",
    "qualified sooner",
    "other half-lives",
    "other caps",
)
"""Rule sets to be put in force.  None changes what events a rule matches: that the oracle of merges does not follow."""


def model_file(*, is_patient: bool) -> str:
    """The model of the tests; where many things are tried with leads, none is forgotten."""
    model = SMALL["model.toml"]
    return model.replace("anonymous_idle_days = 5", "anonymous_idle_days = 60") if is_patient else model


@cache
def rule_set(name: str, *, is_patient: bool) -> Promote:
    """A rule set as the record that puts it in force; the desk's part of some is another one, too."""
    files = {**SMALL_DESK, **dict(VARIANTS[name].files)}
    if is_patient:
        files["model.toml"] = files["model.toml"].replace("anonymous_idle_days = 5", "anonymous_idle_days = 60")
    if name.startswith("hot"):
        files["routing.toml"] = files["routing.toml"].replace(
            'after_minutes = 2, do = "remind"', 'after_minutes = 1, do = "offer"'
        )
    return Promote(version_of(files), record_files(files), MONDAY * 1000, "ana")


@cache
def lead_rules(release: str) -> Rules:
    """The rule set of a release."""
    model = model_file(is_patient=release in PATIENT)
    if release.endswith("new words"):
        model = model.replace('reason = "pages {times}"', 'reason = "saw {times}"')
    if release == OTHER_POINTS:
        model = model.replace("points = 13", "points = 31")
    return load({**SMALL, "model.toml": model})


@cache
def metrics(role: str) -> LaneMetrics:
    """What all processes of a role count in; nobody reads it."""
    return LaneMetrics(role)


@cache
def rules_of_desk() -> DeskRules:
    """The desk's rules: four people of one pool."""
    return desk_rules.load(SMALL_DESK, zone)


class OlderFold(LeadFold):
    """A build of the time before leads could absorb each other, and rules could be promoted."""

    def _mail(self, record: InboxRecord, value: bytes) -> None:
        if mail_name(value) in ("Absorb", "Promote"):
            raise NewerMail("mail of a newer release")
        super()._mail(record, value)


@dataclass(frozen=True)
class Build:
    """What processes are built of; a planted bug is a build with one part exchanged."""

    lane_log: Callable[[SimulatedLog, str], Log] = lambda log, process: log
    """What the lane writes to, and recovers from; told the name of the process."""
    fetched_from: Callable[[SimulatedLog], MemoryLog] = lambda log: log
    """What the inbox is fetched from."""
    folds: Mapping[str, type[LeadFold]] = field(
        default_factory=lambda: {"python": LeadFold, "compiled": CompiledFold, "older": OlderFold}
    )
    desk_fold: type[DeskFold] = DeskFold
    pump: type[Pump] = Pump
    loses: int = 0
    """The gateway answers, and forgets every so many-th event."""
    tells_both: bool = False
    """The gateway writes the event of a raised hand to both inboxes."""
    patches: Mapping[str, object] = field(default_factory=dict)
    """Names of the core that stand for something else as long as the run lasts."""

    def lead_fold(self, release: str, partition: int, states: dict[bytes, bytes]) -> LeadFold:
        """The lead fold of a release."""
        fold = self.folds[release.split(",")[0]]
        return fold(partition, states, lead_rules(release), PARTITIONS)

    def fold_of_desk(self, states: dict[bytes, bytes]) -> DeskFold:
        """The desk fold."""
        return self.desk_fold(0, states, rules_of_desk(), PARTITIONS)


class Process:
    """A worker process.  It does nothing but in its turns, and nobody hears from it after its death."""

    def __init__(self, name: str, log: SimulatedLog, build: Build, release: str) -> None:
        self.name, self.log, self.build, self.release = name, log, build, release
        self.wanted: tuple[int, ...] = ()
        """The partitions that it is told to own."""
        self.died_of: BaseException | None = None
        self._loop = HandTurnedLoop(lambda: log.now_ms / 1000)
        is_desk = name.startswith("desk")
        self._place = Place()
        self._pump = build.pump("memory", "", PARTITIONS, self._place) if is_desk else None
        config = self._desk_config() if is_desk else self._leads_config()
        self.worker = SimulatedWorker(
            replace(config, max_batch=MAX_BATCH),
            build.fetched_from(log),  # type: ignore[arg-type]
            lane_log=build.lane_log(log, name),
            run_records=FETCHED,
            metrics=metrics(config.role),
        )
        self._tasks = [self._loop.create_task(self._live())]
        if self._pump is not None:
            self._tasks.append(self._loop.create_task(self._carry(self._pump)))

    def _leads_config(self) -> LaneConfig:
        config = leads_config(bootstrap="memory", partitions=PARTITIONS, rules=lead_rules(self.release))
        return replace(config, fold_factory=lambda *given: self.build.lead_fold(self.release, *given))

    def _desk_config(self) -> LaneConfig:
        config = desk_config(bootstrap="memory", partitions=PARTITIONS, rules=rules_of_desk())
        build, place = self.build, self._place
        return replace(config, fold_factory=lambda _, states: Placed(build.fold_of_desk(states), place))

    def go(self, turns: int) -> None:
        """Let it run for some turns of its loop, if it lives."""
        self.log.acting = self.release
        for _ in range(turns):
            if self.died_of is not None:
                return
            self._loop.turn()
            for task in self._tasks:
                if task.done():
                    self.died_of = task.exception()

    def folding(self) -> list[int]:
        """The partitions that it believes to own, and that move."""
        return [number for number, slot in self.worker.lane.slots.items() if not slot.lost and slot.paused is None]

    @property
    def was_to_die(self) -> bool:
        """Whether it lives, or died of what ends a process: somebody else's fence, or a batch that was refused."""
        died_of = self.died_of
        if died_of is None or str(died_of).endswith(FENCED_MEANWHILE):
            return True
        return isinstance(died_of, LaneFailed) and isinstance(died_of.__cause__, Fenced | BatchRefused)

    @property
    def complaints(self) -> list[str]:
        """What went wrong in its loop, and nobody caught."""
        return [f"{it.get('message')} {it.get('exception')!r}" for it in self._loop.complaints]

    def bury(self) -> None:
        """End its tasks, after everything was judged."""
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        for _ in range(20):
            if all(task.done() for task in tasks):
                return
            self._loop.turn()

    async def _live(self) -> None:
        while True:
            if set(self.wanted) != set(self.worker.lane.slots):
                await self._rebalance()
            await self.worker.step()

    async def _rebalance(self) -> None:
        """Own exactly the wanted partitions; a slot that is kept goes on, unless somebody else has written."""
        worker, lane, wanted = self.worker, self.worker.lane, self.wanted
        worker.changing_hands = True
        changelog = worker.config.names.changelog
        await worker.give_up(
            [
                number
                for number, slot in lane.slots.items()
                if number not in wanted or slot.lost or self.log.end(changelog, number) > slot.changelog_end
            ]
        )
        if new := [number for number in wanted if number not in lane.slots]:
            await worker.take_over(new)
        worker.changing_hands = False
        for number, slot in lane.slots.items():
            if slot.lost:
                raise LaneFailed(f"partition {number} {FENCED_MEANWHILE}")

    async def _carry(self, pump: Pump) -> None:
        while True:
            if self.folding():
                await pump.carry(_Waiting(self.log), _Inbox(self.log), self.folding)
            await asyncio.sleep(0)


class _Waiting:
    """A read_committed consumer of desk.waiting that keeps its positions in a group."""

    def __init__(self, log: SimulatedLog) -> None:
        self._log = log
        self._positions = {number: log.positions.get((WAITING, number), 0) for number in range(PARTITIONS)}

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[MemoryRecord]]:
        """What there is now."""
        await asyncio.sleep(0)
        found: dict[TopicPartition, list[MemoryRecord]] = {}
        for number, position in self._positions.items():
            records, self._positions[number] = self._log.fetch(WAITING, number, position, max_records)
            if records:
                found[TopicPartition(WAITING, number)] = records
        return found

    async def commit(self) -> None:
        """Keep the positions."""
        await _request()
        self._log.positions.update({(WAITING, number): at for number, at in self._positions.items()})


class _Acknowledged(NamedTuple):
    offset: int


class _Inbox:
    """An idempotent producer."""

    def __init__(self, log: SimulatedLog) -> None:
        self._log = log

    async def send(self, topic: str, value: bytes, partition: int) -> asyncio.Future[_Acknowledged]:
        """Append; what it returns is the acknowledgement, which comes a turn later."""
        await _request()
        offset = self._log.produce(topic, partition, [(None, value, [])]) - 1
        loop = asyncio.get_running_loop()
        acknowledged = loop.create_future()
        loop.call_soon(_resolve, acknowledged, _Acknowledged(offset))
        return acknowledged


async def _request() -> None:
    """What a broker has to do takes some turns, in each of which the process can be killed or stopped."""
    for _ in range(3):
        await asyncio.sleep(0)


def _resolve(acknowledged: asyncio.Future[_Acknowledged], with_what: _Acknowledged) -> None:
    if not acknowledged.done():
        acknowledged.set_result(with_what)
