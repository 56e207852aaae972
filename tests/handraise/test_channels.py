"""The table [channels] of the secrets file: what is wrong in it is told with file, field and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from handraise import channels, settings
from handraise.failure import Failure

MAIL = '[channels.email]\nserver = "smtp.shop.example:587"\nsender = "Shop <desk@shop.example>"\n'
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
HOOK = f'[[channels.webhook]]\nname = "crm"\nurl = "https://crm.example/in"\nsecret = "{SECRET}"\n'


def load(folder: Path, text: str) -> object:
    """What is configured by a secrets file with this text."""
    file = folder / "secrets.toml"
    file.write_text(text)
    return channels.load(settings.read({"HANDRAISE_SECRETS": str(file)}))


def test_what_is_configured(tmp_path: Path) -> None:
    """A mail server and endpoints, with sensible defaults; no table at all is no error."""
    mailbox, [endpoint] = load(tmp_path, f'id_key = "eA=="\n{MAIL}{HOOK}kinds = ["raised_hand"]')  # type: ignore[misc]
    assert (mailbox.host, mailbox.port, mailbox.domain) == ("smtp.shop.example", 587, "shop.example")
    assert mailbox.encryption == "starttls"
    assert (endpoint.name, endpoint.kinds) == ("crm", frozenset({"raised_hand"}))
    assert endpoint.secret == b"0123456789abcdef0123456789abcdef"
    assert load(tmp_path, 'id_key = "eA=="') == (None, ())


@pytest.mark.parametrize(
    ("text", "field", "what", "remedy"),
    [
        ('[channels.slack]\nurl = "x"', "channels", "unknown field `slack`", "[channels.email]"),
        (MAIL + 'tls = "yes"', "channels.email", "unknown field `tls`", "docs/notify.md"),
        (MAIL + 'encryption = "ssl"', "channels.email.encryption", "invalid enum value 'ssl'", "docs/notify.md"),
        (MAIL.replace(":587", ""), "channels.email.server", "'smtp.shop.example' is no server", "HOST:PORT"),
        (MAIL.replace("desk@", "desk at "), "channels.email.sender", "has no e-mail address", "Name <name@"),
        (MAIL + 'user = "desk"', "channels.email.password", "it is missing", "give the user's password"),
        ('[channels.email]\nserver = "a:1"', "channels.email", "missing required field `sender`", "docs/notify.md"),
        (HOOK.replace("https:", "ftp:"), "channels.webhook[0].url", "'ftp://crm.example/in' is no URL", "https://"),
        (HOOK.replace("crm.example", "crm.example:x"), "channels.webhook[0].url", "is no URL", "https://"),
        (HOOK.replace('"crm"', '"CRM!"'), "channels.webhook[0].name", "'CRM!' is no name", "lower case"),
        (HOOK.replace("whsec_", ""), "channels.webhook[0].secret", "it is no secret", "openssl rand -base64 32"),
        (HOOK.replace(SECRET, "whsec_eA=="), "channels.webhook[0].secret", "it is no secret", "24 to 64 bytes"),
        (HOOK.replace(f'secret = "{SECRET}"\n', ""), "channels.webhook[0]", "missing required field `secret`", "docs"),
        (HOOK + 'kinds = ["raised"]', "channels.webhook[0].kinds", "there is no kind 'raised'", "raised_hand"),
        (HOOK + HOOK, "channels.webhook[1].name", "'crm' is there twice", "a name of its own"),
        ('channels = "mail"', "channels", "expected `object`, got `str`", "[channels.email]"),
        ("[channels", "", "is not valid TOML", "mend it there"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, text: str, field: str, what: str, remedy: str) -> None:
    """An unknown channel, a bad address, a missing secret: the file, the field, and what to write."""
    with pytest.raises(Failure) as raised:
        load(tmp_path, text)
    told = raised.value
    assert str(tmp_path / "secrets.toml") in told.where and told.where.endswith(field)
    assert what in told.what and remedy in told.remedy
    assert SECRET not in str(told)


def test_addresses_of_people() -> None:
    """Who has an address is told by e-mail."""
    person = 'name = "A"\nteam = "t"\nzone = "UTC"\nhours = { mon = ["09:00-17:00"] }\n'
    team = '[[team]]\nid = "t"\nname = "T"\nmanager = "ana"\n'
    text = f'{team}[[person]]\nid = "ana"\nemail = "ana@shop.example"\n{person}'
    text += f'[[person]]\nid = "ben"\nemail = "-"\n{person}'
    assert channels.addresses(text) == {"ana": "ana@shop.example"}
