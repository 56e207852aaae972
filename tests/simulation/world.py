"""Carries a plan out, and brings all to rest: zombies wake up, heirs take over, and everything is read to its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from unittest.mock import patch

from agents.lane.memory_log import MemoryRecord
from schemas.codec import decode, encode
from schemas.keys import partition_of
from schemas.records import Activity, Assignment, RaisedHand
from schemas.records import Tick as TickRecord
from tests.simulation.log import WAITING, SimulatedLog
from tests.simulation.plan import (
    Compact,
    Do,
    Enforce,
    Go,
    Kill,
    Own,
    Pass,
    Plan,
    Poison,
    Raise,
    Refuse,
    Say,
    Step,
    Tick,
)
from tests.simulation.processes import NEWEST, PARTITIONS, PATIENT, Build, Process, rule_set
from tests.streams.desk.harness import hand
from tests.streams.harness import MONDAY
from tests.streams.network import Act, Wish, engagement_of, key_of, value_of

LEAD_TOPICS = (
    "lead.state",
    "lead.transitions",
    "lead.alerts",
    "lead.duplicates",
    "engagement.quarantine",
    "engagement.rejected",
    "desk.waiting",
)
ASSIGNMENTS = "lead.assignments"
DESK_TOPICS = (ASSIGNMENTS, "desk.notices", "rules.published")
SOME_TURNS = 10
"""Of a loop: enough for a fetch and a transaction."""
MOST_ROUNDS = 400
FEW_DUE = 3
"""So many things may be done at one tick here, instead of 500: so that short stories meet the bound."""
DAY_MS = 86_400_000


@contextmanager
def arranged(build: Build) -> Iterator[None]:
    """Lower the bound of what one record does, in the folds and in what judges them; and exchange what a bug does."""
    few = {
        "streams.lead_fold.MOST_DUE": FEW_DUE,
        "streams.lead_fold.FULL": FEW_DUE,
        "streams.desk.fold.MOST_DUE": FEW_DUE,
        "tests.oracle.replay.PER_RECORD": FEW_DUE,
    }
    with ExitStack() as stack:
        for name, value in {**few, **build.patches}.items():
            stack.enter_context(patch(name, value))
        yield


def request_of(act: Act) -> str:
    """The id of the request that an act makes."""
    return act.id().hex()


class World:
    """A log, the processes on it, and what the gateways have answered for."""

    def __init__(self, build: Build) -> None:
        self.build = build
        self.log = SimulatedLog(MONDAY * 1000)
        for topic in (*LEAD_TOPICS, *DESK_TOPICS, "lead.events", "leads.changelog"):
            self.log.create(topic, PARTITIONS)
        for topic in ("desk.events", "desk.changelog"):
            self.log.create(topic, 1)
        self.processes: dict[str, Process] = {}
        self.gone: list[Process] = []
        self.answered: list[Say | Raise] = []
        """What the gateways have answered for."""
        self.poison: dict[tuple[str, int, int], bytes] = {}
        """Topic, partition and offset → what stands there and cannot be read."""
        self.restless = False
        """It did not become quiet."""
        self.killed = 0

    def carry_out(self, step: Step) -> None:
        """One step of a plan."""
        match step:
            case Go(process, turns):
                if process in self.processes:
                    self.processes[process].go(turns)
            case Say() | Raise():
                self._receive(step)
            case Tick(process, wrong_ms):
                self._tick(process, wrong_ms)
            case Own(process, partitions, release):
                self._own(process, partitions, release)
            case Kill(process):
                if process in self.processes:
                    self.gone.append(self.processes.pop(process))
                    self.killed += 1
            case Pass(ms):
                self.log.advance(ms)
            case Do(rep, kind, place):
                self._do(rep, kind, place)
            case Enforce(name):
                record = rule_set(name, is_patient=self.is_patient)
                self.log.produce("desk.events", 0, [(None, encode(record), [])])
            case Refuse(topic):
                self.log.refusals.append(topic)
            case Compact(topic, partition):
                self.log.compact(topic, partition)
            case Poison(topic, partition, is_tick):
                self._poison(topic, partition, is_tick)

    def rest(self) -> None:
        """Wake whoever stands still, let heirs take everything over, wake the others again, and once more."""
        self.log.refusals.clear()
        for ticks in (True, False):
            self._wake()
            self.log.advance(12_000)
            self._succeed(ticks)
        self._wake()

    def committed(self, topic: str, partition: int) -> list[MemoryRecord]:
        """What a subscriber reads."""
        return self.log.fetch(topic, partition, 0)[0]

    @property
    def is_patient(self) -> bool:
        """Whether nobody is forgotten here, and leads merge and contest each other's addresses."""
        return any(it.release in PATIENT for it in self.everyone())

    def happened(self) -> Counter[str]:
        """What there was to withstand, and what came of it."""
        causes = Counter(type(it.died_of.__cause__).__name__ for it in self.everyone() if it.died_of is not None)
        happened = Counter(killed=self.killed, fenced=causes["Fenced"], refused=causes["BatchRefused"])
        happened.update(aborted=self.log.aborted(), poison=len(self.poison), answered=len(self.answered))
        topics = (*LEAD_TOPICS, *DESK_TOPICS)
        happened.update({it: sum(len(self.committed(it, number)) for number in range(PARTITIONS)) for it in topics})
        return happened

    def everyone(self) -> list[Process]:
        """All processes that ever were."""
        return [*self.gone, *self.processes.values()]

    def bury(self) -> None:
        """End all processes' tasks."""
        for process in self.everyone():
            process.bury()

    def _wake(self) -> None:
        """Let everybody go on who was left standing, until nothing comes of it."""
        for process in self.processes.values():
            before = -1
            while self.log.appended != before and process.died_of is None:
                before = self.log.appended
                process.go(SOME_TURNS)

    def _succeed(self, ticks: bool) -> None:
        heirs = [Process(f"{role} heir", self.log, self.build, self._newest()) for role in ("leads", "desk")]
        self.gone += heirs
        heirs[0].wanted, heirs[1].wanted = tuple(range(PARTITIONS)), (0,)
        self._settle(heirs)
        if ticks:
            for heir in heirs:
                self._append_ticks(heir, 0)
            self._settle(heirs)

    def _newest(self) -> str:
        return PATIENT[-1] if self.is_patient else NEWEST

    def _settle(self, heirs: list[Process]) -> None:
        """Let the heirs run until they own all and nothing has happened for three rounds."""
        quiet = 0
        for _ in range(MOST_ROUNDS):
            before = self.log.appended
            for heir in heirs:
                heir.go(SOME_TURNS)
            self.log.advance(250)
            still = self.log.appended == before and all(len(heir.folding()) == len(heir.wanted) for heir in heirs)
            still &= not any(self.log.fetch(WAITING, n, at)[0] for n, at in enumerate(self.log.waited()))
            quiet = quiet + 1 if still else 0
            if quiet == 3:
                return
        self.restless = True

    def _own(self, name: str, partitions: tuple[int, ...], release: str) -> None:
        process = self.processes.get(name)
        if process is None or process.died_of is not None:
            if process is not None:
                self.gone.append(process)
            process = self.processes[name] = Process(name, self.log, self.build, release)
        process.wanted = partitions

    def _receive(self, step: Say | Raise) -> None:
        if isinstance(step.act, Wish):
            self.log.advance(max(0, step.act.at_s * 1000 - self.log.now_ms))
            key = key_of(step.act)
            self.log.produce("lead.events", partition_of(key, PARTITIONS), [(key, value_of(step.act), [])])
            return
        self.answered.append(step)
        if self.build.loses and len(self.answered) % self.build.loses == 0:
            return
        act = step.act
        self.log.advance(max(0, act.at_s * 1000 - self.log.now_ms))  # nothing comes before it has happened
        verdict = step.verdict if isinstance(step, Raise) else act.verdict
        value = encode(engagement_of(replace(act, verdict=verdict)))
        place = partition_of(key_of(act), PARTITIONS)
        if isinstance(step, Raise):
            raised = _hand(act, verdict, value, self.log.now_ms)
            self.log.produce("desk.events", 0, [(None, encode(raised), [])])
        if isinstance(step, Say) or self.build.tells_both:
            self.log.produce("lead.events", place, [(key_of(act), value, [])])

    def _do(self, rep: str, kind: str, place: int) -> None:
        seen = [decode(it.value or b"") for number in range(PARTITIONS) for it in self.committed(ASSIGNMENTS, number)]
        requests = list(dict.fromkeys(it.request_id for it in seen if isinstance(it, Assignment)))
        if not requests:
            return
        now, request = self.log.now_ms, requests[place % len(requests)]
        reason = {"decline": "no_time", "lost": "price"}.get(kind, "")
        value = encode(Activity(f"{rep}-{now}", request, None, rep, kind, reason, "", "", now, rep))
        self.log.produce("desk.events", 0, [(None, value, [])])

    def _tick(self, name: str, wrong_ms: int) -> None:
        process = self.processes.get(name)
        if process is not None and process.died_of is None:
            self._append_ticks(process, wrong_ms)

    def _append_ticks(self, process: Process, wrong_ms: int) -> None:
        value = encode(TickRecord(at=self.log.now_ms + wrong_ms))
        for partition in process.folding():
            self.log.produce(process.worker.config.names.inbox, partition, [(None, value, [])])

    def _poison(self, topic: str, partition: int, is_tick: bool) -> None:
        value = encode(TickRecord(at=self.log.now_ms + 2 * DAY_MS)) if is_tick else b"no record"
        offset = self.log.produce(topic, partition, [(None, value, [])]) - 1
        self.poison[topic, partition, offset] = value


def _hand(act: Act, verdict: str, engagement: bytes, now_ms: int) -> RaisedHand:
    ids = tuple(each for each in act.ids() if each[0] in "uea")
    return hand(
        0,
        request_id=request_of(act),
        lead_id=ids[0],
        identifiers=ids,
        at=now_ms,
        email=act.email or None,
        verdict=verdict,
        verdict_reasons=() if verdict == "human" else ("the hidden field is filled",),
        engagement=engagement,
    )


def carry_out(plan: Plan, build: Build) -> World:
    """A world after a plan, at rest.  Bury it when it is judged."""
    world = World(build)
    for step in plan:
        world.carry_out(step)
    world.rest()
    return world
