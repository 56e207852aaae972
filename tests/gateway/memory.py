"""An appender that keeps records in memory; it passes the same contract tests as the one on Kafka."""

import asyncio
from collections.abc import Sequence

from gateway.appender import Row, Unavailable
from schemas.codec import decode
from schemas.records import Engagement, RaisedHand, Rejected


class MemoryAppender:
    """Rows by (topic, partition); `away` plays a broker that does not answer."""

    def __init__(self, *, buffer_bytes: int = 1 << 20, patience_s: float = 0.05) -> None:
        self.rows: list[Row] = []
        self._buffer_bytes, self._patience_s, self._bytes = buffer_bytes, patience_s, 0
        self._here = asyncio.Event()
        self._here.set()
        self._stuck = False
        self.asked = asyncio.Event()
        """Set once something was appended, or waits to be."""

    def away(self) -> None:
        """The broker stops answering."""
        self._here.clear()

    def back(self) -> None:
        """The broker answers again."""
        self._stuck = False
        self._here.set()

    async def append(self, rows: Sequence[Row]) -> None:
        """As Appender says."""
        if self._stuck:
            raise Unavailable("the memory is away")
        size = sum(len(row.key or b"") + len(row.value) for row in rows)
        if self._bytes + size > self._buffer_bytes:
            raise Unavailable("the buffer is full")
        self._bytes += size
        self.asked.set()
        try:
            async with asyncio.timeout(self._patience_s):
                await self._here.wait()
        except TimeoutError:
            self._stuck = True
            raise Unavailable("the memory is away") from None
        finally:
            self._bytes -= size
        self.rows.extend(rows)

    async def ready(self) -> str | None:
        """As Appender says."""
        return "the memory is away" if self._stuck else None

    def engagements(self) -> list[Engagement]:
        """What lead.events has."""
        return [each for row in self.rows if isinstance(each := decode(row.value), Engagement)]

    def hands(self) -> list[RaisedHand]:
        """What desk.events has."""
        return [each for row in self.rows if isinstance(each := decode(row.value), RaisedHand)]

    def rejected(self) -> list[Rejected]:
        """What the dead letter has."""
        return [each for row in self.rows if isinstance(each := decode(row.value), Rejected)]
