"""How a notice gets out: by SMTP, and by HTTP as a signed webhook.  Each attempt ends in a verdict."""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Literal

import aiosmtplib
import httpx

from streams.delivery import Verdict
from streams.letters import Letter, signature

PATIENCE_S = 20.0
"""For an attempt as a whole."""
_PERMANENT = 500
_GONE = 410
_TOO_MANY = 429
_OK = range(200, 300)
_MOST_WAIT_MS = 3_600_000
_ADDRESS = re.compile(r"\S+@\S+")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mail server, and as whom we send."""

    host: str
    port: int
    sender: str
    """`Name <address>`."""
    domain: str
    """Of the sender's address."""
    encryption: Literal["starttls", "tls", "none"]
    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Somebody who gets notices as webhooks."""

    name: str
    url: str
    secret: bytes
    kinds: frozenset[str]
    """Empty: all."""


async def send_mail(mailbox: Mailbox, address: str, letter: Letter) -> Verdict:
    """Hand a letter to the mail server."""
    message = EmailMessage()
    try:
        message["From"], message["To"] = mailbox.sender, address
    except ValueError:
        return Verdict("refused", "the address is none")
    message["Subject"], message["Message-ID"] = letter.subject, letter.message_id
    message["Auto-Submitted"] = "auto-generated"  # so that nobody's absence answers it (RFC 3834)
    message.set_content(letter.body)
    try:
        async with asyncio.timeout(PATIENCE_S):
            _, answer = await aiosmtplib.send(
                message,
                hostname=mailbox.host,
                port=mailbox.port,
                username=mailbox.user or None,
                password=mailbox.password or None,
                use_tls=mailbox.encryption == "tls",
                start_tls=mailbox.encryption == "starttls",
                timeout=PATIENCE_S,
            )
    except aiosmtplib.SMTPRecipientsRefused as error:
        return _refusal(error.recipients[0].code, error.recipients[0].message)
    except aiosmtplib.SMTPDataError as error:
        return _refusal(error.code, error.message)
    except (aiosmtplib.SMTPException, OSError, TimeoutError, ssl.SSLError) as error:
        return Verdict("away", _without_addresses(str(error) or type(error).__name__))
    return Verdict("sent", _without_addresses(answer))


async def post(client: httpx.AsyncClient, endpoint: Endpoint, webhook_id: str, body: bytes, now_s: int) -> Verdict:
    """Post a webhook; any answer from 200 to 299 is a yes, 410 means never again."""
    headers = {
        "content-type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(now_s),
        "webhook-signature": signature(endpoint.secret, webhook_id, now_s, body),
    }
    try:
        async with (
            asyncio.timeout(PATIENCE_S),
            client.stream("POST", endpoint.url, content=body, headers=headers) as answer,
        ):
            status, said = answer.status_code, f"{answer.status_code} {answer.reason_phrase}".strip()
            wait = answer.headers.get("retry-after", "")
    except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError) as error:
        return Verdict("away", f"{type(error).__name__}: {error}".rstrip(": "))
    if status in _OK:
        return Verdict("sent", said)
    if status == _GONE:
        return Verdict("refused", said)
    wait_ms = min(int(wait) * 1_000, _MOST_WAIT_MS) if wait.isascii() and wait.isdigit() else 0
    return Verdict("away" if status >= _PERMANENT or status == _TOO_MANY else "later", said, wait_ms)


def _refusal(code: int, message: str) -> Verdict:
    said = f"{code} {_without_addresses(message)}"
    return Verdict("refused" if code >= _PERMANENT else "later", said)


def _without_addresses(text: str) -> str:
    return _ADDRESS.sub("…", " ".join(text.split()))
