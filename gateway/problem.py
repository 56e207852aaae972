"""What goes wrong with a request or an event, told in three parts: what, where, remedy."""

from __future__ import annotations

from http import HTTPStatus

import msgspec


class Problem(Exception):  # noqa: N818  it is an answer to the client, not a fault of ours
    """A request that is refused.  The client gets the status and a JSON body with the three parts."""

    def __init__(
        self, status: HTTPStatus, code: str, what: str, where: str, remedy: str, retry_after_s: int | None = None
    ) -> None:
        super().__init__(f"{what} (where: {where}; remedy: {remedy})")
        self.status, self.code, self.what, self.where, self.remedy = status, code, what, where, remedy
        self.retry_after_s = retry_after_s

    def body(self) -> bytes:
        """The answer's JSON."""
        return msgspec.json.encode({"success": False, "code": self.code, "message": str(self)})


class BadEvent(Exception):  # noqa: N818  a verdict on one event, not a fault of ours
    """One event that cannot be used: `code` is a stable word, `reason` has what, where and remedy."""

    def __init__(self, code: str, what: str, where: str, remedy: str) -> None:
        super().__init__(code)
        self.code = code
        self.reason = f"{what} (where: {where}; remedy: {remedy})"
