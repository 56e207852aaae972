"""A worker process of a counting lane, started by tests; its one argument is JSON.

With `strike` and `passage` it is struck at that passage of a point of the slot's work: `kill` is SIGKILL to itself;
`hold` says HELD on standard output and waits for SIGUSR1 before it goes on.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

from agents.lane.config import LaneConfig
from agents.lane.worker import main
from tests.agents.lane.counting import TOPIC, counting
from tests.agents.lane.faults import FaultyLog


class Striker:
    """Strikes once, at the n-th passage of a point."""

    def __init__(self, point: str, passage: int, how: str) -> None:
        self.point, self.left, self.how = point, passage, how

    async def __call__(self, point: str) -> None:
        """Strike, if this is the passage."""
        if point != self.point:
            return
        self.left -= 1
        if self.left != 0:
            return
        if self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        released = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, released.set)
        sys.stdout.write("HELD\n")
        sys.stdout.flush()
        await released.wait()


def config_of(bootstrap: str, prefix: str, partitions: int, **options: object) -> LaneConfig:
    """The lane that the tests run."""
    return LaneConfig(
        bootstrap=bootstrap,
        role="count",
        inbox="inbox",
        changelog="changelog",
        partitions=partitions,
        fold_factory=counting,
        outputs=(TOPIC,),
        prefix=prefix,
        **options,
    )


if __name__ == "__main__":
    arguments = json.loads(sys.argv[1])
    point, passage, how = (arguments.pop(name, None) for name in ("point", "passage", "how"))
    config = config_of(**arguments)
    log = config.kafka_log()
    sys.exit(main(config, lane_log=FaultyLog(log, Striker(point, passage, how)) if point else log))
