"""Laws of the read side: its content is that of a naive count, however records were cut, interleaved and repeated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import readside as keys
from schemas.codec import encode
from schemas.records import LeadTransition, Record
from schemas.topics import topic
from schemas.wire import Undecodable
from streams.readside import TOPICS, Newest, fold
from streams.readside_batch import Batch
from tests.oracle.readside import Said, expected
from tests.schemas import strategies
from tests.streams import readside_stories
from tests.streams.readside_stories import LEADS, NOW, stories
from tests.streams.redis_model import Content, RedisModel

BASE = "rs:1:"


def interleaved(partitions: Sequence[Sequence[Said]], random: Random) -> Iterator[Said]:
    """Yield the records in some order that keeps that of each partition; now and then a partition is read again."""
    places, furthest = [0] * len(partitions), [0] * len(partitions)
    while reading := [n for n, partition in enumerate(partitions) if places[n] < len(partition)]:
        chosen = random.choice(reading)
        yield partitions[chosen][places[chosen]]
        places[chosen] += 1
        furthest[chosen] = max(furthest[chosen], places[chosen])
        if random.random() < 0.1:
            again = random.randrange(len(partitions))
            places[again] = random.randint(0, places[again])


def written(records: Iterator[Said], random: Random) -> Content:
    """What stands in Redis after these records, cut into batches at random."""
    redis, batch = RedisModel(), Batch()
    for said in records:
        batch.add(fold(said.topic, said.key, said.value, said.at))
        if random.random() < 0.2:
            redis.run(batch.commands(BASE))
            batch = Batch()
    redis.run(batch.commands(BASE))
    return {key.removeprefix(BASE): value for key, value in redis.content().items()}


@given(stories, st.randoms(use_true_random=False))
def test_the_content_is_that_of_a_naive_count(story: dict[str, list[Said]], random: Random) -> None:
    """Any cut into batches, any interleaving of topics and any repeat of what was read give what all records say."""
    partitions = list(story.values())
    assert written(interleaved(partitions, random), random) == expected(partitions)


@given(
    st.lists(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 5)), max_size=12), min_size=2, max_size=3),
    st.randoms(use_true_random=False),
)
def test_the_newest_are_the_newest(partitions: list[list[tuple[str, int]]], random: Random) -> None:
    """A set that keeps its newest holds those with the highest scores ever, whatever came when."""
    said = [[Said("", each[0].encode(), None, each[1]) for each in partition] for partition in partitions]
    redis = RedisModel()
    for it in interleaved(said, random):
        batch = Batch()
        batch.add([Newest("k", it.key or b"", it.at, 3)])
        redis.run(batch.commands(""))
    best: dict[bytes, int] = {}
    for it in (each for partition in said for each in partition):
        best[it.key or b""] = max(it.at, best.get(it.key or b"", 0))
    newest = sorted(best.items(), key=lambda pair: (pair[1], pair[0]))[-3:]
    assert redis.content().get("k", ({}, None))[0] == dict(newest)


def test_histories_are_bounded() -> None:
    """Of a lead that changes all the time the newest changes are kept."""
    redis, batch = RedisModel(), Batch()
    for n in range(keys.MOST_OF_A_LEAD + 50):
        record = LeadTransition(LEADS[0], "heat", "cold", "hot", NOW + n, "event", None, 0, 0, n)
        batch.add(fold("lead.transitions", LEADS[0].encode(), encode(record), NOW))
    redis.run(batch.commands(""))
    kept, expiry = redis.content()[keys.timeline(LEADS[0])]
    assert sorted(kept.values()) == list(range(NOW + 50, NOW + 350))
    assert expiry == NOW + keys.KEPT_MS


@given(
    st.sampled_from(TOPICS),
    st.none() | st.binary(max_size=40) | st.sampled_from([each.encode() for each in LEADS]),
    st.none() | st.binary(max_size=60) | strategies.records.map(encode) | readside_stories.memories,
    strategies.longs,
)
def test_garbage_is_told_as_such(topic: str, key: bytes | None, value: bytes | None, at: int) -> None:
    """Whatever stands on a topic either changes something in the known ways, or is Undecodable; nothing else."""
    try:
        operations = fold(topic, key, value, at)
    except Undecodable:
        return
    batch = Batch()
    batch.add(operations)
    RedisModel().run(batch.commands(BASE))


@given(st.sampled_from([name for name in TOPICS if topic(name).records]), strategies.records)
def test_a_record_of_another_topic_changes_nothing(name: str, record: Record) -> None:
    """A record on a topic that does not take it is told as such."""
    key = f"p_dddddddddddddddd:{LEADS[0]}:{LEADS[1]}" if name == "lead.duplicates" else LEADS[0]
    if type(record).__name__ not in topic(name).records:
        with pytest.raises(Undecodable, match="wrong_record"):
            fold(name, key.encode(), encode(record), 0)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Élif Demir", ("elif", "demir")),
        ("Jonas.Vik@Brightwater.example", ("jonas.vik@brightwater.example", "jonas", "vik", "brightwater", "example")),
        ("x 漢字 ß", ("漢字", "ss")),
        ("", ()),
        ("a" * 10_000, ("a" * 400,)),
    ],
)
def test_tokens(text: str, found: tuple[str, ...]) -> None:
    """Names are found by their words without accents and case, addresses as a whole too."""
    assert keys.tokens(text) == found
