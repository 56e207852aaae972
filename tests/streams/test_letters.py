"""What is sent: letters in plain words, and webhooks that the reference library verifies."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from schemas.records import Notice
from streams.letters import letter, payload, signature
from tests.schemas.strategies import longs, texts

AT = 1_795_521_600_000
SECRET = b"0123456789abcdef0123456789abcdef"
NOTICE = Notice(
    *("desk-0-41-1", "ben", "raised_hand", "482b01dcf76268b2", "u_4kq2mzc7hxwdn3ra"),
    "Jonas Vik of Brightwater asks to be contacted: “Before Thursday”; by Sun 12:05.",
    *(AT, AT, AT + 300_000),
    ("email",),
)
notices = st.builds(
    Notice,
    notice_id=texts,
    to=texts,
    kind=texts,
    request_id=st.none() | texts,
    lead_id=st.none() | texts,
    text=texts,
    at=longs,
    deliver_after=longs,
    due_at=st.none() | longs,
    channels=st.just(("email",)),
)


def test_a_letter_in_time() -> None:
    """It says who wants what, and which request it is; its id is derived from the notice."""
    found = letter(NOTICE, "shop.", "harbourlight.example", AT + 1_000)
    assert found.message_id == "<shop.desk-0-41-1@harbourlight.example>"
    assert found.subject == f"Raised hand: {NOTICE.text}"[:120]
    assert found.body == f"{NOTICE.text}\n\nRequest 482b01dcf76268b2\n"


def test_a_late_letter_says_so() -> None:
    """What comes later than it was meant says when that was."""
    assert "This message is late: it was meant for 24 Nov 2026 12:00 UTC." in letter(NOTICE, "", "x", AT + 600_000).body


def test_the_visitors_letter_holds_nothing_typed() -> None:
    """Whoever enters somebody else's address makes us send our words, and none of theirs."""
    told = msgspec.structs.replace(
        NOTICE, to="visitor", kind="confirmation", text="Ben Holm will contact you by 12:05."
    )
    found = letter(told, "", "x", AT)
    assert found.subject == "Your request"
    assert found.body.startswith("Ben Holm will contact you by 12:05.\n\nYou get this message because")


@given(notices, longs)
def test_a_letter_has_one_line_of_subject_and_an_id(it: Notice, now: int) -> None:
    """Whatever stands in a notice: a subject is one line, and an id has no characters that would end it."""
    found = letter(it, "p.", "harbourlight.example", now)
    assert "\n" not in found.subject and "\r" not in found.subject and len(found.subject) <= 120
    assert found.message_id.startswith("<p.") and found.message_id.isascii() and " " not in found.message_id


@given(notices, st.binary(min_size=24, max_size=64))
def test_the_reference_library_verifies_webhooks(it: Notice, secret: bytes) -> None:
    """Our signature is that of Standard Webhooks, and the body holds the notice."""
    body, now = payload(it), int(datetime.now(UTC).timestamp())
    identity = "desk-0-41-1"
    headers = {
        "webhook-id": identity,
        "webhook-timestamp": str(now),
        "webhook-signature": signature(secret, identity, now, body),
    }
    verifier = Webhook("whsec_" + base64.b64encode(secret).decode())
    verified = verifier.verify(body, headers)
    assert (verified["type"], verified["data"]["text"]) == (f"notice.{it.kind}", it.text)
    with pytest.raises(WebhookVerificationError):
        verifier.verify(body + b" ", headers)


def test_times_are_iso_8601() -> None:
    """Systems read times as others write them."""
    read = json.loads(payload(NOTICE))
    assert (read["timestamp"], read["data"]["due_at"]) == ("2026-11-24T12:00:00Z", "2026-11-24T12:05:00Z")
