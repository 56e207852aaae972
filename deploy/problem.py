"""The one kind of failure this room has: what happened, where, and what mends it."""


class Problem(Exception):  # noqa: N818 - it is told to a person, who has a problem, not an error
    """Something a person must mend; ``str()`` gives the three parts on three lines."""

    def __init__(self, what: str, where: str, remedy: str) -> None:
        super().__init__(what, where, remedy)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.what}\n  where:  {self.where}\n  remedy: {self.remedy}"
