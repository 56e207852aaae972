"""The audit itself: it finds nothing in what is right, and every sort of fault that is planted."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from schemas.codec import decode, encode
from schemas.records import LeadAlert, LeadState
from tests.chaos.audit import OUTPUTS, Verdict, judge
from tests.oracle.replay import Record
from tests.streams.harness import MONDAY, SHIPPED, Box, Did, Time, records

STORY = [Did(MONDAY, "demo_request"), Did(MONDAY, "download", "a"), Did(MONDAY, "search"), Did(MONDAY, "search")]
INBOX = records([*STORY, Did(MONDAY, lead="a:x"), Time(MONDAY + 20)])
Said = dict[str, list[Record]]
Plant = Callable[[Said], None]


def said() -> Said:
    """What the fold says of the inbox, as subscribers read it."""
    box, found = Box().feed(INBOX), Said({name: [] for name in OUTPUTS})
    for n, output in enumerate(box.outputs):
        found[output.topic].append(Record(n, 0, output.key, output.value))
    return found


def lose(topic: str) -> Plant:
    """The last record of the topic was lost."""
    return lambda said: said.update({topic: said[topic][:-1]})


def double(topic: str) -> Plant:
    """The last record of the topic came twice."""
    return lambda said: said[topic].append(said[topic][-1])


def invent(said: Said) -> None:
    """An alert that nothing caused."""
    alert = decode(said["lead.alerts"][0].value or b"")
    assert isinstance(alert, LeadAlert)
    value = encode(msgspec.structs.replace(alert, source_offset=10))
    said["lead.alerts"].append(Record(99, 0, said["lead.alerts"][0].key, value))


def miscount(said: Said) -> None:
    """A final state with two milli-points too many."""
    record = said["lead.state"][0]
    state = decode(record.value or b"")
    assert isinstance(state, LeadState)
    value = encode(msgspec.structs.replace(state, behaviour_millipoints=state.behaviour_millipoints + 2))
    said["lead.state"][0] = Record(record.offset, 0, record.key, value)


def test_nothing_is_found_in_what_is_right() -> None:
    """The fold's own words pass, and all of them are counted."""
    verdict = judge(SHIPPED, INBOX, said())
    assert verdict.faults() == []
    assert (verdict.counts["transition"], verdict.counts["alert"], verdict.counts["quarantined"]) == (2, 1, 1)


@pytest.mark.parametrize(
    ("plant", "where"),
    [
        (lose("lead.transitions"), "missing"),
        (lose("lead.alerts"), "missing"),
        (lose("engagement.quarantine"), "missing"),
        (double("lead.transitions"), "doubled"),
        (double("lead.alerts"), "doubled"),
        (double("engagement.quarantine"), "doubled"),
        (invent, "without_cause"),
        (lose("lead.state"), "states"),
        (miscount, "states"),
    ],
)
def test_a_planted_fault_is_found(plant: Plant, where: str) -> None:
    """What is lost, doubled, invented or miscounted is found, once, under its name."""
    words = said()
    plant(words)
    verdict = judge(SHIPPED, INBOX, words)
    assert len(getattr(verdict, where)) == 1
    assert len(verdict.faults()) == 1


def test_findings_of_partitions_add_up() -> None:
    """The whole verdict has every partition's faults and the longest pause of all."""
    total = Verdict()
    total.add(Verdict(missing=["a"], longest_pause_s=2.0))
    total.add(Verdict(missing=["b"], longest_pause_s=1.0))
    assert (total.missing, total.longest_pause_s) == (["a", "b"], 2.0)
