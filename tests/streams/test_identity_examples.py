"""Identity by example: who is one person, whose each event is, and what is said of it."""

from __future__ import annotations

from itertools import permutations

import pytest

from schemas.codec import encode
from schemas.records import LeadAlert, LeadDuplicate, LeadTransition, NotTheSame, Rejected
from streams.explain import explain
from streams.lead_fold import LeadFold
from streams.links import LOST, REFUSED, entries
from streams.state import Lead
from streams.state import decode as decode_state
from tests.oracle.naive import DAY_S
from tests.oracle.replay import Record
from tests.streams.harness import MONDAY, SHIPPED
from tests.streams.network import INBOX, Act, Network, Wish, id_of, ids_of

STRONG, WEAK = sorted(("ana", "ben"), key=lambda name: id_of(f"u:{name}"))
"""Two users, of whom the first survives a merge."""


def act(second: int, who: str = "", kind: str = "page_view", asset: str = "/", **more: str) -> Act:
    """An event by `user@device`, a user alone or a device alone."""
    user, _, device = who.partition("@")
    return Act(MONDAY + second, kind, asset, user=user, device=device, name=f"{who} {second}", **more)


def names(network: Network, lead: str) -> list[str]:
    """Where each of a lead's points came from: the devices by the order of the events."""
    rows = explain(network.lead(lead), network.rules, MONDAY + 40 * DAY_S).rows
    return [row.device or "" for row in rows if row.event_id and row.rule == "page_view"]


def identity(network: Network) -> list[tuple[str, str, str, str | None]]:
    """The changes of identity: (lead, before, after, other)."""
    found = [it for it in network.said(LeadTransition) if it.aspect == "identity"]
    return [(it.lead_id, it.before, it.after, it.other) for it in found]


def duplicates(network: Network) -> list[tuple[str, str, str, str]]:
    """The suspicions: (evidence, stronger lead, other lead, status)."""
    return [(it.evidence, it.lead_id, it.other_id, it.status) for it in network.said(LeadDuplicate)]


def test_marta() -> None:
    """Anonymous on a phone, later on a laptop, signed in on both, an e-mail in a form: one lead, every page once."""
    network = Network().tell(
        *[act(n, "@phone", asset=f"/{n}") for n in range(3)],
        *[act(100 + n, "@laptop", asset=f"/{n}") for n in range(3)],
        act(200, "marta@laptop"),
        act(201, "@laptop"),
        act(300, "marta@phone"),
        act(400, "marta@phone", "form_submit", "Contact us", email="marta@c.example"),
        Act(MONDAY + 500, "email_click", email="marta@c.example", name="click"),
        act(600, "@phone"),
    )
    (key,) = network.leads()
    assert key == id_of("u:marta")
    marta = network.lead("u:marta")
    assert marta.events == len(set(ids_of(marta))) == 12
    phone, laptop = id_of("a:phone"), id_of("a:laptop")
    assert names(network, "u:marta") == [phone] * 3 + [laptop] * 5 + [phone] * 2
    assert {(each.kind, each.value) for each in marta.known} == {("u", "marta"), ("e", "marta@c.example")}
    assert sorted(identity(network)) == sorted([(each, "lead", "moved", key) for each in (phone, laptop)])


def test_a_shared_computer() -> None:
    """Its past stays with the first, its future goes to the second, and back again with the first's next sign-in."""
    network = Network().tell(
        act(0, "@sofa"), act(1, "ana@sofa"), act(2, "@sofa"),
        act(3, "ben@sofa"), act(4, "@sofa"), act(5, "@sofa"),
        act(6, "ana@sofa"), act(7, "@sofa"),
    )  # fmt: skip
    assert (network.lead("u:ana").events, network.lead("u:ben").events) == (5, 3)
    sofa = id_of("a:sofa").encode()
    status = {name: {link.id: link.status for link in entries(network.lead(name).links)} for name in ("u:ana", "u:ben")}
    assert status["u:ben"][sofa] == LOST
    assert status["u:ana"][sofa] < LOST


def test_an_event_belongs_to_whom_the_device_was_when_it_happened() -> None:
    """Sent again, or for the first time, when the device has changed hands twice: each still gets what was theirs."""
    early, later = act(2, "@sofa"), act(5, "@sofa")
    network = Network().tell(act(0, "@sofa"), act(1, "ana@sofa"), early, act(4, "ben@sofa"), later, act(6, "eva@sofa"))
    network.tell(early, later, act(3, "@sofa"), act(0, "@sofa"), act(7, "@sofa"))
    assert [network.lead(f"u:{name}").events for name in ("ana", "ben", "eva")] == [4, 2, 2]


def test_an_older_sign_in_that_comes_late_takes_nothing() -> None:
    """A sign-in from before the present owner's, read after it, counts for its person and does not move the device."""
    network = Network().tell(act(5, "ana@sofa"), act(3, "ben@sofa"), act(6, "@sofa"))
    assert (network.lead("u:ana").events, network.lead("u:ben").events) == (2, 1)


def test_who_saw_a_device_later_than_its_address_knows_claims_it_again() -> None:
    """Only the first of somebody's sign-ins is told to the device; when another one claims it, the latest decides."""
    network = Network().tell(act(0, "ana@sofa"), act(9, "ana@sofa"), act(5, "ben@sofa"), act(10, "@sofa"))
    assert (network.lead("u:ana").events, network.lead("u:ben").events) == (3, 1)


@pytest.mark.parametrize("first", [0, 1])
def test_at_the_same_second_the_stronger_lead_has_the_device(first: int) -> None:
    """Whichever of the two sign-ins is read first."""
    acts = [act(5, f"{name}@sofa") for name in (STRONG, WEAK)]
    network = Network().tell(acts[first], acts[1 - first], act(6, "@sofa"))
    assert network.moved()[id_of("a:sofa")].to == id_of(f"u:{STRONG}")


def test_an_address_has_one_owner() -> None:
    """The first user who gave it keeps it; of the second it is said that the two may be one."""
    mail = "us@c.example"
    network = Network().tell(
        Act(MONDAY, email=mail, name="1"), act(1, "ana", email=mail), act(2, "ben", email=mail),
        Act(MONDAY + 3, email=mail, name="3"),
    )  # fmt: skip
    assert (network.lead("u:ana").events, network.lead("u:ben").events) == (3, 1)
    assert duplicates(network) == [("email_claimed", id_of(f"u:{STRONG}"), id_of(f"u:{WEAK}"), "suspected")]
    ben = {link.id: link.status for link in entries(network.lead("u:ben").links)}
    assert ben[id_of(f"e:{mail}").encode()] == REFUSED


def test_a_device_of_an_address_goes_with_it() -> None:
    """Clicks from a mail link the device to the address; when its user turns up, both are theirs, in one step."""
    mail = "m@c.example"
    network = Network().tell(
        Act(MONDAY, "email_click", email=mail, device="phone", name="1"), act(1, "@phone"), act(2, "ana", email=mail)
    )
    assert network.lead("u:ana").events == 3
    assert {address.to for address in network.moved().values()} == {id_of("u:ana")}


def test_a_click_from_a_mail_verifies_the_address() -> None:
    """Of two addresses that one is verified which a human followed a link to; a bot's click proves nothing."""
    network = Network().tell(
        act(0, "ana", email="a@c.example"),
        act(1, "ana", email="b@c.example"),
        act(2, "ana", "email_click", email="a@c.example", verdict="bot"),
        act(3, "ana", "email_click", email="a@c.example"),
        act(4, "ana", "email_click", email="a@c.example"),
    )
    verified = {each.value: each.verified for each in network.lead("u:ana").known}
    assert verified == {"ana": 0, "a@c.example": MONDAY + 3, "b@c.example": 0}


def test_two_halves_of_a_hot_lead_are_hot_together() -> None:
    """Thirty points on a device and thirty of a person who can be reached: hot when they are one, told once."""
    network = Network().tell(
        *[act(n, "@phone", "download", f"paper {n}") for n in range(2)],
        act(10, "ana", "trial_start", "fleet", email="a@c.example"),
    )
    assert network.said(LeadAlert) == []
    network.tell(act(20, "ana@phone", "unknown"))
    (alert,) = network.said(LeadAlert)
    assert (alert.lead_id, alert.cause_event, alert.behaviour_millipoints >= 59_990) == (id_of("u:ana"), None, True)
    assert [reason.rule for reason in alert.reasons] == ["download", "trial_started"]


def test_what_was_told_before_a_merge_is_not_told_again() -> None:
    """Two hot leads become one: it stays hot, and nobody is told a third time; after the cooldown they are."""
    network = Network().tell(
        *[act(0, name, "demo_request", email=f"{name}@c.example") for name in ("ana", "ben")],
        *[act(1, name, "trial_start", "fleet") for name in ("ana", "ben")],
    )
    assert len(network.said(LeadAlert)) == 2
    network.tell(Wish("u:ana", "u:ben", MONDAY + 2), act(3, "ana", "demo_request"), act(4, "ben", "checkout"))
    assert len(network.said(LeadAlert)) == 2
    assert network.lead("u:ana").hot_since == MONDAY + 1


def test_the_further_stage_is_kept() -> None:
    """An inquiry that absorbs a qualified lead is qualified, and says why."""
    network = Network().tell(
        act(0, WEAK, "demo_request", email="w@c.example"), act(1, STRONG), Wish(f"u:{WEAK}", f"u:{STRONG}", MONDAY + 9)
    )
    assert network.lead(f"u:{STRONG}").stage == 2
    (step,) = [it for it in network.said(LeadTransition) if (it.lead_id, it.after) == (id_of(f"u:{STRONG}"), "mql")]
    assert id_of(f"u:{WEAK}") in step.cause


def test_a_merge_can_be_undone() -> None:
    """The absorbed lead is as it was, device included; what came after the merge stays with the survivor."""
    network = Network().tell(
        act(0, f"{WEAK}@phone", "download", "a"), act(1, STRONG, "download", "b"),
        Wish(f"u:{STRONG}", f"u:{WEAK}", MONDAY + 10), act(20, WEAK, "download", "c"), act(21, "@phone"),
    )  # fmt: skip
    weak, strong = id_of(f"u:{WEAK}"), id_of(f"u:{STRONG}")
    assert network.lead(f"u:{WEAK}").events == 4
    network.tell(Wish(f"u:{WEAK}", at_s=MONDAY + 30), act(40, "@phone"), act(41, WEAK))
    assert set(network.leads()) == {weak, strong}
    assert (network.leads()[weak].events, network.leads()[strong].events) == (3, 3)
    assert network.score(network.leads()[strong], MONDAY + 41) == pytest.approx(31_000, abs=5)
    assert set(identity(network)) >= {(weak, "lead", "moved", strong), (weak, "moved", "lead", strong)}
    assert not network.said(Rejected)


def test_a_merge_that_was_undone_can_be_made_again() -> None:
    """Merged, parted, merged: one lead with every event once."""
    network = Network().tell(act(0, WEAK), act(1, STRONG))
    for n in range(3):
        network.tell(Wish(f"u:{STRONG}", f"u:{WEAK}", MONDAY + 10 * n), act(10 * n + 5, WEAK))
        network.tell(Wish(f"u:{WEAK}", at_s=MONDAY + 10 * n + 6)) if n < 2 else None
    assert set(network.leads()) == {id_of(f"u:{STRONG}")}
    assert network.lead("u:ana").events == 5


def test_idle_leads_that_were_merged_and_parted_stay_parted() -> None:
    """A wish made long after the last event of either is undone for good."""
    network = Network().tell(act(0, WEAK), act(1, STRONG), Wish(f"u:{STRONG}", f"u:{WEAK}", MONDAY + 9 * DAY_S))
    network.tell(Wish(f"u:{WEAK}", at_s=MONDAY + 9 * DAY_S + 1))
    assert [lead.events for lead in network.leads().values()] == [1, 1]
    assert network.moved() == {}


def test_merges_are_undone_from_the_inside() -> None:
    """A lead merged into one that was merged itself: undone in either order, each has its own again."""
    first, second, third = sorted(("ana", "ben", "eva"), key=lambda name: id_of(f"u:{name}"))
    merges = [Wish(f"u:{third}", f"u:{second}", MONDAY + 5), Wish(f"u:{second}", f"u:{first}", MONDAY + 6)]
    for order in ((second, third), (third, second)):
        network = Network().tell(*[act(n, name) for n, name in enumerate((first, second, third))], *merges)
        assert network.lead(f"u:{third}").events == 3
        network.tell(*[Wish(f"u:{name}", at_s=MONDAY + 9) for name in order])
        assert [lead.events for lead in network.leads().values()] == [1, 1, 1]


def test_a_merge_that_is_under_way_cannot_be_undone() -> None:
    """Nor merged again while it is being undone: it is said why, nothing is lost, and a second later it can be."""
    merge, undo = Wish(f"u:{WEAK}", f"u:{STRONG}", MONDAY + 5), Wish(f"u:{WEAK}", at_s=MONDAY + 6)
    network = Network().tell(act(0, WEAK), act(1, STRONG)).say(merge, undo).settle()
    assert [it.code for it in network.said(Rejected)] == ["under_way"]
    assert network.lead(f"u:{STRONG}").events == 2
    network.say(undo, undo, merge).settle()
    assert [it.code for it in network.said(Rejected)] == ["under_way"] * 3
    assert "say it again" in network.said(Rejected)[-1].reason
    assert [lead.events for lead in network.leads().values()] == [1, 1]
    network.tell(merge)
    assert [lead.events for lead in network.leads().values()] == [2]


def test_a_merge_into_one_that_was_just_merged_is_undone() -> None:
    """Its points passed by whom it was merged into, and are with the next; all merges are undone, in any order."""
    names = sorted(("ana", "ben", "eva", "ida"), key=lambda name: id_of(f"u:{name}"))
    late, passed, taker, last = names[3], names[2], names[1], names[0]
    for order in permutations((late, passed, taker)):
        network = Network().tell(*[act(n, name) for n, name in enumerate(names)])
        network.tell(Wish(f"u:{passed}", f"u:{taker}", MONDAY + 5), Wish(f"u:{late}", f"u:{passed}", MONDAY + 6))
        network.tell(Wish(f"u:{taker}", f"u:{last}", MONDAY + 7))
        assert network.lead(f"u:{late}").events == 4
        network.tell(*[Wish(f"u:{name}", at_s=MONDAY + 9) for name in order])
        assert [lead.events for lead in network.leads().values()] == [1, 1, 1, 1], order


def test_a_device_that_was_merged_by_a_wish_can_be_taken_out_of_whatever_has_it() -> None:
    """Into an address, which a user gave, who was merged into another one: undone from either end."""
    mail, device = "e:m@c.example", "a:phone"
    for order in ((device, f"u:{WEAK}"), (f"u:{WEAK}", device)):
        network = Network().tell(
            act(0, "@phone"), act(1, email=mail[2:]), Wish(device, mail, MONDAY + 2), act(3, WEAK, email=mail[2:]),
            act(4, STRONG), Wish(f"u:{WEAK}", f"u:{STRONG}", MONDAY + 5),
        )  # fmt: skip
        assert network.lead(f"u:{STRONG}").events == 4
        network.tell(*[Wish(name, at_s=MONDAY + 9) for name in order])
        leads = {key: lead.events for key, lead in network.leads().items()}
        assert leads == {id_of(device): 1, id_of(f"u:{WEAK}"): 2, id_of(f"u:{STRONG}"): 1}, order


EVIDENCE = [("phone", "phone", "+49301234567"), ("name_and_company", "person", "ana lee ltd")]


@pytest.mark.parametrize(("evidence", "field", "value"), EVIDENCE)
def test_leads_that_share_evidence_may_be_one(evidence: str, field: str, value: str) -> None:
    """They are reported and not merged; when somebody merges them it is resolved."""
    network = Network().tell(*[act(n, name, **{field: value}) for n, name in enumerate(("ana", "ben"))])
    pair = (id_of(f"u:{STRONG}"), id_of(f"u:{WEAK}"))
    assert duplicates(network) == [(evidence, *pair, "suspected")]
    network.tell(act(5, "ana", **{field: value}), act(6, "ben", **{field: value}))
    assert len(duplicates(network)) == 1
    network.tell(Wish("u:ana", "u:ben", MONDAY + 9))
    assert duplicates(network)[1:] == [(evidence, *pair, "resolved")]


@pytest.mark.parametrize("spelled_first", [True, False])
def test_other_spellings_of_an_address_may_be_the_same(spelled_first: bool) -> None:
    """`jo.e+shop@gmail.com` may be `joe@gmail.com`, whichever is seen first; a third spelling may be either."""
    plain = Act(MONDAY, email="joe@gmail.com", name="1")
    spelled = Act(MONDAY + 1, email="jo.e+shop@gmail.com", spelling="joe@gmail.com", name="2")
    third = Act(MONDAY + 2, email="joe+x@gmail.com", spelling="joe@gmail.com", name="3")
    network = Network().tell(*([spelled, plain] if spelled_first else [plain, spelled]))
    pair = tuple(sorted((id_of("e:joe@gmail.com"), id_of("e:jo.e+shop@gmail.com"))))
    assert duplicates(network) == [("email_spelling", *pair, "suspected")]
    network.tell(third)
    assert len(network.leads()) == 3
    assert {status for *_, status in duplicates(network)} == {"suspected"}
    assert any(id_of("e:joe+x@gmail.com") in each for each in duplicates(network)[1:])


def test_who_is_said_to_be_somebody_else_is_not_suspected_again() -> None:
    """`not the same` dismisses a pair for good; a third one with the same phone is still reported with either."""
    phone = "+49301234567"
    network = Network().tell(act(0, "ana", phone=phone), act(1, "ben", phone=phone))
    evidence, pair = id_of(f"p:{phone}"), (id_of(f"u:{STRONG}"), id_of(f"u:{WEAK}"))
    network.write(evidence.encode(), encode(NotTheSame(evidence, *pair, (MONDAY + 2) * 1000, "eva"))).settle()
    assert duplicates(network)[1:] == [("phone", *pair, "dismissed")]
    network.tell(act(40 * DAY_S, "ana", phone=phone), act(40 * DAY_S + 1, "ben", phone=phone))
    assert len(duplicates(network)) == 2
    network.tell(act(40 * DAY_S + 2, "eva", phone=phone))
    assert [status for *_, status in duplicates(network)[2:]] == ["suspected"] * 2


def test_who_moves_in_where_only_other_spellings_were_known_is_suspected() -> None:
    """A user who gives the plain address may be the one who wrote it differently before."""
    network = Network().tell(
        Act(MONDAY, email="jo.e+shop@gmail.com", spelling="joe@gmail.com", name="1"),
        act(1, "ana", email="joe@gmail.com"),
    )
    pair = (id_of("u:ana"), id_of("e:jo.e+shop@gmail.com"))
    assert duplicates(network) == [("email_spelling", *pair, "suspected")]
    network.tell(Act(MONDAY + 2, email="jo.e@gmail.com", spelling="joe@gmail.com", name="2"))
    assert duplicates(network)[1:] == [("email_spelling", id_of("u:ana"), id_of("e:jo.e@gmail.com"), "suspected")]


def test_a_merge_into_where_only_other_spellings_were_known() -> None:
    """The survivor of a wish may be an address that nobody gave yet; who spelled it differently is suspected."""
    plain = "joe@gmail.com"
    other = next(each for n in range(99) if id_of(each := f"e:{n}@c.example") > id_of(f"e:{plain}"))
    network = Network().tell(
        act(0, email="jo.e+shop@gmail.com", spelling=plain), act(1, email=other[2:]), Wish(other, f"e:{plain}")
    )
    assert network.leads()[id_of(f"e:{plain}")].events == 1
    pair = sorted((id_of(f"e:{plain}"), id_of("e:jo.e+shop@gmail.com")))
    assert duplicates(network) == [("email_spelling", *pair, "suspected")]


def test_two_crowded_leads_that_become_one_keep_all_their_devices() -> None:
    """A hundred devices each: what finds no room among the survivor's links still leads to it, in one step."""
    network = Network().say(*[act(n, f"{name}@{name}{n}") for name in ("ana", "ben") for n in range(100)]).settle()
    network.tell(Wish("u:ana", "u:ben", MONDAY + 999))
    strong = id_of(f"u:{STRONG}")
    assert {address.to for address in network.moved().values()} == {strong}
    assert len(network.moved()) == 201
    assert (strong, "linking", "quarantined", None) in identity(network)
    network.tell(*[act(5_000 + n, f"@{WEAK}{n}") for n in range(100)])
    assert network.lead(f"u:{STRONG}").events == 300


def test_a_lead_moves_under_the_rules_of_the_day() -> None:
    """What was recorded under other rules is worth to the owner what the present rules say."""
    told = Network(partitions=1).say(act(0, "@phone", "download", "paper"), act(1, "ana@phone", "download", "b")).logs
    inbox, states = told[0], dict[bytes, bytes]()
    before = LeadFold(0, states, Network().rules, 1)
    before.apply(inbox)
    mails = before.seal().outputs
    dearer = Network(files={**SHIPPED, "model.toml": SHIPPED["model.toml"].replace("points = 15", "points = 20")})
    after = LeadFold(0, states, dearer.rules, 1)
    while inbox := [Record(99, inbox[0].timestamp, each.key, each.value) for each in mails if each.topic == INBOX]:
        after.apply(inbox)
        mails = after.seal().outputs
    lead = decode_state(states[id_of("u:ana").encode()])
    assert isinstance(lead, Lead)
    assert dearer.score(lead, MONDAY + 1) == 40_000
