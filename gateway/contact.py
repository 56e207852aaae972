"""E-mail addresses, telephone numbers and network addresses, brought to one spelling."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email
from iptocc import country_code

_PHONE_NOISE = re.compile(r"[\s().\-/]+")
_E164 = re.compile(r"\+[1-9]\d{6,14}\Z")
_MAX_EMAIL_CHARACTERS = 254
"""RFC 5321's limit on a path, without the angle brackets."""


@lru_cache(maxsize=16384)
def normal_email(value: str) -> str | None:
    """The address trimmed and in lower case; None if its syntax is wrong.  Nothing is looked up."""
    email = value.strip().lower()
    if len(email) > _MAX_EMAIL_CHARACTERS:
        return None
    try:
        # Its `test_environment` admits the top-level domain .test, which is as well formed as any other.
        validate_email(email, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return None
    return email


def normal_phone(value: str) -> str | None:
    """The number in E.164 (+, country code, digits); None for one without its country code."""
    number = _PHONE_NOISE.sub("", value)
    if number.startswith("00"):
        number = "+" + number[2:]
    return number if _E164.match(number) else None


@lru_cache(maxsize=65536)
def locate(address: str, truncate: bool) -> tuple[str | None, str]:
    """The address (to 24 or 48 bits, if `truncate`) and its country's ISO code; (None, "") if it is none."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return None, ""
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    country = country_code(str(ip)) or ""
    if truncate:
        ip = ipaddress.ip_network(f"{ip}/{24 if ip.version == 4 else 48}", strict=False).network_address
    return str(ip), country
