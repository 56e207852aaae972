"""Laws of the writers that take values in place of a record."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import encode
from schemas.fast import lead_state_writer
from schemas.records import LeadState
from schemas.wire import LOCK, prefix

SECONDS = st.integers(0, 1 << 32)
LONGS = st.integers(0, (1 << 63) - 1)
TEXTS = st.text(max_size=40)


@given(
    TEXTS, TEXTS, TEXTS, st.integers(0, 1_000), st.lists(SECONDS, min_size=5, max_size=5),
    st.lists(LONGS, min_size=4, max_size=4), st.integers(1, 4), st.sets(st.integers(0, 4)),
)  # fmt: skip
def test_a_state_is_written_as_the_record_is_encoded(
    lead_id: str,
    stage: str,
    model: str,
    partition: int,
    times: list[int],
    numbers: list[int],
    level: int,
    same: set[int],
) -> None:
    """From the same values the writer makes the bytes that fastavro makes of the record, equal times or not."""
    as_of, hot_since, stage_since, first_seen, last_seen = [times[0] if n in same else t for n, t in enumerate(times)]
    score, events, visits, offset = numbers
    record = LeadState(
        lead_id=lead_id,
        as_of=as_of * 1_000,
        behaviour_millipoints=score,
        level=level,
        hot=hot_since > 0,
        hot_since=hot_since * 1_000 or None,
        stage=stage,
        stage_since=stage_since * 1_000,
        first_seen=first_seen * 1_000,
        last_seen=last_seen * 1_000,
        events=events,
        visits=visits,
        model=model,
        source_partition=partition,
        source_offset=offset,
    )
    write = lead_state_writer(prefix(LOCK["LeadState"][-1].id), model, partition)
    written = write(
        lead_id, as_of, score, level, hot_since, stage, stage_since, first_seen, last_seen, events, visits, offset
    )
    assert written == encode(record)
