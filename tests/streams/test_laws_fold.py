"""The laws of the whole fold over one partition: what it says is what the oracle tells, however it is cut or killed."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import encode
from tests.e2e.story import DAY_MS, engagement, key, story
from tests.oracle.naive import DAY_S
from tests.oracle.replay import Record
from tests.streams.harness import MONDAY, SHIPPED, SMALL, Box, Time, compare, records, value_of
from tests.streams.strategies import stories

FILES = {"shipped": SHIPPED, "small": SMALL}
MODELS = pytest.mark.parametrize("model", list(FILES))
PUBLIC = ("lead.transitions", "lead.alerts", "engagement.quarantine", "engagement.rejected")


def cuts(log: list[Record]) -> st.SearchStrategy[set[int]]:
    """Where batches end."""
    return st.sets(st.integers(0, len(log)), max_size=12)


@MODELS
@given(data=st.data())
def test_all_that_is_said_is_what_the_oracle_tells(model: str, data: st.DataObject) -> None:
    """Transitions, alerts, quarantine, expiry and final states equal the oracle's, record by record."""
    log = records(data.draw(stories(small=model == "small")))
    compare(Box(FILES[model]).feed(log, data.draw(cuts(log))), log)


@MODELS
@given(data=st.data())
def test_where_batches_end_makes_no_difference(model: str, data: st.DataObject) -> None:
    """States, transitions, alerts and the last word on each lead are the same to the byte, however batches are cut."""
    log = records(data.draw(stories(small=model == "small")))
    whole, cut = Box(FILES[model]).feed(log), Box(FILES[model]).feed(log, data.draw(cuts(log)))
    assert whole.changelog == cut.changelog
    assert whole.states == whole.changelog
    assert whole.bytes_said(*PUBLIC) == cut.bytes_said(*PUBLIC)
    assert whole.last_states() == cut.last_states()


@MODELS
@given(data=st.data())
def test_a_restart_makes_no_difference(model: str, data: st.DataObject) -> None:
    """A fold rebuilt from the changelog after any batch goes on as if nothing had happened."""
    log = records(data.draw(stories(small=model == "small")))
    places = sorted(data.draw(cuts(log)) | {0, len(log)})
    steady, killed = Box(FILES[model]).feed(log, places), Box(FILES[model])
    for start, end in itertools.pairwise(places):
        killed.feed(log[start:end])
        killed.restart()
    assert killed.outputs == steady.outputs
    assert killed.changelog == steady.changelog


@given(data=st.data())
def test_an_open_batch_that_is_lost_never_happened(data: st.DataObject) -> None:
    """What was applied and not sealed leaves no trace: after a restart the same records say the same."""
    log = records(data.draw(stories(small=True)))
    place = data.draw(st.integers(0, len(log)))
    steady = Box(SMALL).feed(log, [place])
    killed = Box(SMALL).feed(log[:place])
    killed.fold.apply(log[place:])
    killed.restart()
    killed.feed(log[place:])
    assert killed.outputs == steady.outputs
    assert killed.changelog == steady.changelog


@pytest.mark.parametrize("seed", [1, 2])
def test_a_realistic_story_is_what_the_oracle_tells(seed: int) -> None:
    """Three weeks of sixty visitors with a tick an hour: every word is the oracle's."""
    start_ms, ticked_ms = MONDAY * 1000, 0
    log: list[Record] = []
    for act in story(seed, 60, start_ms, 21, acts_each=30):
        if act.arrives_ms - ticked_ms >= 3_600_000:
            ticked_ms = act.arrives_ms
            log.append(Record(len(log), ticked_ms, None, value_of(Time(ticked_ms // 1000))))
        log.append(Record(len(log), act.arrives_ms, key(act), encode(engagement(act))))
    end_s = start_ms // 1000 + 90 * DAY_S
    log += [Record(len(log) + n, end_s * 1000, None, value_of(Time(end_s - (9 - n) * 5 * DAY_S))) for n in range(10)]
    assert log[-1].timestamp > start_ms + 60 * DAY_MS
    compare(Box().feed(log, range(0, len(log), 97)), log)
