"""The shortest plan that still fails: steps are taken out, many at once, then one by one, always in the same order."""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.plan import Plan, Step


def shortest(plan: Plan, fails: Callable[[Plan], bool], most_runs: int = 2_000) -> list[Step]:
    """A part of the plan that fails, too, and of which no step can be left out, unless `most_runs` were not enough.

    The first step stays: its release says which rules hold in the run.
    """
    first, left, size, runs = list(plan[:1]), list(plan[1:]), len(plan) // 2, 0
    while size and runs < most_runs:
        start, shorter = 0, False
        while start < len(left) and runs < most_runs:
            rest = left[:start] + left[start + size :]
            runs += 1
            if fails(first + rest):
                left, shorter = rest, True
            else:
                start += size
        size = min(size if shorter else size // 2, max(1, len(left) // 2))
    return first + left


def tell(seed: int, plan: Plan, problems: list[str]) -> str:
    """The story of a failing seed, for people."""
    steps = "\n".join(f"  {number:3} {step}" for number, step in enumerate(plan, 1))
    wrong = "\n".join(f"  {problem}" for problem in problems[:10])
    return f"seed {seed} fails; the shortest story that does:\n{steps}\nand then\n{wrong}"
