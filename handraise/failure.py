"""The one way in which a command fails: what happened, where, the remedy, and the exit code."""

from __future__ import annotations

CHECK_FAILED = 1
WRONG_USE = 2
INTERRUPTED = 130
"""As shells have it for Ctrl-C."""


class Failure(Exception):  # noqa: N818 - it is told to a person, who reads three lines
    """A command cannot do its work; `exit_code` is CHECK_FAILED or WRONG_USE (which includes configuration)."""

    def __init__(self, what: str, where: str, remedy: str, exit_code: int = WRONG_USE) -> None:
        super().__init__(what, where, remedy)
        self.what, self.where, self.remedy, self.exit_code = what, where, remedy, exit_code

    def __str__(self) -> str:
        return f"{self.what}\n  where:  {self.where}\n  remedy: {self.remedy}"
