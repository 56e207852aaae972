"""Where the real number lies so near to a mark that rounding decides, the oracle takes the word of who published."""

from __future__ import annotations

import re

import pytest

from schemas.records import LeadAlert
from tests.oracle.replay import Partition, Record
from tests.streams.harness import MONDAY, SHIPPED, Box, Did, compare, key_of, naive, records

HURRIED = {**SHIPPED, "model.toml": re.sub(r"half_life_days = \d+", "half_life_days = 3", SHIPPED["model.toml"])}
NEAR_S = MONDAY + 58_823
"""Ten points and, 19 seconds later, fifty are then worth 59.999492 or, in integers, 59.9995: the one rounds to less."""


def records_at(at_s: int, after_s: int) -> tuple[Box, list[Record]]:
    """A lead that nears sixty points at its second event, and is above at its third."""
    events = [
        Did(at_s, "webinar_register", "w"),
        Did(at_s + after_s, "demo_request", mail=True),
        Did(at_s + 99, "download", "guide"),
    ]
    log = records(events)
    return Box(HURRIED).feed(log), log


def test_hot_is_in_doubt_by_a_hundredth_of_a_milli_point() -> None:
    """Integers say hot at the second event, the real number at the third: both are right, and the audit sees so."""
    box, log = records_at(NEAR_S, 19)
    (alert,) = box.said(LeadAlert)
    assert (alert.source_offset, alert.behaviour_millipoints) == (log[1].offset, 60_000)
    lead = Partition(naive(HURRIED), ()).tell(log[:2]).leads[key_of("u:ana").decode()]
    assert lead.millipoints(naive(HURRIED), NEAR_S + 19) == 59_999
    compare(box, log)


@pytest.mark.parametrize("word", ["hot", "mql"])
@pytest.mark.parametrize("after_s", [0, 60])
def test_without_doubt_the_oracle_believes_nobody(after_s: int, word: str) -> None:
    """A milli-point further away what was published makes no difference."""
    _, log = records_at(NEAR_S, after_s)
    lead_id = key_of("u:ana").decode()
    said = [
        Partition(naive(HURRIED), words).tell(log).changes
        for words in ((), {(record.offset, lead_id, word) for record in log})
    ]
    assert said[0] == said[1]
