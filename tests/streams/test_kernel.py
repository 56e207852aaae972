"""The compiled kernel: common events never reach Python, and no bytes make it raise or read where it must not.

That it says what Python says is held by every other law of this folder: see tests/streams/twin.py.
"""

from __future__ import annotations

import functools

from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.codec import encode
from schemas.keys import partition_of
from schemas.records import Link
from streams import links
from streams.compiled import IS_COMPILED, CompiledFold, lead_fold
from streams.fold import Unfoldable
from streams.kernel import Kernel
from streams.kernel import partition_of as in_kernel
from streams.publish import Publisher
from streams.state import Lead, Moved, Visits
from streams.state import decode as decode_state
from streams.state import encode as encode_state
from tests.e2e.story import engagement, key, story
from tests.oracle.replay import Record
from tests.streams.harness import MONDAY, SHIPPED, SMALL, Box, Did, key_of, records
from tests.streams.test_laws_garbage import GOOD, VALUES
from tests.streams.twin import TwinFold

NUMBERS = st.one_of(
    st.integers(0, 70_000), st.sampled_from([MONDAY, 1 << 32, 1 << 50, (1 << 50) + 1, (1 << 63) - 1, -1, -(1 << 63)])
)
OWNER, DEVICE = key_of("u:ana"), key_of("a:laptop")
LINK = Link(OWNER.decode(), MONDAY * 1000, None)
FREE = ("as_of", "events", "sums", "base", "cleared", "hot_since", "stage_since", "email", "ceiling", "wake", "visits")
"""Fields of a lead that no other one must fit."""
COLUMNS = st.binary(max_size=40)
SUMS = st.dictionaries(st.integers(0, 1 << 20), st.integers(-(1 << 63), (1 << 63) - 1), max_size=40)


def kernel(states: dict[bytes, bytes]) -> Kernel:
    """A kernel of its own."""
    rules = Box(SHIPPED).rules
    publisher = Publisher(0, 1, rules)
    return Kernel(rules, 0, 1, states, {}, publisher, *[lambda *_: None] * 3)


FAILURES = (Unfoldable, ValueError, ArithmeticError)
"""What folding, or sealing, of what nobody writes may raise."""


def good_state() -> bytes:
    """A lead with a bit of everything."""
    story = [
        *[Did(MONDAY + n, "page_view", asset, name=f"p{n}") for n, asset in enumerate(["/", "/pricing", "/jobs"] * 3)],
        Did(MONDAY + 60, "download", "guide"),
        Did(MONDAY + 70, "unsubscribe", mail=True),
    ]
    return Box(SHIPPED).feed(records(story)).changelog[key_of("u:ana")]


@functools.cache
def absorb() -> bytes:
    """What a device's lead with a bit of everything writes to its owner."""
    story = [
        *[
            Did(MONDAY + n * 7_000, "page_view", asset, lead="a:laptop")
            for n, asset in enumerate(["/", "/pricing"] * 4)
        ],
        Did(MONDAY + 900, "webinar_register", "spring", lead="a:laptop", mail=True),
        Did(MONDAY + 960, "unsubscribe", lead="a:laptop"),
    ]
    box = Box(SHIPPED).feed([*records(story), Record(99, MONDAY * 1000, DEVICE, encode(LINK))])
    (mail,) = [output.value for output in box.outputs if output.key == OWNER]
    assert mail is not None
    return mail


def mangled_states() -> st.SearchStrategy[bytes]:
    """A good state that was spoilt."""
    return mangled(good_state())


@st.composite
def mangled(draw: st.DrawFn, good: bytes) -> bytes:
    """These bytes with a bit of them cut out, repeated or overwritten."""
    value = bytearray(good)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(value)))
        value[start : start + draw(st.integers(0, 12))] = draw(st.binary(max_size=12))
    return bytes(value)


@st.composite
def odd_states(draw: st.DrawFn, fields: tuple[str, ...] = Lead.__struct_fields__) -> bytes:
    """A lead by its types, with strange contents in some of these fields."""
    lead = decode_state(good_state())
    assert isinstance(lead, Lead)
    for name in draw(st.sets(st.sampled_from(fields), max_size=6)):
        given = getattr(lead, name)
        if isinstance(given, int):
            setattr(lead, name, draw(NUMBERS))
        elif isinstance(given, bytes):
            setattr(lead, name, draw(COLUMNS))
        elif isinstance(given, dict):
            setattr(lead, name, draw(SUMS))
        elif isinstance(given, str):
            setattr(lead, name, draw(st.text(max_size=12)))
        elif isinstance(given, Visits):
            setattr(lead, name, Visits(*draw(st.tuples(NUMBERS, NUMBERS, NUMBERS))))
    return encode_state(lead)


def test_the_kernel_is_compiled_and_taken() -> None:
    """The tests run on both folds, and whoever asks for a fold gets the compiled one."""
    assert IS_COMPILED
    assert isinstance(lead_fold(0, {}, Box(SHIPPED).rules, 1), CompiledFold)


def test_common_events_do_not_reach_python() -> None:
    """Of a crowd that looks around and comes back, the kernel folds every event, and new visitors too."""
    crowd = [
        Did(MONDAY + day * 86_400 + minute * 60, kind, asset, f"a:{n}", f"{day} {minute}")
        for day in (0, 1, 8, 20)
        for minute, (kind, asset) in enumerate([("page_view", "/"), ("page_view", "/docs/a"), ("search", "price")])
        for n in range(3)
    ]
    states: dict[bytes, bytes] = {}
    assert kernel(states).fold(records(crowd), 0, MONDAY) == len(crowd)
    assert len(states) == 3


def test_most_of_a_realistic_story_is_common() -> None:
    """Of three weeks of sixty visitors the kernel folds more than half, one by one."""
    log = [
        Record(n, act.arrives_ms, key(act), encode(engagement(act)))
        for n, act in enumerate(story(1, 60, MONDAY * 1000, 21, acts_each=30))
    ]
    box, common = Box(SHIPPED), 0
    for record in log:
        common += kernel(dict(box.states)).fold([record], 0, 0)
        box.feed([record])
    assert common > len(log) / 2


@settings(max_examples=500)
@given(state=st.one_of(st.binary(max_size=80), mangled_states(), odd_states()), value=VALUES)
@example(state=good_state(), value=GOOD)
def test_no_state_and_no_record_makes_the_kernel_raise(state: bytes, value: bytes | None) -> None:
    """Whatever lies under a key and whatever comes, a record is folded or left to Python."""
    record = Record(1, (MONDAY + 86_400) * 1000, key_of("u:ana"), value)
    states = {key_of("u:ana"): state}
    assert kernel(states).fold([record], 0, MONDAY) in (0, 1)


def test_a_lead_that_is_linked_and_absorbed_does_not_reach_python() -> None:
    """Of two leads that are found to be one, the kernel folds link, absorbed lead, and what is said later."""
    states = {OWNER: good_state()}
    mail = [Record(0, MONDAY * 1000, OWNER, absorb())]
    assert kernel(states).fold(mail, 0, MONDAY) == 1
    united = decode_state(states[OWNER])
    assert isinstance(united, Lead)
    assert (united.events, links.find(united.links, DEVICE)) == (21, 0)
    device = Box(SHIPPED).feed(records([Did(MONDAY, lead="a:laptop")])).states
    link = Record(2, MONDAY * 1000, DEVICE, encode(LINK))
    for states in ({}, device):
        assert kernel(states).fold([link], 0, MONDAY) == 1
        assert isinstance(decode_state(states[DEVICE]), Moved)
        assert kernel(states).fold(records([Did(MONDAY + 60, lead="a:laptop")]), 0, MONDAY) == 1


@settings(max_examples=300)
@given(
    value=st.deferred(lambda: mangled(absorb())),
    state=st.one_of(st.just(None), st.just(b""), st.deferred(mangled_states)),
)
def test_mangled_mail_does_not_make_the_kernel_raise(value: bytes, state: bytes | None) -> None:
    """Whatever a mail says, and whatever lies under its key: it is folded, or left to Python and rejected."""
    mail = Record(1, (MONDAY + 86_400) * 1000, OWNER, value)
    assert kernel({OWNER: good_state() if state is None else state}).fold([mail], 0, MONDAY) in (0, 1)
    folds = TwinFold(0, {OWNER: good_state()}, Box(SHIPPED).rules, 1)
    try:
        folds.apply([mail])
        folds.seal()
    except FAILURES:  # numbers beyond what a state or a record can hold: no lead writes them
        return


@settings(max_examples=300)
@given(state=odd_states(FREE), number=st.integers(0, 3), model=st.sampled_from([SHIPPED, SMALL]))
def test_odd_states_are_folded_as_python_folds_them(state: bytes, number: int, model: dict[str, str]) -> None:
    """A lead with contents that no story makes goes on as it does in Python, or both fail."""
    did = Did(MONDAY + 86_400, ("page_view", "download", "email_click", "search")[number], "/docs/x", mail=number == 2)
    lead = decode_state(state)
    assert isinstance(lead, Lead)
    lead.model = Box(model).rules.number
    folds = TwinFold(0, {key_of("u:ana"): encode_state(lead)}, Box(model).rules, 1)
    try:
        folds.apply(records([did]))
        folds.seal()
    except FAILURES:  # numbers beyond what a state or a record can hold: no story makes them
        return


def test_a_title_is_cut_by_characters_and_replaced_in_place() -> None:
    """Titles of any script, longer than what is kept, are the same in both folds, whichever rule saw them last."""
    titles = ["Preise — Überblick " * 6, "価格" * 50, "", "x" * 61, "é" * 60, "🙂" * 61]
    story = [
        Did(MONDAY + n, "page_view", f"/docs/{'pricing' if n % 3 else n}/{title}", name=str(n))
        for n, title in enumerate(titles * 3)
    ]
    assert Box(SHIPPED).feed(records(story)).lead().titles


@given(st.one_of(st.binary(max_size=20), st.binary(min_size=18, max_size=18)), st.integers(1, 100))
def test_a_key_lies_in_one_partition(key: bytes, partitions: int) -> None:
    """The kernel's hash of a key is that of every Kafka client."""
    assert in_kernel(key, partitions) == partition_of(key, partitions)
