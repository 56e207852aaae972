"""What can happen, and random plans of it.  A plan holds all chance there is: carried out again, it is the same run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from tests.oracle.naive import DAY_S
from tests.simulation.processes import OTHER_POINTS, PARTITIONS, PATIENT, RELEASES, SETS
from tests.streams.harness import MONDAY
from tests.streams.network import Act, Wish
from tests.streams.people import story

LEADS = ("leads 0", "leads 1", "leads 2")
DESKS = ("desk 0", "desk 1")
REFUSING = ("lead.state", "lead.transitions", "lead.events", "leads.changelog", "lead.assignments", "desk.changelog")
CHANGELOGS = (*(("leads.changelog", number) for number in range(PARTITIONS)), ("desk.changelog", 0))
INBOXES = (*(("lead.events", number) for number in range(PARTITIONS)), ("desk.events", 0))
REPS = ("ana", "ben", "ceyda")
KINDS = ("accept", "attempted", "contacted", "contacted", "decline", "won", "lost", "spam", "release", "reopen")
VERDICTS = (*["human"] * 9, "suspect")
FAULTS = ("own", "kill", "ambush", "hunt", "refuse", "compact", "poison", "pass")
MINUTE_MS = 60_000


@dataclass(frozen=True)
class Say:
    """The gateway has answered for an event, and appends it; again, if the tracker got no answer and tried again."""

    act: Act | Wish
    """An event, or that somebody wants two leads to be one."""


@dataclass(frozen=True)
class Raise:
    """The gateway has answered for a raised hand, and appends it; again, if somebody tried again."""

    act: Act
    verdict: str = "human"


@dataclass(frozen=True)
class Do:
    """A person of the roster does something about one of the requests that they see."""

    rep: str
    kind: str
    place: int
    """Among all requests that were ever assigned, counted round."""


@dataclass(frozen=True)
class Enforce:
    """Somebody puts one of the rule sets in force (`tests.simulation.processes.SETS`)."""

    rules: str


@dataclass(frozen=True)
class Poison:
    """Something that cannot be read gets into an inbox."""

    topic: str
    partition: int
    is_tick: bool = False
    """A tick of the day after tomorrow; else bytes of no meaning."""


@dataclass(frozen=True)
class Own:
    """A process is told that these partitions are its own, whatever others believe; it is started if need be."""

    process: str
    partitions: tuple[int, ...]
    release: str


@dataclass(frozen=True)
class Go:
    """A process goes on for some turns of its loop; without this it stands still."""

    process: str
    turns: int


@dataclass(frozen=True)
class Kill:
    """A process is gone, wherever it was; its transaction stays open."""

    process: str


@dataclass(frozen=True)
class Pass:
    """Time passes."""

    ms: int


@dataclass(frozen=True)
class Tick:
    """A process appends a tick to all that it believes to own; its clock may be wrong."""

    process: str
    wrong_ms: int


@dataclass(frozen=True)
class Refuse:
    """The next batch of a transaction for that topic is refused."""

    topic: str


@dataclass(frozen=True)
class Compact:
    """A changelog is compacted."""

    topic: str
    partition: int


Step = Say | Raise | Do | Enforce | Poison | Own | Go | Kill | Pass | Tick | Refuse | Compact
Plan = Sequence[Step]


def draw(seed: int) -> list[Step]:
    """The plan of a seed."""
    return list(_Author(seed).steps())


class _Author:
    """Draws what tends to happen first, and then what does."""

    def __init__(self, seed: int) -> None:
        chance = self.chance = Random(seed)
        most = chance.choice([12, 24, 40])
        merging = chance.random() < 0.2
        undo = merging and chance.random() < 0.5
        told = story(seed, most, contests=merging, merges=merging, undo=undo)
        self.retries = 0.0 if undo else 0.1  # whose an event is that both had before they were parted, cannot be told
        self.acts = [step for step in told if isinstance(step, Act | Wish)]
        for burst in (self._eager, self._passers_by):
            if chance.random() < 0.6:
                place = chance.randint(0, len(self.acts))
                at_s = self.acts[place - 1].at_s if place else MONDAY
                self.acts[place:place] = burst(at_s)
        self.trouble = chance.choice([0.0, 0.05, 0.15, 0.3])
        self.favourites = [chance.choice([1, 4]) for _ in LEADS]
        self.ticking = chance.choice([0.2, 0.8])
        self.haste = chance.choice([(1, 2, 3, 5), (1, 3, 8, 20), (20, 60)])
        self.diligence = chance.choice([1, 5])
        raising = chance.choice([0.0, 0.1, 0.3])
        askable = dict.fromkeys(act for act in self.acts if isinstance(act, Act) and _can_ask(act))
        self.hands = {act: chance.choice(VERDICTS) for act in askable if chance.random() < raising}
        """Those that are raised hands, with what the gateway says of them."""
        self.releases = PATIENT if merging else RELEASES
        self.changing = chance.choice([0.0, 0.0, 0.1, 0.3])
        """How often somebody changes the rules."""
        if not merging and chance.random() < 0.2:
            self.releases += (OTHER_POINTS,)
        self.now_ms = MONDAY * 1000

    def steps(self) -> Iterator[Step]:
        """The plan."""
        yield self._own(LEADS[0], tuple(range(PARTITIONS)))
        yield self._own(DESKS[0], (0,))
        yield from (Go(LEADS[0], 30), Go(DESKS[0], 30))
        for act in self._arrivals():
            yield from self._wait_until(act.at_s * 1000)
            yield self._arrive(act)
            if self.chance.random() < self.changing:
                yield Enforce(self.chance.choice(SETS))
            while self.chance.random() < 0.75:
                if self.chance.random() < self.trouble:
                    yield from self._fault()
                else:
                    yield self._next()

    def _eager(self, at_s: int) -> list[Act]:
        """Somebody qualifies and gets hot within seconds."""
        user = self.chance.choice(("user 0", "user 1"))
        things: list[tuple[str, str, tuple[tuple[str, int], ...]]] = [
            ("form", "paper", ()), ("download", "PAPERS", ()), ("dwell", "x", (("seconds", 90),)),
        ]  # fmt: skip
        return [
            Act(at_s + n, kind, asset, user, f"1.{user.replace(' ', '')}@c.example", "device 0", f"hot {n}",
                properties=properties)
            for n, (kind, asset, properties) in enumerate(things)
        ]  # fmt: skip

    def _passers_by(self, at_s: int) -> list[Act]:
        """Some look in and never come again; and much later somebody else does."""
        there = [Act(at_s + n, device=f"passer-by {n}", name=f"by {n}") for n in range(self.chance.choice([3, 7]))]
        return [*there, Act(at_s + 6 * DAY_S, device="device 0", name="later")]

    def _arrivals(self) -> list[Act | Wish]:
        """Events in the order of their coming: some on their way for longer, some twice."""
        chance, late = self.chance, self.chance.choice([0.0, 0.2])
        coming = [(place + (chance.random() < late) * 5, act) for place, act in enumerate(self.acts)]
        coming += [
            (place + chance.randint(0, 9), act) for place, act in enumerate(self.acts) if chance.random() < self.retries
        ]
        return [act for _, act in sorted(coming, key=lambda each: each[0])]

    def _arrive(self, act: Act | Wish) -> Step:
        if isinstance(act, Act) and act in self.hands:
            return Raise(act, self.hands[act])
        return Say(act)

    def _wait_until(self, at_ms: int) -> Iterator[Step]:
        """Time passes up to then, with ticks or without."""
        while self.now_ms < at_ms:
            ahead = at_ms - self.now_ms
            yield self._pass(ahead if self.chance.random() < 0.5 else ahead // 2 + 1)
            for process in (*LEADS, *DESKS):
                if self.chance.random() < self.ticking / 3:
                    yield self._tick(process)

    def _pass(self, ms: int) -> Step:
        self.now_ms += ms
        return Pass(ms)

    def _next(self) -> Step:
        chance = self.chance
        what = chance.choices(("leads", "desk", "tick", "do"), (8, 4, 1, self.diligence))[0]
        if what == "leads":
            return Go(chance.choices(LEADS, self.favourites)[0], chance.choice(self.haste))
        if what == "do":
            return Do(chance.choice(REPS), chance.choice(KINDS), chance.randint(0, 5))
        if what == "tick":
            return self._tick(chance.choice((*LEADS, *DESKS)))
        return Go(chance.choices(DESKS, (4, 1))[0], chance.choice(self.haste))

    def _tick(self, process: str) -> Step:
        return Tick(process, self.chance.choice([0, 0, 0, -2_000, -MINUTE_MS, 5_000]))

    def _fault(self) -> Iterator[Step]:
        chance = self.chance
        (what,) = chance.choices(FAULTS, (4, 2, 3, 2, 1, 1, 1, 1))
        leads = chance.random() < 0.5
        process = chance.choice(LEADS if leads else DESKS)
        match what:
            case "own":
                share = chance.choice([(0,), (1,), (0, 1), ()]) if leads else chance.choice([(0,), (0,), ()])
                yield self._own(process, share)
            case "kill":
                yield Kill(process)
            case "ambush":  # somebody takes over, and is killed, or forgotten, in the middle of something
                yield self._own(process, tuple(range(PARTITIONS)) if leads else (0,))
                yield from (Go(process, chance.choice([0, 8, 12])), Go(process, chance.randint(1, 12)))
                heir = chance.choice(LEADS if leads else DESKS)
                if heir == process:
                    yield Kill(process)
                yield self._own(heir, tuple(range(PARTITIONS)) if leads else (0,))
            case "hunt":  # whoever takes over is killed soon, again and again
                for _ in range(3):
                    yield self._own(process, tuple(range(PARTITIONS)) if leads else (0,))
                    yield from (Go(process, chance.randint(6, 24)), Kill(process))
            case "refuse":
                yield Refuse(chance.choice(REFUSING))
            case "compact":
                yield Compact(*chance.choice(CHANGELOGS))
            case "poison":
                yield Poison(*chance.choice(INBOXES), is_tick=chance.random() < 0.3)
            case _:
                yield self._pass(chance.choice([250, 4_000, 12_000, 20 * MINUTE_MS]))

    def _own(self, process: str, partitions: tuple[int, ...]) -> Step:
        return Own(process, partitions, self.chance.choice(self.releases))


def _can_ask(act: Act) -> bool:
    """Whether what somebody did may be a raised hand: a human who can be answered."""
    return bool(act.user + act.email) and act.verdict == "human" and not act.alias
