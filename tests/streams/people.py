"""Random stories of people and their devices: shared, handed over, signed in late, twice, with several addresses."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from tests.oracle.naive import DAY_S
from tests.streams.harness import MONDAY, Time
from tests.streams.network import Act, Step, Wish, id_of

_THINGS: list[tuple[str, str, tuple[tuple[str, Any], ...]]] = [
    *[("page_view", asset, ()) for asset in ("/", "/c", "/skip/this", "/jobs")],
    *[("page_view", "/", ())] * 3,
    *[("download", asset, ()) for asset in ("a paper", "PAPERS", "/price?")],
    *[("form", "paper", ()), ("form", "other", ()), ("click", "", ()), ("click", "", ()), ("stop", "", ())],
    *[("bounce", "x", (("sort", "hard"),)), ("dwell", "x", (("seconds", 90),))],
]
"""What visitors do under the small model: (kind, asset, properties)."""


class Crowd:
    """A few people with a few devices and addresses, who do things at random; what they tend to do is drawn first."""

    def __init__(self, seed: int, *, contests: bool, merges: bool, undo: bool) -> None:
        chance = self.chance = Random(seed)
        self.users = [f"user {n}" for n in range(chance.choice([1, 2, 3, 3, 5]))]
        self.devices = [f"device {n}" for n in range(chance.choice([1, 2, 3, 8]))]
        self.emails = [f"mail{n}@c.example" for n in range(chance.choice([1, 2, 4]))]
        self.contests, self.undo = contests, undo
        often = [0.0, 0.02, 0.1, 0.4]
        self.repeats, self.skew, self.bots, self.ticks = (chance.choice(often) / 2 for _ in range(4))
        self.repeats *= not undo  # whose an event is that both had before they were parted, cannot be told
        self.merging = chance.choice([0.02, 0.1]) if merges else 0.0
        self.sharing = chance.choice([0, 0.05, 0.3])
        self.weights = [chance.choice([0, 1, 5]) for _ in range(6)]
        self.weights[0] += 1
        self.pace_s = chance.choice([1, 60, 600, 3600])
        self.loyalty = chance.choice([0.2, 0.9])
        """How probably somebody uses the device or address of their own."""

    def _of(self, things: list[str], owner: str) -> str:
        if self.chance.random() < self.loyalty:
            return things[self.users.index(owner) % len(things)]
        return self.chance.choice(things)

    def _email(self, owner: str) -> str:
        """An address of somebody; where nobody contests, nobody else's."""
        if self.contests:
            return self._of(self.emails, owner)
        return f"{self.chance.choice([1, 1, 2])}.{owner.replace(' ', '')}@c.example"

    def act(self, at_s: int, name: str) -> Act:
        """One event, from one of: a device alone, user and device, e-mail and device, user, e-mail, all three."""
        chance = self.chance
        user = chance.choice(self.users)
        device, email = self._of(self.devices, user), self._email(user)
        kind, asset, properties = chance.choice(_THINGS)
        verdict = "bot" if chance.random() < self.bots else "human"
        act = Act(at_s, kind, asset, name=name, verdict=verdict, properties=properties)
        (told,) = chance.choices(["a", "ua", "ea", "u", "e", "uea"], self.weights)
        return replace(
            act,
            user=user if "u" in told else "",
            email=email if "e" in told else "",
            device=device if "a" in told else "",
            phone=self._shared("+491", "+492"),
            person=self._shared("Jo, Acme"),
            spelling=self._shared("jo@c.example") if "e" in told else "",
        )

    def _shared(self, *values: str) -> str:
        """Now and then a piece of evidence, that some share."""
        return self.chance.choice(values) if self.chance.random() < self.sharing else ""

    def merge(self, at_s: int, name: str) -> Step:
        """Somebody says that two are one: by a call of the tracker, or by a wish; or that they are not."""
        one, other = (self.chance.choice(self.users) for _ in range(2))
        at_s += self.chance.choice([0, 0, DAY_S, 9 * DAY_S])  # some say it later than anything was done
        if self.chance.random() < 0.5:
            previous = self.chance.choice([other, other, self.chance.choice(self.devices), "nobody"])
            return Act(at_s, "alias", "", user=one, name=name, alias=previous)
        if self.undo and self.chance.random() < 0.5:
            return Wish(f"u:{one}", at_s=at_s)
        return Wish(f"u:{one}", f"u:{other}", at_s)


def story(seed: int, most: int, *, contests: bool = True, merges: bool = True, undo: bool = False) -> list[Step]:
    """Up to `most` steps in four weeks.

    contests: two users may claim one e-mail address; merges: aliases and merges happen; undo: merges are undone.
    """
    crowd = Crowd(seed, contests=contests, merges=merges, undo=undo)
    chance, steps, at_s = crowd.chance, list[Step](), MONDAY
    for n in range(chance.choice([most // 20, most // 4, most])):
        at_s = min(at_s + chance.choice([0, 1, crowd.pace_s, crowd.pace_s, 9 * crowd.pace_s]), MONDAY + 28 * DAY_S)
        skewed_s = max(MONDAY, at_s - chance.choice([1, 7_200, 5 * DAY_S])) if chance.random() < crowd.skew else at_s
        acts = [step for step in steps[-30:] if isinstance(step, Act) and not step.alias]
        if chance.random() < crowd.ticks:
            steps.append(Time(at_s))
        elif acts and chance.random() < crowd.repeats:
            steps.append(chance.choice(acts))
        elif chance.random() < crowd.merging:
            steps.append(crowd.merge(skewed_s, f"m{n}"))
        else:
            steps.append(crowd.act(skewed_s, f"n{n}"))
    return steps


def family(seed: int) -> list[Step]:
    """Fifty acts of two or three people whom somebody merges and parts, again and again; some share what they have."""
    chance = Random(f"family {seed}")
    people = ("ana", "ben", "eva")[: chance.choice([2, 3, 3])]
    shares, at_s, steps = chance.random() < 0.3, MONDAY, list[Step]()
    for n in range(50):
        at_s += chance.choice([60, 600, 7_200, 20_000])
        who, what = chance.choice(people), chance.random()
        own = "family" if shares else who
        if what < 0.15 and not shares:
            one, other = sorted(chance.sample(people, 2), key=lambda each: id_of(f"u:{each}"))
            steps.append(Wish(f"u:{other}", f"u:{one}", at_s))
        elif what < 0.3 and not shares:
            steps.append(Wish(f"u:{who}", at_s=at_s))
        else:
            kind, asset, properties = chance.choice(_THINGS)
            act = Act(at_s, kind, asset, device=own, name=f"n{n}", properties=properties)
            steps.append(replace(act, user=who, email=f"{own}@c.example") if what < 0.65 else act)
    return steps
