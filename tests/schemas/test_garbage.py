"""The garbage law: whatever the bytes are, they are a record or they are refused with a reason, and never cost much."""

import random
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from schemas.codec import decode, encode
from schemas.head import engagement_head, is_unknown_mail, mail_name, record_name, tick_at
from schemas.records import MAIL, RECORDS, Engagement, Rejected, Tick
from schemas.wire import LOCK, MAIL_RANGE, Undecodable, prefix
from tests.schemas import examples
from tests.schemas.test_head import head_of

T = TypeVar("T")
CASES = 10_000
CODES = {"bad_magic", "unknown_schema", "wrong_record", "truncated", "malformed", "bad_utf8", "trailing_bytes"}
VALID = [encode(examples.load(path)) for path in examples.PATHS]
PREFIXES = [prefix(version.id) for versions in LOCK.values() for version in versions]
# Varints that hurt: 2**60, -1, the largest and least of 64 bits, more than 64 bits, without an end.
EVIL = [
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x20",
    b"\x01",
    b"\xfe" + b"\xff" * 8 + b"\x01",
    b"\xff" * 9 + b"\x01",
    b"\xff" * 9 + b"\x7f",
    b"\x80" * 40,
]


def garbage(seed: int) -> Iterator[bytes]:
    """Yield byte strings: noise, noise behind a true prefix, and true records cut, joined, changed and mislabelled."""
    chance = random.Random(seed)
    makers: list[Callable[[], bytes]] = [
        lambda: chance.randbytes(chance.randrange(40)),
        lambda: chance.choice(PREFIXES) + chance.randbytes(chance.randrange(300)),
        lambda: _changed(chance, chance.choice(VALID), chance.randrange(1, 4)),
        lambda: _evil(chance, chance.choice(VALID)),
        lambda: (value := chance.choice(VALID))[: chance.randrange(len(value))],
        lambda: chance.choice(VALID) + chance.randbytes(chance.randrange(1, 9)),
        lambda: chance.choice(PREFIXES) + chance.choice(VALID)[5:],
        lambda: chance.randbytes(5) + chance.choice(VALID)[5:],
        lambda: prefix(chance.choice(MAIL_RANGE)) + chance.choice(VALID)[5:],
        lambda: bytes([chance.randrange(256)]) + chance.choice(VALID)[1:],
    ]
    for _ in range(CASES):
        yield chance.choice(makers)()


def _changed(chance: random.Random, value: bytes, times: int) -> bytes:
    changed = bytearray(value)
    for _ in range(times):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def _evil(chance: random.Random, value: bytes) -> bytes:
    at = chance.randrange(5, len(value))
    return value[:at] + chance.choice(EVIL) + value[at + chance.randrange(2) :]


def outcome(read: Callable[[bytes], T], value: bytes) -> T | Undecodable:
    """Return what was read, or the refusal; any other exception passes."""
    try:
        return read(value)
    except Undecodable as refused:
        assert refused.code in CODES
        assert refused.reason
        return refused


def test_any_bytes_are_read_or_refused() -> None:
    """Of 10,000 byte strings each is read or refused, alike by every reader, and a refusal has a code and a reason."""
    seen: Counter[str] = Counter()
    for value in garbage(seed=3):
        name = record_name(value)
        record, head, at = outcome(decode, value), outcome(engagement_head, value), outcome(tick_at, value)
        assert mail_name(value) == (name if name in MAIL else None)
        assert not is_unknown_mail(value) or (
            isinstance(record, Undecodable) and record.code == "unknown_schema" and name is None
        )
        seen[record.code if isinstance(record, Undecodable) else "read"] += 1
        if not isinstance(record, Undecodable):
            assert name == type(record).__name__
        if isinstance(record, Engagement):
            assert head == head_of(record)
        if isinstance(record, Tick):
            assert at == record.at
        assert isinstance(head, Undecodable) or name == "Engagement"
        assert isinstance(at, Undecodable) or record == Tick(at)
    # The cases reach every way out; a head alone can be of the wrong record.
    assert set(seen) == (CODES - {"wrong_record"}) | {"read"}


@pytest.mark.parametrize("name", RECORDS)
def test_a_length_of_2_to_the_60_allocates_nothing(name: str) -> None:
    """A length or count that lies about the value costs no memory, wherever in a record it stands."""
    values = [value for value in VALID if record_name(value) == name]
    tracemalloc.start()
    for value in values:
        for at in range(5, len(value)):
            for evil in EVIL:
                outcome(decode, value[:at] + evil + value[at + 1 :])
                outcome(engagement_head, value[:at] + evil + value[at + 1 :])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_record_is_read_from_its_own_bytes_only() -> None:
    """Every record cut anywhere is refused as cut, and every record with bytes behind it because of these."""
    for value in VALID:
        refusals = [outcome(decode, value[:cut]) for cut in range(len(value))]
        refusals.append(outcome(decode, value + b"\0"))
        codes = [each.code for each in refusals if isinstance(each, Undecodable)]
        assert codes == ["truncated"] * len(value) + ["trailing_bytes"]


def test_a_branch_that_a_union_does_not_have() -> None:
    """A branch that is none of the union's is malformed, in fields that only fastavro reads, too."""
    value = encode(Rejected("demo", "bad_json", "words", 1, b"record"))
    for branch in (b"\x04", b"\x7e"):
        refused = outcome(decode, value[:-4] + branch + value[-3:])
        assert isinstance(refused, Undecodable)
        assert refused.code == "malformed"
