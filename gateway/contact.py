"""E-mail addresses, telephone numbers and network addresses, brought to one spelling."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from functools import lru_cache

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from iptocc import country_code

_E164 = re.compile(r"\+[1-9]\d{6,14}\Z")
_MAX_EMAIL_CHARACTERS = 254
"""RFC 5321's limit on a path, without the angle brackets."""
_MAX_PHONE_CHARACTERS = 50
_MAX_ADDRESS_CHARACTERS = 80
"""An IPv6 address with its zone.  What is longer than these limits is not looked at, and not kept in any cache."""


def normal_email(value: str) -> str | None:
    """The address trimmed, in lower case and with its domain as IDNA has it on the wire (A-labels, `xn--…`).

    None if its syntax is wrong.  Nothing is looked up.
    """
    email = value.strip()
    return _normal_email(email) if len(email) <= _MAX_EMAIL_CHARACTERS else None


@lru_cache(maxsize=16384)
def _normal_email(email: str) -> str | None:
    try:
        # Its `test_environment` admits the top-level domain .test, which is as well formed as any other.
        found = validate_email(
            unicodedata.normalize("NFKC", email).lower(), check_deliverability=False, test_environment=True
        )
    except EmailNotValidError:
        return None
    normal = f"{found.local_part}@{found.ascii_domain}"
    return normal if len(normal) <= _MAX_EMAIL_CHARACTERS else None


def normal_phone(value: str) -> str | None:
    """The number in E.164 (+, country code, digits), without an extension; None for one without its country code.

    The country that a visitor's address lies in would not do for it: who travels, or sits behind another country's
    proxy, would get the number of a stranger.
    """
    number = value.strip()
    return _normal_phone(number) if len(number) <= _MAX_PHONE_CHARACTERS else None


@lru_cache(maxsize=16384)
def _normal_phone(number: str) -> str | None:
    if number.startswith("00"):
        number = "+" + number[2:]
    try:
        found = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return None
    normal = phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164)
    return normal if phonenumbers.is_possible_number(found) and _E164.match(normal) else None


def locate(address: str, truncate: bool) -> tuple[str | None, str]:
    """The address (to 24 or 48 bits, if `truncate`) and its country's ISO code; (None, "") if it is none."""
    return _locate(address, truncate) if len(address) <= _MAX_ADDRESS_CHARACTERS else (None, "")


@lru_cache(maxsize=65536)
def _locate(address: str, truncate: bool) -> tuple[str | None, str]:
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
