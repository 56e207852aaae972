"""Seeds by the hundred: the system as it is withstands all, and each planted bug is found."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable

import pytest

from tests.simulation.bugs import BUGS
from tests.simulation.plan import draw
from tests.simulation.processes import Build
from tests.simulation.shrink import shortest, tell
from tests.simulation.verdict import run
from tests.simulation.world import arranged, carry_out

SEEDS = 250
"""So many in a short run."""
MOST_SEEDS = 1_000
"""Within so many each planted bug is found."""
MANY_SEEDS = 20_000
"""So many in a long run, which begins at a million times HANDRAISE_CHAOS_SEED."""


def withstand(seeds: Iterable[int]) -> Counter[str]:
    """Run these seeds; a failing one fails the test with its shortest story.  Returns what happened in all."""
    happened: Counter[str] = Counter()
    for seed in seeds:
        outcome = run(draw(seed))
        if outcome.problems:
            plan = shortest(draw(seed), lambda plan: bool(run(plan).problems))
            pytest.fail(tell(seed, plan, run(plan).problems), pytrace=False)
        happened += outcome.happened
    return happened


def test_nothing_is_lost_doubled_or_wrong_whatever_happens() -> None:
    """Killed, stopped, fenced, refused, repeated, reordered, poisoned: all is what the oracle makes of the inboxes."""
    happened = withstand(range(SEEDS))
    for what in (
        "killed",
        "fenced",
        "aborted",
        "refused",
        "poison",
        "answered",
        "desk.waiting",
        "lead.assignments",
        "rules.published",
    ):
        assert happened[what] >= SEEDS / 10, (what, happened)


@pytest.mark.chaos_long
@pytest.mark.timeout(0)
def test_nothing_is_lost_doubled_or_wrong_in_many_runs() -> None:
    """The same, with other seeds, for longer."""
    first = int(os.environ.get("HANDRAISE_CHAOS_SEED", "1")) * 1_000_000
    withstand(range(first, first + MANY_SEEDS))


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug: str) -> None:
    """Some seed of the first thousand fails if this is done wrong."""
    assert any(run(draw(seed), BUGS[bug]).problems for seed in range(MOST_SEEDS)), bug


def test_a_run_is_its_plan() -> None:
    """The same plan gives the same log to the byte, records that nobody committed included."""
    for seed in range(5):
        logs = []
        for _ in range(2):
            with arranged(Build()):
                world = carry_out(draw(seed), Build())
            logs.append(world.log.everything())
            world.bury()
        assert logs[0] == logs[1]


def test_a_failing_seed_tells_its_shortest_story() -> None:
    """Of a plan that fails a few steps are left, of which none after the first can be left out; they are told."""
    build = BUGS["the changelog is read and the inbox sought before the fence"]
    seed = next(seed for seed in range(MOST_SEEDS) if run(draw(seed), build).problems)
    story = shortest(draw(seed), lambda plan: bool(run(plan, build).problems))
    assert len(story) <= 15
    assert run(story).problems == []
    for place in range(1, len(story)):
        assert run(story[:place] + story[place + 1 :], build).problems == []
    told = tell(seed, story, run(story, build).problems)
    assert told.startswith(f"seed {seed} fails") and all(str(step) in told for step in story)
