"""A leads worker that folds another deployment's inbox, as it is on record, and publishes under its own prefix."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from agents.lane.config import LaneConfig
from agents.lane.slot import Names
from agents.lane.worker import main
from agents.leads import leads_config
from handraise import rules


class Again(LaneConfig):
    """Reads where the other one read, writes where nobody reads."""

    @property
    def names(self) -> Names:
        """Physical names."""
        return Names(self.prefix, os.environ["RECORDED"] + self.inbox, self.prefix + self.changelog)


if __name__ == "__main__":
    given = leads_config(
        bootstrap=os.environ["HANDRAISE_KAFKA"],
        partitions=int(os.environ["HANDRAISE_PARTITIONS"]),
        rules=rules.load(Path(os.environ["HANDRAISE_RULES"])).rules,
        prefix=os.environ["HANDRAISE_PREFIX"],
        accept_poison=1_000,
        metrics_port=0,
    )
    # In small batches, so that there is something left for whoever joins later.
    sys.exit(main(Again(**{**vars(given), "ticks": False, "max_batch": 2})))
