"""Records through a fold, batch by batch, as the lane does it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from streams.fold import InboxRecord, Output, PartitionFold


class Stopped(Exception):  # noqa: N818  it is no error of anybody's
    """The fold has paused, for a reason that it tells; or what it should read is not there."""


def batches(fold: PartitionFold, records: Sequence[InboxRecord]) -> Iterator[list[Output]]:
    """Fold the records, and give out what each batch says.  Raises Stopped."""
    rest = records
    while rest:
        consumed = fold.apply(rest)
        yield fold.seal().outputs
        if consumed < len(rest) and (reason := fold.ready()) is not None:
            raise Stopped(f"at offset {rest[consumed].offset} the fold stops: {reason}")
        rest = rest[consumed:]
