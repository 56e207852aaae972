"""Who an event is about: identifiers in normal forms, evidence, aliases, and values that identify nobody."""

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.contact import normal_email, normal_phone
from gateway.problem import BadEvent
from streams.identity import Evidence, Kind, employee, fingerprint, lead_id, normal_id
from tests.gateway.conftest import SECRET
from tests.gateway.test_stamp import ARRIVAL, VOCABULARY, engagement, stamp

ANA = {"email": "ana@acme.example"}


def id_of(kind: Kind | Evidence, value: str) -> str:
    """The id of an identifier or of evidence."""
    return lead_id(kind, value, SECRET)


def identify(**traits: Any) -> tuple[str, ...]:
    """The identifiers of an identify call on a device, with these traits."""
    return engagement(type="identify", userId=None, anonymousId="d", traits=traits).identifiers


def test_identifiers_stand_strongest_first_and_evidence_behind() -> None:
    """User id, address, device; then spelling of the address, number, name and company; the first is the key."""
    traits = {"email": "A.na+x@gmail.com", "phone": "+49 30 123456", "name": "Ana Díaz", "company": {"name": "Acme"}}
    stamped = stamp(userId="u1", anonymousId="d", traits=traits)
    assert stamped.engagement.identifiers == (
        id_of("u", "u1"),
        id_of("e", "a.na+x@gmail.com"),
        id_of("a", "d"),
        "m" + id_of("e", "ana@gmail.com")[1:],
        id_of("p", "+4930123456"),
        id_of("n", "ana díaz\nacme"),
    )
    assert stamped.key == id_of("u", "u1").encode()
    assert engagement(userId=None, anonymousId="d").identifiers == (id_of("a", "d"),)


@pytest.mark.parametrize(
    "spelling", ["ana@bücher.example", " ANA@BÜCHER.EXAMPLE ", "Ana@xn--bcher-kva.example", "ａｎａ＠bücher。example"]
)
def test_spellings_that_are_one_address(spelling: str) -> None:
    """Case, spaces around it, width, and Unicode or A-labels in the domain make no difference."""
    found = engagement(userId=None, traits={"email": spelling})
    assert found.email == "ana@xn--bcher-kva.example"
    assert found.identifiers == (id_of("e", "ana@xn--bcher-kva.example"),)


@pytest.mark.parametrize(
    ("email", "mailbox"),
    [
        ("ana+news@acme.example", "ana@acme.example"),
        ("ana+a+b@acme.example", "ana@acme.example"),
        ("a.n.a@gmail.com", "ana@gmail.com"),
        ("ana@googlemail.com", "ana@gmail.com"),
        ("A.na+x@GoogleMail.com", "ana@gmail.com"),
        ("a.na@acme.example", None),
        ("ana@gmail.com", None),
        ("+tag@acme.example", None),
    ],
)
def test_spellings_that_may_be_one_mailbox(email: str, mailbox: str | None) -> None:
    """A tag, and dots where the provider ignores them, make another lead and evidence under the plain address' id."""
    evidence = [each for each in identify(email=email) if each[0] == "m"]
    assert evidence == (["m" + id_of("e", mailbox)[1:]] if mailbox else [])


@given(
    local=st.text(alphabet=st.characters(categories=("L", "N", "M", "P", "S")), min_size=1, max_size=20),
    domain=st.sampled_from(["acme.example", "BÜCHER.example", "GMAIL.com", "faß.example", "пример.example"]),
)
@example(local="İ", domain="acme.example")
def test_a_normal_address_is_its_own_normal_form(local: str, domain: str) -> None:
    """Whatever address is taken, its normal form, its mailbox and the mailbox's mailbox are stable."""
    email = normal_email(f"{local}@{domain}")
    if email is None:
        return
    assert normal_email(email) == email
    assert email.rpartition("@")[2].isascii()
    mailbox = VOCABULARY.mailbox(email)
    assert VOCABULARY.mailbox(mailbox) == mailbox


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("0049 (30) 123-456", "+4930123456"),
        ("+49 (0)30 123456", "+4930123456"),
        ("＋４９ ３０ １２３４５６", "+4930123456"),
        ("tel:+49-30-123456", "+4930123456"),
        ("+1 415 555 2671 ext. 5", "+14155552671"),
        ("+39 06 6982 1234", "+390669821234"),
        ("030 123456", None),
        ("+999 123456", None),
        ("+49 1", None),
        ("+" + "1" * 10_000, None),
        ("call me", None),
    ],
)
def test_numbers_are_e164(written: str, number: str | None) -> None:
    """Each way to write a number with its country is one number; without one it is nobody's and flagged."""
    found = engagement(traits={"phone": written}, context={"ip": "8.8.8.8"})
    assert found.phone == number
    assert ("phone_not_international" in found.flags) == (number is None)
    assert (id_of("p", number or "") in found.identifiers) == (number is not None)


@given(st.from_regex(r"(\+|00)[0-9 ()./-]{1,25}", fullmatch=True))
def test_a_normal_number_is_its_own_normal_form(written: str) -> None:
    """Whatever number is taken, it reads the same again."""
    number = normal_phone(written)
    assert number is None or normal_phone(number) == number


@pytest.mark.parametrize(
    "traits",
    [
        {"name": "Ana Díaz", "company": "Acme GmbH"},
        {"firstName": "Ana", "lastName": "Díaz", "company": {"name": "Acme GmbH", "id": 7}},
        {"first_name": "ANA ", "last_name": " DI\u0301AZ", "company_name": "ａｃｍｅ\u00a0 GMBH"},
    ],
)
def test_a_name_at_a_company_is_evidence(traits: dict[str, Any]) -> None:
    """However name and company are told, letter case, width and spaces make no difference."""
    assert identify(**traits) == (id_of("a", "d"), id_of("n", "ana díaz\nacme gmbh"))


@pytest.mark.parametrize(
    "traits",
    [
        {"name": "Ana Díaz"},
        {"company": "Acme"},
        {"firstName": "Ana", "company": "Acme"},
        {"name": "Test User", "company": "Acme"},
        {"name": "Ana Díaz", "company": "unknown"},
        {"name": "Ana Díaz", "company": {"id": 7}},
        {"name": {"first": "Ana"}, "company": ["Acme"]},
        {"name": "Ana " * 100, "company": "Acme"},
    ],
)
def test_half_a_name_is_no_evidence(traits: dict[str, Any]) -> None:
    """A name without a company, half a name, and values that mean nothing are no evidence."""
    assert identify(**traits) == (id_of("a", "d"),)


def test_a_products_name_and_a_companys_are_no_persons() -> None:
    """Only a person's traits have a person's name."""
    track = engagement(properties={"name": "Sensor", "company": "Acme"})
    group = engagement(type="group", groupId="g", traits={"name": "Acme", "company": "Acme"})
    assert track.identifiers == group.identifiers == (id_of("u", "u1"),)


@given(st.text(), st.text())
def test_any_name_at_any_company(name: str, company: str) -> None:
    """Both in one text, or nothing; case and spaces of either change nothing."""
    found = employee(name, company)
    assert employee(f"  {name}\t", f"\n{company} ") == found
    assert found is None or found == unicodedata.normalize("NFKC", found)


BLOCKED = [
    *(
        "null",
        "ＮＵＬＬ",
        "\u3000null\u00a0",
        '"undefined"',
        "[object Object]",
        "(not set)",
        "{{user_id}}",
        "Anonymous",
    ),
    *("0", "000000", "00000000-0000-0000-0000-000000000000", "{00000000-0000-0000-0000-000000000000}", "０００", "0.0"),
    *("NaN", "none", "--", "''", "test@test.com", "Test+1@Test.com", "test@acme.example", "x" * 501, "é" * 10_000),
]


@pytest.mark.parametrize("value", BLOCKED)
def test_values_that_are_nobodys(value: str) -> None:
    """In any case, width, quotes or brackets they are flagged and not used; alone they make the event unusable."""
    stamped = stamp(userId=value, anonymousId="d")
    assert stamped.engagement.user_id is None
    assert stamped.engagement.identifiers == (id_of("a", "d"),)
    assert "user_id_blocked" in stamped.engagement.flags
    with pytest.raises(BadEvent, match="no_identifier"):
        stamp(userId=value)


@pytest.mark.parametrize("value", ["nullable", "user-1", "01", "0-1", "ana@test.example", "n0ne", "x" * 500])
def test_values_that_are_somebodys(value: str) -> None:
    """What only looks like a blocked value identifies."""
    assert engagement(userId=value).user_id == value


@pytest.mark.parametrize(
    "value",
    ["a\u200bna", "a\u00adna", "ana\u0000", "a\tna", "\u202eana", "ana\ufe0f", "ana\u3164", "a\u2028b"],
)
def test_ids_with_characters_that_nobody_sees_are_refused(value: str) -> None:
    """They are flagged and not used, as user id and as anonymous id, and the event stays."""
    assert normal_id(value) is None
    found = engagement(userId=value, anonymousId="d")
    assert (found.user_id, found.identifiers) == (None, (id_of("a", "d"),))
    assert "user_id_unreadable" in found.flags
    assert engagement(anonymousId=value).anonymous_id is None


def test_one_text_in_two_encodings_is_one_id() -> None:
    """Composed and decomposed letters are one id; look-alikes of another script, and other cases, are other ids."""
    assert engagement(userId="jose\u0301").identifiers == engagement(userId="josé").identifiers
    others = ["ana", "аna", "Ana", "аnа", "αna", "ａna"]
    assert len({engagement(userId=each).identifiers for each in others}) == len(others)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_id_is_used_in_a_stable_form_or_flagged(value: str) -> None:
    """Whatever a site sends as an id, the event is kept: with the id, which reads the same again, or with a flag."""
    found = engagement(userId=value, anonymousId="device-1")
    if found.user_id is None:
        assert not value.strip() or {"user_id_blocked", "user_id_unreadable"} & {*found.flags}
    else:
        assert engagement(userId=found.user_id).user_id == found.user_id
        assert found.identifiers[0] == id_of("u", found.user_id)


def test_a_user_id_that_is_an_address_is_also_the_address() -> None:
    """It counts as the event's e-mail address if there is no other; as an id it stays as the site has it."""
    alone = engagement(userId="Ana@Acme.example", anonymousId="d")
    assert (alone.user_id, alone.email) == ("Ana@Acme.example", "ana@acme.example")
    assert alone.identifiers == (id_of("u", "Ana@Acme.example"), id_of("e", "ana@acme.example"), id_of("a", "d"))
    assert engagement(userId="ben@acme.example", traits=ANA).email == "ana@acme.example"
    assert engagement(userId="ben@acme.example", traits={"email": "no address"}).email == "ben@acme.example"
    assert engagement(userId="@handle").email is None


def test_an_address_of_10_kb_is_flagged_and_nothing_is_lost() -> None:
    """It makes no lead; the event stays, with the traits as they came."""
    email = "a" * 10_000 + "@acme.example"
    stamped = stamp(userId=None, anonymousId="d", traits={"email": email})
    assert (stamped.key, stamped.engagement.email) == (id_of("a", "d").encode(), None)
    assert "email_malformed" in stamped.engagement.flags
    assert json.loads(stamped.engagement.traits) == {"email": email}
    assert "user_id_blocked" in engagement(userId=email, anonymousId="d").flags


def test_an_alias_names_the_leads_that_its_previous_id_may_mean() -> None:
    """A user id, an address if it is one, and a device; only of alias calls."""
    fields: dict[str, Any] = {"type": "alias", "userId": "u2", "previousId": "Ben@Acme.example"}
    readings = id_of("u", "Ben@Acme.example"), id_of("e", "ben@acme.example"), id_of("a", "Ben@Acme.example")
    assert engagement(**fields).aliases == readings
    assert engagement(**{**fields, "type": "track"}).aliases == ()
    # What the event itself names as its own needs no alias.
    assert engagement(**{**fields, "previousId": "d", "anonymousId": "d"}).aliases == (id_of("u", "d"),)


@pytest.mark.parametrize(
    "fields",
    [
        {"userId": "u1", "previousId": "u1"},
        {"userId": "u1", "previousId": " u1 "},
        {"userId": 7, "previousId": "7"},
        {"userId": "jose\u0301", "previousId": "josé"},
        {"userId": None, "anonymousId": "d", "previousId": "d"},
        {"userId": None, "traits": ANA, "previousId": "ANA@acme.example"},
    ],
)
def test_an_alias_to_oneself_says_nothing(fields: dict[str, Any]) -> None:
    """It is flagged, and names nobody."""
    found = engagement(type="alias", **fields)
    assert (found.aliases, "alias_to_oneself" in found.flags) == ((), True)


@pytest.mark.parametrize(
    ("value", "flag"),
    [
        *(("null", "previous_id_blocked"), ("a\u200bb", "previous_id_unreadable")),
        *(("test@test.com", "previous_id_blocked"), ("x" * 501, "previous_id_blocked")),
    ],
)
def test_an_alias_of_nobody_says_nothing(value: str, flag: str) -> None:
    """A previous id that identifies nobody is flagged."""
    found = engagement(type="alias", previousId=value)
    assert (found.aliases, flag in found.flags) == ((), True)


def test_who_opted_out_is_a_device_only() -> None:
    """Neither user id nor address nor evidence nor alias stands in the record."""
    arrival = ARRIVAL._replace(global_privacy_control=True)
    traits = {"email": "ana@acme.example", "phone": "+4930123456", "name": "Ana Díaz", "company": "Acme"}
    found = stamp(arrival, type="alias", anonymousId="d", previousId="ben", traits=traits).engagement
    assert (found.identifiers, found.aliases) == ((id_of("a", "d"),), ())
    assert "ben" not in found.context


def test_the_fingerprint_knows_the_key_and_is_none_of_its_ids() -> None:
    """The same for the same key, another for another; 32 hexadecimal digits."""
    assert fingerprint(SECRET) == fingerprint(SECRET) != fingerprint(SECRET + b"!")
    assert len(bytes.fromhex(fingerprint(SECRET))) == 16
