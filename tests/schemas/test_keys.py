"""A key lies in the partition where Kafka's own clients put it."""

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from schemas.keys import murmur2, partition_of


@pytest.mark.parametrize(
    ("key", "signed"),
    [
        # The vectors of Kafka's own test, UtilsTest.testMurmur2.
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_known_vectors(key: bytes, signed: int) -> None:
    """The hash is the one that Kafka's tests expect."""
    assert murmur2(key) == signed % 2**32
    assert partition_of(key, 24) == (signed % 2**32 & 0x7FFFFFFF) % 24


@given(key=st.binary(max_size=70), partitions=st.integers(1, 200))
def test_equal_to_aiokafka(key: bytes, partitions: int) -> None:
    """Any key lies in the partition that aiokafka's default partitioner chooses."""
    numbers = list(range(partitions))
    assert partition_of(key, partitions) == DefaultPartitioner()(key, numbers, numbers)
