"""Very many things due at one tick: they are done in order, 500 a record, and nothing else waits for the end of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import pytest

from schemas.codec import decode
from schemas.records import Assignment, Notice, Tick
from streams.compiled import lead_fold
from streams.desk.fold import MOST_DUE as MOST_FIRED
from streams.fold import in_batches
from streams.lead_fold import CLOCK, FULL, MOST_DUE
from streams.rules import load
from tests.oracle.replay import Record
from tests.streams.desk.harness import MINUTE, Box, did, hand, log_of
from tests.streams.desk.harness import MONDAY as MONDAY_MS
from tests.streams.desk.harness import SMALL as SMALL_DESK
from tests.streams.harness import MONDAY, SHIPPED, Did, Time, key_of, value_of

RULES = load(SHIPPED)
A_RUN = 4_000
"""Records that one fetch brings at most."""
LONG = [pytest.mark.chaos_long, pytest.mark.timeout(0)]


def inbox(story: Sequence[Did | Time], first: int) -> list[Record]:
    """The story as it is appended."""
    return [
        Record(first + n, it.at_s * 1_000, key_of(it.lead) if isinstance(it, Did) else None, value_of(it))
        for n, it in enumerate(story)
    ]


@pytest.mark.parametrize("count", [6_000, pytest.param(1_000_000, marks=LONG)])
def test_leads_that_expire_at_one_tick_go_in_order_and_events_behind_it_go_on(count: int) -> None:
    """Each record lets the next 500 go, by (due, key); batches stay small; who comes meanwhile is scored as ever."""
    states: dict[bytes, bytes] = {}
    fold = lead_fold(0, states, RULES, 1)
    passers_by = [Did(MONDAY + n % 3_000, lead=f"a:{n}") for n in range(count)]
    for first in range(0, count, A_RUN):
        list(in_batches(fold, inbox(passers_by[first : first + A_RUN], first)))
    late_s = MONDAY + 3_000 + RULES.anonymous_idle_s
    others = [Did(late_s, lead=f"u:{n}") for n in range(max(20, count // MOST_DUE))]
    run = inbox([Time(late_s), *others], count)
    gone: list[bytes] = []
    folded, begun = 0, time.process_time()
    for part in (run[:5], run[5:]):  # a new owner in the midst knows what is still due
        fold, before = lead_fold(0, states, RULES, 1), 0
        for done, sealed in in_batches(fold, part):
            gone += [key for key, value in sealed.changes.items() if value is None]
            assert len(gone) == min(count, (folded + done) * MOST_DUE)
            assert len(sealed.changes) < FULL + MOST_DUE + done - before
            before = done
        folded += len(part)
    spent_s = time.process_time() - begun
    tell(f"{count:,} leads due at one tick, {len(others):,} events behind it: folded in {spent_s:.1f} s of CPU")
    assert gone == [key for _, key in sorted((it.at_s, key_of(it.lead)) for it in passers_by)]
    assert set(states) == {CLOCK, *(key_of(it.lead) for it in others)}


def roster(people: int) -> dict[str, str]:
    """A desk of so many people who are always there and have room for everything."""
    text = '[[team]]\nid = "sales"\nname = "Sales"\nmanager = "mert"\n'
    for name in ("mert", *(f"rep{n}" for n in range(people))):
        text += (
            f'[[person]]\nid = "{name}"\nname = "{name}"\nemail = "{name}@x.example"\nteam = "sales"\n'
            'zone = "Europe/Copenhagen"\nhours = { mon-sun = ["00:00-24:00"] }\n'
            'territories = ["nordics", "southern-europe"]\n'
            f'languages = ["en"]\ntopics = {[] if name == "mert" else ["sales"]}\ncapacity = 10000\n'
        )
    return {**SMALL_DESK, "roster.toml": text}


@pytest.mark.parametrize("count", [2_000, pytest.param(100_000, marks=LONG)])
def test_deadlines_that_pass_at_one_tick_keep_no_raised_hand_waiting(count: int) -> None:
    """500 a record, in order; a hand in the midst has its owner with its own record; who acts in time is not told."""
    box = Box(roster(12))
    box.get(Tick(MONDAY_MS), *(hand(n) for n in range(1, count + 1)))
    assert {it.status for it in box.said(Assignment)} == {"assigned"}
    due = MONDAY_MS + 2 * MINUTE
    box.wait(2 * MINUTE - 1, step=9_000)
    assert box.said(Notice) and not box.notices("reminder")
    accepted, new, reminded, longest_s = count - 1, count + 1, [], 0.0
    rep = box.last(accepted).owner
    for n in range(-(-count // MOST_FIRED)):
        before = len(box.outputs)
        story = [(due + n, Tick(due + n))]
        if n == 1:
            story += [(due, did(1, rep or "", "accept", accepted)), (due, hand(new))]
        begun = time.process_time()
        for record in log_of(story, box.offset):
            box.feed([record])
            longest_s = max(longest_s, -begun + (begun := time.process_time()))
        box.offset += len(story)
        said = [decode(it.value or b"") for it in box.outputs[before:]]
        now_reminded = [it.request_id for it in said if isinstance(it, Notice) and it.kind == "reminder"]
        assert len(now_reminded) <= MOST_FIRED * len(story)
        reminded += now_reminded
        if n == 1:
            (theirs,) = [it for it in said if isinstance(it, Assignment) and it.request_id == f"{new:016x}"]
            assert (theirs.status, theirs.source_offset) == ("assigned", box.offset - 1)
    tell(f"{count:,} deadlines passed at one tick: no record took over {longest_s * 1000:.0f} ms of CPU to fold")
    assert reminded == [f"{n:016x}" for n in range(1, count + 1) if n != accepted]


def tell(text: str) -> None:
    """Say a figure: nothing depends on it."""
    sys.stderr.write(f"\n{text}\n")
