"""What the console asks the read side: open requests, leads, timelines, names.

`History` is what pages are written against; `console.redis_history` answers it from Redis.  Every question raises
`Away` when it cannot be answered now: what is live is shown without it.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from schemas.records import Assignment, LeadAlert, LeadDuplicate, LeadState, Presence, RaisedHand, Record, Waiting


class Away(Exception):  # noqa: N818  a state of the world, not a fault
    """The read side does not answer, or is being filled for the first time; str() says which."""


class Asked(NamedTuple):
    """A request as the read side has it."""

    id: str
    hand: RaisedHand | None
    waiting: Waiting | None
    assignment: Assignment | None
    touched: int | None
    """When somebody first took, tried or reached it (ms)."""


class KnownLead(NamedTuple):
    """A lead as the read side has it, under the id that stands for it now."""

    id: str
    state: LeadState | None
    alert: LeadAlert | None
    memory: bytes | None
    """What the workers remember of it (`streams.state`), of leads with a user id or an address."""
    owner: str | None


class History(Protocol):
    """The questions.  All times are ms since the epoch."""

    async def open_requests(self, kind: str, whose: str, most: int) -> list[Asked]:
        """Open requests by when they are due; `kind` hands or leads, `whose` all, rep:ID or queue:NAME."""

    async def loads(self, people: list[str]) -> dict[str, tuple[int, int]]:
        """How many open hands and leads each of these people has."""

    async def pending(self, most: int) -> list[Asked]:
        """Raised hands among the newest `most` that nobody has decided about yet, oldest first."""

    async def request(self, request_id: str) -> Asked | None:
        """One request; None if there is none."""

    async def last_served(self) -> Asked | None:
        """The contact request that was closed last, and touched by somebody."""

    async def standing(self, lead_id: str) -> str | None:
        """The id under which a lead lives now; None for one that is nobody's."""

    async def leads(self, lead_ids: list[str]) -> dict[str, KnownLead]:
        """Those of them that are known."""

    async def hot(self, most: int) -> list[str]:
        """Leads that are hot, the latest first."""

    async def requests_of(self, lead_ids: list[str]) -> list[Asked]:
        """What was asked under any of these ids, the latest first."""

    async def timeline(self, lead_ids: list[str], request_ids: list[str], most: int) -> list[Record]:
        """What happened to leads and requests, the latest first."""

    async def duplicates(self, lead_id: str) -> list[LeadDuplicate]:
        """Suspicions about a lead, open or not."""

    async def search(self, text: str, most: int) -> list[str]:
        """Ids of leads whose names or addresses have words that begin with all these words."""

    async def alerts(self, most: int) -> list[LeadAlert]:
        """The newest alerts, the latest first."""

    async def presence(self) -> dict[str, Presence]:
        """What people have said last, by their ids."""

    async def behind(self, now: int) -> str:
        """Why the history is not up to date, in words; empty if it is."""

    async def close(self) -> None:
        """Let go of connections."""
