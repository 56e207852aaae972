"""The stories themselves."""

import itertools
from collections import Counter

from schemas.codec import decode, encode
from tests.e2e.story import DAY_MS, engagement, key, segment, story

START_MS = 1_794_182_400_000


def test_a_seed_tells_one_story() -> None:
    """The same seed tells the same story; another seed another one; arrivals are in order."""
    first = list(story(7, 30, START_MS, 10))
    assert first == list(story(7, 30, START_MS, 10))
    assert first != list(story(8, 30, START_MS, 10))
    assert all(a.arrives_ms <= b.arrives_ms for a, b in itertools.pairwise(first))
    assert all(START_MS <= act.at_ms < START_MS + 10 * DAY_MS for act in first)


def test_a_story_has_all_that_happens() -> None:
    """Among three hundred visitors there are repeats, late arrivals, bots, and every kind the model knows but a few."""
    acts = list(story(1, 300, START_MS, 20))
    assert len({act.kind for act in acts}) >= 22
    repeats = Counter(act.message_id for act in acts)
    assert sum(n > 1 for n in repeats.values()) > 100
    assert sum(act.arrives_ms - act.at_ms > 3_600_000 for act in acts) > 100
    assert any(act.bot for act in acts)
    assert {key(act)[:2] for act in acts} == {b"u_", b"e_", b"a_"}


def test_an_act_can_be_told_both_ways() -> None:
    """Every act is a record that survives the codec, and a Segment call with the same ids and times."""
    for act in story(3, 20, START_MS, 5):
        record = engagement(act)
        assert decode(encode(record)) == record
        call = segment(act)
        assert call["messageId"] == record.message_id
        assert call["type"] == record.call
