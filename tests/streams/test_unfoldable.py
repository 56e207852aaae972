"""A record whose folding raises: a fault of the fold or of its rules, which stops the partition in words."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import replace
from unittest.mock import patch

import pytest

from schemas.codec import decode
from schemas.records import Rejected, Tick
from streams.compiled import CompiledFold
from streams.desk.fold import DeskFold
from streams.desk.ladder import Ladder
from streams.fold import PartitionFold, Sealed, Unfoldable
from streams.lead_fold import LeadFold
from streams.rules import Condition, Rules, load
from tests.oracle.replay import Record
from tests.streams.desk.harness import MINUTE, hand, loaded, log_of
from tests.streams.desk.harness import MONDAY as MONDAY_MS
from tests.streams.desk.harness import SHIPPED as DESK_FILES
from tests.streams.harness import MONDAY, SMALL, Did, records

Make = Callable[[Set[int]], PartitionFold]


class Hostile(Condition, frozen=True):
    """A condition that nobody foresaw."""

    def holds(self, properties: object) -> bool:
        """Never answers."""
        raise ZeroDivisionError("hostile")


def raising() -> Rules:
    """Rules of which one raises at downloads of one asset."""
    rules = load(SMALL)
    rule = replace(rules.matching("download", "PAPERS")[0], conditions=(Hostile("seconds", 1),))
    rules._memo["download"]["HOSTILE"] = (rule,)
    return rules


def leads(fold: type[LeadFold]) -> tuple[Make, list[Record]]:
    """A lead fold under those rules, and an inbox whose middle they cannot take."""
    log = records(Did(MONDAY + n, "download", "HOSTILE" if n == 3 else "PAPERS", mail=True) for n in range(7))
    return lambda skip: fold(0, {}, raising(), 1, skip=skip), log


def told(fold: PartitionFold, log: list[Record]) -> Sealed:
    """What all of it comes to."""
    assert fold.apply(log) == len(log), fold.ready()
    return fold.seal()


@pytest.mark.parametrize("kind", [LeadFold, CompiledFold])
def test_a_rule_that_raises_is_told_with_the_record_s_place_and_the_remedy(kind: type[LeadFold]) -> None:
    """Whatever is raised: what, where, and the two ways out."""
    make, log = leads(kind)
    with pytest.raises(Unfoldable) as failed:
        make(frozenset()).apply(log)
    assert isinstance(failed.value.__cause__, ZeroDivisionError)
    assert f"lead.events, partition 0, offset {log[3].offset}\n" in str(failed.value)
    assert f"handraise worker leads --skip 0:{log[3].offset}" in str(failed.value)


@pytest.mark.parametrize("kind", [LeadFold, CompiledFold])
def test_what_is_skipped_is_a_dead_letter_and_otherwise_as_if_it_had_never_been(kind: type[LeadFold]) -> None:
    """The decision is on record, with the bytes; the states and words of the others are the same."""
    make, log = leads(kind)
    without = told(make(frozenset()), [*log[:3], *log[4:]])
    with_it = told(make({log[3].offset}), log)
    assert with_it.changes == without.changes
    (letter,) = [it for it in with_it.outputs if it not in without.outputs]
    rejected = decode(letter.value or b"")
    assert isinstance(rejected, Rejected)
    assert (rejected.code, rejected.record, rejected.offset) == ("skipped", log[3].value, log[3].offset)
    assert [it for it in with_it.outputs if it is not letter] == without.outputs


def test_a_desk_that_cannot_fold_a_record_says_so_too() -> None:
    """A tick at which a step of the ladder raises is told, and can be skipped; the next tick would be tried again."""
    log = log_of([(MONDAY_MS, Tick(MONDAY_MS)), (MONDAY_MS, hand(1))])
    log += log_of([(at, Tick(at)) for at in range(MONDAY_MS, MONDAY_MS + 3 * MINUTE, 9_000)], 2)
    rules = loaded(tuple(DESK_FILES.items()))
    with patch.object(Ladder, "_remind", side_effect=KeyError("hostile")), pytest.raises(Unfoldable) as failed:
        DeskFold(0, {}, rules, 4).apply(log)
    (offset,) = [n for n in range(len(log)) if f"offset {n}\n" in str(failed.value)]
    assert f"handraise worker desk --skip 0:{offset}" in str(failed.value)
    skipping = DeskFold(0, {}, rules, 4, skip={offset})
    told(skipping, log)
