"""What stands on the topics and should not: the console passes over it, and goes on to hear."""

from __future__ import annotations

from aiokafka.structs import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st

from console.hub import Hub
from console.live import Live
from console.metrics import Metrics
from console.reader import INBOX, TOPICS, Reader
from schemas.codec import encode
from schemas.records import Tick
from tests.schemas import strategies
from tests.streams.desk.harness import MONDAY, hand

AN_HOUR = 3_600_000


def record(topic: str, offset: int, value: bytes | None) -> ConsumerRecord:
    """A record as the client gives it."""
    return ConsumerRecord(topic, 0, offset, MONDAY, 0, None, value, None, 0, len(value or b""), ())


def cut(value: bytes) -> st.SearchStrategy[bytes]:
    """The beginning of a record."""
    return st.integers(0, len(value)).map(lambda end: value[:end])


GARBAGE = st.none() | st.binary(max_size=40) | strategies.records.map(encode).flatmap(cut)


@given(st.lists(st.tuples(st.sampled_from(TOPICS), GARBAGE | strategies.records.map(encode)), max_size=6))
def test_no_bytes_on_any_topic_make_the_console_deaf(said: list[tuple[str, bytes | None]]) -> None:
    """Anything may stand there, a tick that is cut short as well: what comes behind it is heard and shown."""
    live = Live()
    reader = Reader("", "", Hub(live.apply), live, Metrics())
    for n, (topic, value) in enumerate(said):
        reader._take(topic, [record(topic, n, value)], MONDAY)
    reader._take(INBOX, [record(INBOX, 90, encode(Tick(MONDAY)))], MONDAY + AN_HOUR)
    reader._take(INBOX, [record(INBOX, 91, encode(hand(99)))], MONDAY + AN_HOUR)
    assert live.heard == MONDAY + AN_HOUR
    assert live.request(f"{99:016x}") is not None
