"""Many seeds from the command line: `python -m tests.simulation FIRST COUNT`; says how many a minute it ran."""

from __future__ import annotations

import sys
import time
from collections import Counter

from tests.simulation.plan import draw
from tests.simulation.shrink import shortest, tell
from tests.simulation.verdict import run


def main(first: int, count: int) -> int:
    """Run the seeds; returns 1 at the first that fails, with its shortest story."""
    began, happened = time.monotonic(), Counter[str]()
    for seed in range(first, first + count):
        outcome = run(draw(seed))
        happened += outcome.happened
        if outcome.problems:
            plan = shortest(draw(seed), lambda plan: bool(run(plan).problems))
            sys.stdout.write(tell(seed, plan, run(plan).problems) + "\n")
            return 1
    cpu_s, wall_s = time.process_time(), time.monotonic() - began
    sys.stdout.write(
        f"{count} seeds from {first} on, none failed; {60 * count / wall_s:,.0f} a minute, "
        f"{60 * count / cpu_s:,.0f} in a minute of CPU\n"
    )
    sys.stdout.write("".join(f"  {number:8,} {what}\n" for what, number in sorted(happened.items())))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]), int(sys.argv[2])))
