"""What can go wrong in a lane, each with the facts that a person needs: what, where, remedy."""

from __future__ import annotations


class LaneRefused(Exception):  # noqa: N818
    """The lane must not start, or not go on, until somebody mends something; the exit code is 2."""

    exit_code = 2

    def __init__(self, what: str, where: str, remedy: str) -> None:
        super().__init__(f"{what}\n  where: {where}\n  remedy: {remedy}")
        self.what, self.where, self.remedy = what, where, remedy

    def facts(self) -> dict[str, str]:
        """For a log line."""
        return {"what": self.what, "where": self.where, "remedy": self.remedy}


class LaneFailed(Exception):  # noqa: N818
    """The process cannot vouch for itself any more; its successor goes on from the cursor. The exit code is 1."""

    exit_code = 1

    def facts(self) -> dict[str, str]:
        """For a log line."""
        return {"reason": str(self)}


class Fenced(Exception):  # noqa: N818
    """Another producer with the same transactional id has started: this one may not write any more."""


class BatchRefused(Exception):  # noqa: N818
    """The log did not take a batch, so the transaction it belongs to must not be committed."""
