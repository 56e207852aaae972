"""The life of a request at the desk, story by story, under the shipped rules."""

from __future__ import annotations

import itertools

from schemas.codec import encode
from schemas.records import Activity, Assignment, Engagement, Notice, Presence, Rejected, Tick
from tests.streams.desk.harness import (
    DAY,
    HOUR,
    MINUTE,
    MONDAY,
    SMALL,
    Box,
    did,
    hand,
    here,
    lead,
    ms,
    waited,
)


def test_a_raised_hand_gets_the_owner_of_its_territory_with_a_deadline_and_a_trace() -> None:
    """Jonas of the Nordics is Ben's, by five working minutes from now; the trace says why, and who was left out."""
    box = Box().get(hand(1))
    found = box.last(1)
    assert (found.owner, found.queue, found.status, found.due_at) == ("ben", None, "assigned", MONDAY + 5 * MINUTE)
    assert found.decided_at == MONDAY
    assert found.trace == (
        "rule nordics takes it (tried before: office (not its topic))",
        "left out of pool nordics: Ceyda Arslan (is on leave)",
        "Ben Holm is the only one",
    )
    (told,) = box.notices("raised_hand", "ben")
    assert told.text.startswith("Jonas Vik of Brightwater Pharma asks to be contacted: “call me before Thursday's")
    assert told.text.endswith("; by Mon 11:05.")
    (visitor,) = box.notices("confirmation")
    assert visitor.text == "Ben Holm will contact you by Mon 11:05 (Copenhagen time)."


def test_nobody_on_shift_means_a_named_queue_until_the_next_slot() -> None:
    """At night a request waits in a queue with somebody responsible; at the first slot it gets its owner."""
    night = ms("2026-11-23 22:00")
    box = Box(now=night).get(Tick(night), hand(1, at=night))
    found = box.last(1)
    assert (found.owner, found.queue, found.responsible, found.status) == (None, "desk", "mert", "queued")
    assert found.next_slot_at == found.due_at == ms("2026-11-24 07:30")
    assert box.notices("confirmation")[0].text == (
        "Thank you. We will contact you from Tue 08:30 (Copenhagen time) on."
    )
    box.wait(9 * HOUR + 31 * MINUTE)
    assert (box.last(1).owner, box.last(1).cause) == ("ben", "slot")


def test_the_ladder_reminds_offers_reassigns_and_escalates() -> None:
    """Two minutes: second channel; five: the next; fifteen: reassigned if there is another; sixty: the manager."""
    box = Box().get(Tick(MONDAY), hand(1))
    box.wait(2 * MINUTE)
    (reminder,) = box.notices("reminder", "ben")
    assert reminder.channels == ("email",)
    box.wait(3 * MINUTE)
    assert (box.last(1).owner, box.last(1).status, box.last(1).cause) == ("ana", "offered", "deadline")
    assert box.notices("offer_moved", "ana")
    box.wait(10 * MINUTE)
    assert (box.last(1).owner, box.last(1).status) == ("ana", "offered")
    assert "it stays with Ana Duarte" in box.last(1).trace
    box.wait(45 * MINUTE)
    found = box.last(1)
    assert (found.owner, found.queue, found.responsible, found.status) == (None, "manager", "mert", "escalated")
    assert box.notices("escalation", "manager")


def test_an_acknowledgement_pauses_and_lapses() -> None:
    """Who takes it has ten minutes to reach somebody; then the ladder goes on where it was paused."""
    box = Box().get(Tick(MONDAY), hand(1)).wait(MINUTE).get(did(1, "ben", "accept", 1))
    assert (box.last(1).status, box.last(1).due_at) == ("accepted", MONDAY + 11 * MINUTE)
    box.wait(10 * MINUTE)
    found = box.last(1)
    assert (found.status, found.owner, found.cause) == ("assigned", "ben", "lapsed")
    assert found.due_at == MONDAY + 15 * MINUTE  # four of the five minutes were left
    box.get(did(2, "ben", "accept", 1))
    assert box.last(1).status == "assigned"
    assert "already" in box.notices("refused", "ben")[0].text


def test_contacted_ends_the_countdown() -> None:
    """A contact is final: nothing is due any more, whatever time passes."""
    box = Box().get(Tick(MONDAY), hand(1), did(1, "ben", "accept", 1), did(2, "ben", "contacted", 1))
    assert (box.last(1).status, box.last(1).owner, box.last(1).due_at) == ("contacted", "ben", None)
    said = len(box.outputs)
    box.wait(2 * HOUR)
    assert len(box.outputs) == said
    box.get(did(3, "ben", "won", 1))
    assert box.last(1).status == "won"


def test_of_two_who_accept_the_first_in_the_log_wins() -> None:
    """The second is told who was first."""
    box = Box().get(hand(1), did(1, "ana", "accept", 1), did(2, "ben", "accept", 1))
    assert (box.last(1).owner, box.last(1).status) == ("ana", "accepted")
    assert [it.text for it in box.notices("taken", "ben")] == [
        "Ana Duarte has taken the request of Jonas Vik of Brightwater Pharma",
        "Ana Duarte has the request of Jonas Vik of Brightwater Pharma already",
    ]


def test_who_declined_is_not_asked_again() -> None:
    """A declined request goes to the next, then to the queue, never back."""
    box = Box().get(Tick(MONDAY), hand(1), did(1, "ben", "decline", 1))
    assert (box.last(1).owner, box.last(1).cause) == ("ana", "decline")
    assert box.last(1).trace[0] == "Ben Holm declined it: no time"
    box.get(did(2, "ana", "decline", 1))
    assert (box.last(1).owner, box.last(1).queue) == (None, "desk")
    box.wait(30 * MINUTE)
    assert box.last(1).owner is None
    assert {it.owner for it in box.said(Assignment)[2:]} == {None}


def test_six_tries_in_ten_working_days_then_no_response() -> None:
    """Each attempt schedules the next; the sixth without an answer is the last."""
    box = Box().get(Tick(MONDAY), hand(1))
    for number in range(6):
        box.get(did(number, "ben", "attempted", 1))
        found = box.last(1)
        assert found.attempt == number + 1
        if number < 5:
            assert found.status == "attempted"
            assert found.due_at is not None
            box.wait(found.due_at - box.now, 9_900)
            assert "try again" in box.notices("reminder", "ben")[-1].text
    assert (box.last(1).status, box.last(1).cause) == ("expired", "no_response")
    assert box.now - MONDAY < 14 * DAY


def test_a_try_that_is_forgotten_goes_to_the_manager() -> None:
    """A next try that is a working day late is the manager's."""
    box = Box().get(Tick(MONDAY), hand(1), did(1, "ben", "attempted", 1)).wait(2 * DAY, 9_000)
    assert (box.last(1).status, box.last(1).queue) == ("escalated", "manager")


def test_what_may_be_spam_waits_for_somebody_to_look() -> None:
    """A suspect goes to the check queue, never to the rotation; released it is routed and scores."""
    event = Engagement(b"12345678", MONDAY, "demo_request", "", "", "suspect", None, (lead("u:x"),), "s", "m", "track",
                       "Demo Requested", MONDAY, verdict_reasons=("honeypot",))  # fmt: skip
    suspect = hand(1, "u:x", verdict="suspect", verdict_reasons=("honeypot",), engagement=encode(event))
    box = Box().get(Tick(MONDAY), suspect)
    found = box.last(1)
    assert (found.queue, found.responsible, found.follow_up_class) == ("check", "mert", "suspect")
    assert not box.notices("confirmation")
    box.wait(15 * MINUTE)
    assert box.notices("reminder", "check")
    box.get(did(1, "mert", "release", 1))
    assert (box.last(1).owner, box.last(1).follow_up_class) == ("ben", "contact_request")
    first, second = (it for it in box.said(Engagement))
    assert (first.verdict, second.verdict, second.verdict_reasons) == ("suspect", "human", ())
    assert all(it.key == lead("u:x").encode() for it in box.outputs if it.topic == "lead.events")


def test_requests_of_one_person_have_one_owner() -> None:
    """A second request that shares an identifier with an open one is the same owner's, though the rule says another."""
    first = hand(1, "a:phone", identifiers=(lead("a:phone"), lead("e:jonas")))
    second = hand(2, "u:jonas", identifiers=(lead("u:jonas"), lead("e:jonas")), country="PT")
    box = Box().get(first, second)
    assert box.last(1).owner == box.last(2).owner == "ben"
    box.get(did(1, "ben", "contacted", 2))
    assert box.last(1).status == box.last(2).status == "contacted"


def test_a_request_that_joins_two_open_ones_makes_them_one() -> None:
    """Two requests with two owners turn out to be one person's: the older's owner has all."""
    box = Box().get(hand(1, "a:x"), hand(2, "u:y", country="PT"))
    assert (box.last(1).owner, box.last(2).owner) == ("ben", "ana")
    box.get(hand(3, "u:y", identifiers=(lead("u:y"), lead("a:x"))))
    assert [box.last(n).owner for n in (1, 2, 3)] == ["ben"] * 3
    assert box.notices("taken", "ana")


def test_the_former_owner_comes_first_for_thirty_days() -> None:
    """Who had the last request of somebody gets the next, if they can; not after 30 days."""
    for days, owner in ((7, "ana"), (35, "ben")):
        box = Box().get(Tick(MONDAY), hand(1, country="PT", who="u:x"), did(1, "ana", "contacted", 1))
        box.wait(days * DAY, 6 * HOUR).get(hand(2, "u:x", at=box.now))
        assert box.last(2).owner == owner, box.last(2).trace


def test_support_is_the_office_s() -> None:
    """Support, partner and press requests are routed by topic, and do not score."""
    box = Box().get(hand(1, topic="support", engagement=b"x"))
    assert box.last(1).owner == "mert"
    assert not [it for it in box.outputs if it.topic == "lead.events"]


def test_two_missed_in_a_shift_rest_until_the_next() -> None:
    """Who has missed two deadlines is left out until the next shift, if somebody else is there."""
    box = Box(SMALL).get(here("ana", "away", MONDAY + HOUR), here("ceyda", "away", MONDAY + 12 * HOUR))
    box.get(Tick(MONDAY), hand(1), hand(2)).wait(6 * MINUTE)
    assert box.last(1).owner == box.last(2).owner == "ben"
    box.get(hand(3, at=box.now))
    assert box.last(3).owner == "ben"  # nobody rests who is the last
    box.get(here("ana", "on"), hand(4, at=box.now))
    assert box.last(4).owner == "ana"
    assert "missed two in this shift" in " ".join(box.last(4).trace)
    box.get(did(1, "ben", "contacted", 1), did(2, "ben", "contacted", 2), did(3, "ben", "contacted", 3))
    box.wait(DAY, 9_000).get(here("ana", "away"), hand(5, at=box.now))
    assert box.last(5).owner == "ben"
    assert "missed" not in " ".join(box.last(5).trace)


def test_an_outage_is_nobody_s_miss() -> None:
    """If no ticks came for half an hour, a deadline moves by half an hour, and nobody has missed it."""
    box = Box().get(Tick(MONDAY), hand(1)).wait(MINUTE)
    box.now += 30 * MINUTE
    box.wait(3 * MINUTE)
    assert (box.last(1).owner, box.last(1).status) == ("ben", "assigned")
    box.wait(MINUTE)
    assert box.last(1).status == "offered"


def test_somebody_whose_shift_ends_before_the_deadline_is_skipped() -> None:
    """Three minutes before the end of Ben's day the request goes to Ana, who has longer."""
    at = ms("2026-11-23 15:57")
    box = Box().get(hand(1, at=at), at=at)
    assert box.last(1).owner == "ana"
    assert "ends the shift before the deadline" in " ".join(box.last(1).trace)


def test_hot_leads_and_qualified_ones_come_once_each() -> None:
    """What desk.waiting says twice counts once; a lead that gets hot after it qualified is the same owner's."""
    box = Box().get(waited(7, "u:elif", "mql"), waited(7, "u:elif", "mql"), waited(3, "u:old"))
    assert [(it.request_id, it.follow_up_class) for it in box.said(Assignment)] == [("w0-7", "qualified")]
    box.get(waited(9, "u:elif", "hot"))
    assert (box.last("w0-7").follow_up_class, box.last("w0-7").owner) == ("hot_lead", "ben")
    assert box.last("w0-7").due_at is not None
    assert box.notices("hot_lead", "ben")


def test_a_crossing_while_the_hand_is_open_is_spent() -> None:
    """A lead whose raised hand is open gets no second request for being hot."""
    box = Box().get(hand(1, "u:elif"), waited(1, "u:elif"))
    assert len(box.said(Assignment)) == 1


def test_call_after_moves_the_deadline() -> None:
    """Who wants to be called at three is called at three, by somebody who is there then."""
    box = Box().get(hand(1, call_after=ms("2026-11-23 17:00"), preferred_channel="phone"))
    assert (box.last(1).owner, box.last(1).due_at) == ("ana", ms("2026-11-23 17:05"))
    assert "asks to be contacted, best by phone: “" in box.notices("raised_hand", "ana")[0].text


def test_what_cannot_be_carried_out_is_a_dead_letter() -> None:
    """Unknown people, activities and presences, and records of other topics, are rejected with a reason."""
    box = Box().get(
        hand(1),
        did(1, "nobody", "accept", 1),
        did(2, "ben", "dance", 1),
        here("nobody", "on"),
        here("ben", "asleep"),
        hand(2, lead_id="x"),
        Notice("n", "ben", "reminder", None, None, "", 0, 0, None, ()),
    )
    assert [it.code for it in box.said(Rejected)] == [
        *("unknown_person", "unknown_activity", "unknown_person", "unknown_presence", "bad_id", "not_an_inbox_record"),
    ]
    assert len(box.said(Assignment)) == 1


def test_an_impossible_step_changes_nothing_and_says_why() -> None:
    """What the table of the lifecycle does not allow is refused in words."""
    box = Box().get(hand(1), did(1, "ben", "reopen", 1), did(2, "ben", "release", 1), did(3, "ben", "accept", 9))
    assert len(box.said(Assignment)) == 1
    assert [it.text for it in box.notices("refused", "ben")] == [
        "reopen changes nothing: the request of Jonas Vik of Brightwater Pharma is assigned",
        "release changes nothing: the request of Jonas Vik of Brightwater Pharma is assigned",
        "accept changes nothing: there is no such request",
    ]


def test_a_closed_request_can_be_opened_again() -> None:
    """Reopened, it goes to who had it."""
    box = Box().get(hand(1, country="PT"), did(1, "ana", "lost", 1), did(2, "mert", "reopen", 1))
    assert (box.last(1).owner, box.last(1).status, box.last(1).cause) == ("ana", "assigned", "reopen")


def test_an_activity_may_name_the_lead() -> None:
    """A CRM that knows no request ids says whom it is about."""
    activity = Activity("a1", None, lead("u:visitor 1"), "ben", "contacted", "", "", "phone", MONDAY, "crm")
    assert Box().get(hand(1), activity).last(1).status == "contacted"


def test_memory_ends() -> None:
    """A closed request is forgotten after 30 days, with all that was kept for it."""
    box = Box().get(Tick(MONDAY), hand(1), did(1, "ben", "contacted", 1)).wait(31 * DAY, 6 * HOUR)
    assert {key[:2] for key in box.changelog} == {b"\x00c", b"c/"}


def test_presence_without_an_end_lasts_to_the_next_shift() -> None:
    """Nobody stays away for good because they forgot to come back."""
    box = Box().get(Tick(MONDAY), here("ben", "away"), hand(1))
    assert box.last(1).owner == "ana"
    box.wait(DAY, 9_000).get(hand(2, at=box.now))
    assert box.last(2).owner == "ben"
    assert isinstance(here("ben", "on"), Presence)


def test_a_new_worker_knows_what_the_old_one_knew() -> None:
    """Presence, misses, turns, open requests and the place on desk.waiting outlive a worker."""
    box = Box(SMALL).get(Tick(MONDAY), here("ana", "away"), here("ceyda", "away"), hand(1), hand(2), waited(5, "u:x"))
    box.wait(6 * MINUTE).restart().get(here("ceyda", "on"), hand(3, at=box.now), waited(5, "u:y"))
    trace = " ".join(box.last(3).trace)
    assert "Ana Duarte (is away)" in trace
    assert "Ben Holm (missed two in this shift)" in trace
    assert box.last(3).owner == "ceyda"
    assert {it.request_id for it in box.said(Assignment) if it.request_id[0] == "w"} == {"w0-5"}
    box.restart().get(did(1, "ben", "accept", 1))
    assert box.last(1).status == "accepted"


def test_a_hot_lead_is_reassigned_once_in_the_owner_s_time_then_waits_in_the_queue() -> None:
    """72 working minutes: a reminder; 120: the next; then the pool's queue, where somebody else may get it."""
    box = Box(SMALL).get(Tick(MONDAY), waited(1, "u:elif"))
    first = box.last("w0-1")
    assert first.due_at == MONDAY + 120 * MINUTE
    box.wait(75 * MINUTE, 9_000)
    assert box.notices("reminder", first.owner)
    box.wait(50 * MINUTE, 9_000)
    second = box.last("w0-1")
    assert second.owner not in (None, first.owner)
    assert second.status == "assigned"
    box.wait(2 * DAY, 9_000)
    assert [it.status for it in box.said(Assignment)][:3] == ["assigned", "assigned", "queued"]
    owners = [owner for owner, _ in itertools.groupby(it.owner for it in box.said(Assignment) if it.owner)]
    assert sorted(owners) == ["ana", "ben", "ceyda"]  # each once


def test_who_had_the_offer_before_may_still_take_it() -> None:
    """While it is only offered on, the first who was asked can accept it, and the second is told."""
    box = Box().get(Tick(MONDAY), hand(1)).wait(5 * MINUTE)
    assert box.last(1).owner == "ana"
    box.get(did(1, "ben", "accept", 1))
    assert (box.last(1).owner, box.last(1).status) == ("ben", "accepted")
    assert box.notices("taken", "ana")


def test_who_has_the_offer_no_more_can_still_decline() -> None:
    """Declined by somebody who does not have it, it stays where it is, and is not theirs again."""
    box = Box().get(Tick(MONDAY), hand(1)).wait(5 * MINUTE).get(did(1, "ben", "decline", 1))
    assert (box.last(1).owner, box.last(1).trace) == ("ana", ("Ben Holm declined it: no time",))


def test_the_manager_may_close_what_somebody_has_taken() -> None:
    """A team's manager closes a request of the team without taking it."""
    box = Box().get(hand(1), did(1, "ben", "accept", 1), did(2, "mert", "lost", 1))
    assert (box.last(1).status, box.last(1).owner) == ("lost", "ben")


def test_a_queue_can_be_claimed() -> None:
    """Whoever accepts what waits in a queue has it; unanswered it goes back onto the ladder."""
    night = ms("2026-11-23 22:00")
    box = Box(now=night).get(Tick(night), hand(1, at=night), did(1, "ana", "accept", 1))
    assert (box.last(1).owner, box.last(1).queue, box.last(1).status) == ("ana", None, "accepted")
    box.wait(11 * HOUR, 9_000)
    assert {it.cause for it in box.said(Assignment)} >= {"lapsed", "deadline"}


def test_what_nobody_has_room_for_goes_to_the_manager_in_time() -> None:
    """A request that waits while people work is offered every minute, and is the manager's after an hour."""
    box = Box().get(Tick(MONDAY), here("ben", "away"), here("ana", "away"), hand(1))
    assert box.last(1).queue == "desk"
    box.wait(64 * MINUTE, 9_000)
    assert (box.last(1).status, box.last(1).queue) == ("escalated", "manager")


def test_who_comes_back_gets_what_waits() -> None:
    """A request that waited because all were away is given out within a minute of somebody's return."""
    box = Box().get(Tick(MONDAY), here("ben", "away"), here("ana", "away"), hand(1)).wait(10 * MINUTE)
    box.get(here("ana", "on")).wait(MINUTE)
    assert (box.last(1).owner, box.last(1).cause) == ("ana", "slot")


def test_a_no_show_gives_the_credit_back_and_is_tried_again() -> None:
    """Somebody who did not come to the appointment cost no turn."""
    box = Box(SMALL).get(Tick(MONDAY), hand(1))
    owner = box.last(1).owner or ""
    box.get(did(1, owner, "contacted", 1), did(2, owner, "no_show", 1))
    assert (box.last(1).status, box.last(1).attempt, box.last(1).owner) == ("attempted", 1, owner)
    box.get(hand(2))
    assert box.last(2).owner == owner


def test_nobody_s_request_expires_after_thirty_days() -> None:
    """What nobody has touched for 30 days ends, and says so."""
    box = Box().get(Tick(MONDAY), waited(1, "u:elif", "mql"), did(1, "ben", "decline", 1))
    for _ in range(31):
        box.wait(DAY, 8_640_000 // 960)
    assert box.last("w0-1").status == "expired"
