"""Records through a fold, batch by batch, as the lane does it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from streams.fold import InboxRecord, Output, PartitionFold, Unfoldable, in_batches


class Stopped(Exception):  # noqa: N818  it is no error of anybody's
    """The fold has paused, for a reason that it tells; or what it should read is not there."""


def batches(fold: PartitionFold, records: Sequence[InboxRecord]) -> Iterator[list[Output]]:
    """Fold the records, and give out what each batch says.  Raises Stopped."""
    consumed = 0
    try:
        for done, sealed in in_batches(fold, records):
            consumed = done
            yield sealed.outputs
    except Unfoldable as error:
        raise Stopped(f"folding fails: {error}") from error
    if consumed < len(records):
        raise Stopped(f"at offset {records[consumed].offset} the fold stops: {fold.ready()}")
