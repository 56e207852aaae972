"""Mail that no fold writes: whatever stands in it is read or rejected with a reason, and takes nobody's points."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import Undecodable, decode, encode
from schemas.records import (
    Absorb,
    DeviceLost,
    LeadMemory,
    Link,
    Mail,
    Merge,
    NotTheSame,
    Rejected,
    Release,
    Sighted,
    Sum,
    Unmerge,
)
from streams.state import Lead, Moved
from tests.oracle.naive import DAY_S
from tests.streams.harness import MONDAY
from tests.streams.network import Act, Network, id_of, ids_of

ANA, BEN, EVA = (id_of(f"u:{name}") for name in ("ana", "ben", "eva"))


def reasons(network: Network) -> list[str]:
    """Why records were rejected."""
    return [it.code for it in network.said(Rejected)]


LIVE = {"ana": ["laptop"], "ben": ["phone"]}
MEMORY = LeadMemory(MONDAY, MONDAY, MONDAY, MONDAY, 0, b"", b"", "", b"")


def quiet() -> Network:
    """Two people with a device each, one of them with an address, and a visitor."""
    network = Network(partitions=1)
    return network.tell(
        Act(MONDAY, "download", "guide", user="ana", email="ana@c.example", device="laptop", name="1"),
        Act(MONDAY, "download", "guide", user="ben", device="phone", name="2"),
        Act(MONDAY, "download", "guide", device="cafe", name="3"),
    )


def mail(network: Network, to: str, record: Mail) -> list[str]:
    """Write a mail; returns why what came of it was rejected."""
    before = len(reasons(network))
    network.write(id_of(to).encode() if ":" in to else to.encode(), encode(record)).settle()
    return reasons(network)[before:]


AT = MONDAY * 1000
WEAK, STRONG = sorted((ANA, BEN))[::-1]
NAME_OF = {ANA: "u:ana", BEN: "u:ben"}


@pytest.mark.parametrize(
    ("to", "record", "code"),
    [
        ("u:ana", Link(id_of("e:ana@c.example"), AT, None), "bad_mail"),
        (NAME_OF[STRONG], Link(WEAK, AT, None), "bad_mail"),
        ("a:cafe", Link("nobody", AT, None), None),
        ("a:cafe", Link("", AT, None), None),
        ("u:ana", Unmerge(AT, "x"), "not_merged"),
        ("u:never", Unmerge(AT, "x"), "not_merged"),
        ("a:laptop", Unmerge(AT, "x"), "not_merged"),
        ("a:cafe", Absorb("u_" + "a" * 16, id_of("a:cafe"), AT, "link", MEMORY), "bad_mail"),
        ("u:ana", Absorb(ANA, ANA, AT, "link", MEMORY), "bad_mail"),
        ("u:ana", Absorb("a_" + "a" * 16, ANA, AT, "link", msgspec.structs.replace(MEMORY, times=b"abc")), "bad_mail"),
        ("u:ana", Absorb("a_" + "a" * 16, ANA, AT, "link", msgspec.structs.replace(MEMORY, stage="x")), "bad_mail"),
        ("u:ana", Release("u_" + "a" * 16, AT, "x", msgspec.structs.replace(MEMORY, links=b"x" * 27)), None),
        ("u:ana", DeviceLost("a_" + "a" * 16, AT, "moved", BEN), None),
        ("u:ana", DeviceLost(id_of("e:ana@c.example"), AT, "nonsense", BEN), None),
        ("u:ana", Merge("nobody", AT, "x"), None),
        ("p_" + "a" * 16, Sighted("nobody", AT, "p_" + "a" * 16, None), None),
        ("p_" + "a" * 16, Sighted(ANA, AT, "nothing", None), None),
        ("p_" + "a" * 16, NotTheSame("nothing", ANA, BEN, AT, "x"), None),
        ("p_" + "a" * 16, Link(ANA, AT, None), None),
        ("nobody", Link(ANA, AT, None), "bad_key"),
    ],
)  # fmt: skip
def test_mail_that_makes_no_sense_is_rejected(to: str, record: Mail, code: str | None) -> None:
    """It is rejected with a reason, or changes nothing that counts: no lead gains or loses an event."""
    network = quiet()
    before = {key: ids_of(lead) for key, lead in network.leads().items()}
    found = mail(network, to, record)
    assert found == [code] if code else len(found) <= 1
    after = {key: ids_of(lead) for key, lead in network.leads().items()}
    assert {key: ids for key, ids in after.items() if ids} == before
    network.tell(Act(MONDAY + 5, user="ana", device="laptop", name="later"))
    assert network.lead("u:ana").events == 2


IDS = st.sampled_from(
    [
        *(ANA, BEN, EVA, "", "u_", "x" * 18, "u_" + "\ud7ff" * 16, "e_0000000000000000"),
        *(id_of(each) for each in ("e:ana@c.example", "a:laptop", "a:phone", "a:cafe", "a:new", "p:1")),
    ]
)
TIMES = st.sampled_from([-(2**62), -1, 0, 1, AT, AT + 1000, AT + 500 * DAY_S * 1000, 2**62])
SECONDS = st.sampled_from([-1, 0, MONDAY, MONDAY + 1, 2**32, 2**62])
BYTES = st.one_of(st.binary(max_size=40), st.sampled_from([b"", b"a" * 8, b"\0" * 4, b"\0" * 27]))
LINKS = st.one_of(BYTES, st.builds(lambda id: id.encode()[:18].ljust(18, b"a") + bytes(9), IDS.filter(str.isascii)))


@st.composite
def memories(draw: st.DrawFn) -> LeadMemory:
    """A memory of odd parts, some of them right."""
    changes = {
        "line": draw(SECONDS), "first_seen": draw(SECONDS), "last_seen": draw(SECONDS), "as_of": draw(SECONDS),
        "events": draw(SECONDS), "times": draw(BYTES), "ids": draw(BYTES), "marks": draw(st.text(max_size=5)),
        "onces": draw(BYTES), "origins": draw(BYTES), "links": draw(LINKS), "base": (Sum(draw(SECONDS), draw(TIMES)),),
        "stage": draw(st.sampled_from(["visitor", "mql", "x"])), "hot_since": draw(SECONDS),
        "alerted_at": draw(SECONDS), "old_onces": draw(BYTES), "late": draw(SECONDS),
    }  # fmt: skip
    kept = draw(st.sets(st.sampled_from(sorted(changes)), max_size=3))
    return msgspec.structs.replace(MEMORY, **{name: changes[name] for name in kept})


MAILS: st.SearchStrategy[Mail] = st.one_of(
    st.builds(Link, IDS, TIMES, st.none() | IDS),
    st.builds(Sighted, IDS, TIMES, IDS, st.none() | IDS),
    st.builds(Absorb, IDS, IDS, TIMES, st.sampled_from(["link", "merge", ""]), memories()),
    st.builds(DeviceLost, IDS, TIMES, st.sampled_from(["moved", "claimed", "quarantined", "returned", ""]), IDS),
    st.builds(Merge, IDS, TIMES, st.text(max_size=3)),
    st.builds(Unmerge, TIMES, st.text(max_size=3)),
    st.builds(Release, IDS, TIMES, st.text(max_size=3), memories()),
    st.builds(NotTheSame, IDS, IDS, IDS, TIMES, st.text(max_size=3)),
)


@st.composite
def letters(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A key, and a mail to it: any, or one with a bit of it cut out, repeated or overwritten."""
    value = bytearray(encode(draw(MAILS)))
    for _ in range(draw(st.sampled_from([0, 0, 1, 3]))):
        start = draw(st.integers(5, len(value)))
        value[start : start + draw(st.integers(0, 12))] = draw(st.binary(max_size=12))
    return draw(IDS).encode("utf-8", "surrogatepass"), bytes(value)


@settings(max_examples=300)
@given(garbage=st.lists(letters(), min_size=1, max_size=8), seed=st.integers(0, 1000))
def test_any_mail_is_read_or_rejected(garbage: Sequence[tuple[bytes, bytes]], seed: int) -> None:
    """Whatever stands in it, nothing is raised, all becomes quiet and readable, and what comes next is folded."""
    network = quiet()
    for key, value in garbage:
        network.write(key, value)
    network.settle(most=2_000)
    for lead in network.states().values():
        assert isinstance(lead, Lead | Moved) or lead.leads is not None
    for lead in network.leads().values():
        network.score(lead, max(lead.as_of, MONDAY + 30 * DAY_S))
    rejected = {it.record for it in network.said(Rejected)}
    assert all(decode_or_none(value) is not None or value in rejected for _, value in garbage)
    network.tell(Act(MONDAY + 9, "download", "later", user="later", device="his", name="later"))
    assert network.lead("u:later").events == 1


def decode_or_none(value: bytes) -> object:
    """The record, or None if it is none."""
    try:
        return decode(value)
    except Undecodable:
        return None
