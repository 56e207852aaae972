"""What is sent: a notice as an e-mail in plain words, and as a signed webhook (Standard Webhooks 1.0.0)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from schemas.records import Delivery, Notice
from streams.delivery import LATE_MS
from streams.desk.words import VISITOR
from streams.publish import SPECVERSION, Header

_SUBJECTS = {
    "raised_hand": "Raised hand",
    "reminder": "Reminder",
    "offer_moved": "It is yours now",
    "escalation": "Nobody has answered",
    "hot_lead": "Hot lead",
    "digest": "Your leads",
    "taken": "Taken by somebody else",
    "refused": "Not possible",
}
KINDS = (*_SUBJECTS, "confirmation")
"""Kinds of notices."""
_MOST_SUBJECT = 120
_NO_ID = re.compile(r"[^A-Za-z0-9._-]")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encoder = msgspec.json.Encoder()


class Letter(NamedTuple):
    """An e-mail, without addresses."""

    message_id: str
    """The same for each copy, so that receivers know a repeat."""
    subject: str
    """One line."""
    body: str


def letter(notice: Notice, prefix: str, domain: str, now: int) -> Letter:
    """The e-mail for a notice; `prefix` of the deployment, `domain` of the sender, `now` in ms.

    The visitor's holds nothing that somebody typed into a form: whoever enters another's address makes us send it.
    """
    message_id = f"<{_NO_ID.sub('-', f'{prefix}{notice.notice_id}')}@{domain}>"
    paragraphs = [notice.text]
    if now - notice.deliver_after > LATE_MS:
        paragraphs.append(f"This message is late: it was meant for {clock(notice.deliver_after)}.")
    if notice.to == VISITOR:
        subject = "Your request"
        paragraphs.append("You get this message because your address was given with a request to be contacted.")
    else:
        first = " ".join(notice.text.split())
        subject = f"{_SUBJECTS.get(notice.kind, 'Notice')}: {first}"[:_MOST_SUBJECT]
        if notice.request_id:
            paragraphs.append(f"Request {notice.request_id}")
    return Letter(message_id, subject, "\n\n".join(paragraphs) + "\n")


def payload(notice: Notice) -> bytes:
    """The webhook's body: its type, the time of the notice, and the notice itself with times in ISO 8601."""
    times = {name: iso(getattr(notice, name)) for name in ("at", "deliver_after", "due_at")}
    data = {**msgspec.to_builtins(notice), **times}
    return _encoder.encode({"type": f"notice.{notice.kind}", "timestamp": iso(notice.at), "data": data})


def signature(secret: bytes, webhook_id: str, timestamp_s: int, body: bytes) -> str:
    """The value of `webhook-signature`: HMAC-SHA256 of id, timestamp and body."""
    signed = f"{webhook_id}.{timestamp_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()


def headers(delivery: Delivery) -> list[Header]:
    """The CloudEvents headers of a delivery's record."""
    return [
        SPECVERSION,
        ("ce_id", delivery.delivery_id.encode()),
        ("ce_type", b"handraise.Delivery"),
        ("ce_source", b"/handraise/notify"),
        ("ce_time", str(iso(delivery.at)).encode()),
        ("ce_subject", delivery.notice_id.encode()),
    ]


def iso(at: int | None) -> str | None:
    """A time in ms as ISO 8601 in UTC; what no calendar has is the number itself."""
    try:
        return None if at is None else (_EPOCH + timedelta(milliseconds=at)).isoformat().replace("+00:00", "Z")
    except OverflowError:
        return str(at)


def clock(at: int) -> str:
    """A time in ms in words: `22 Nov 2026 07:13 UTC`."""
    try:
        moment = _EPOCH + timedelta(milliseconds=at)
    except OverflowError:
        return f"{at} ms"
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{moment.day} {months[moment.month - 1]} {moment.year} {moment.hour:02d}:{moment.minute:02d} UTC"
