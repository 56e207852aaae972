"""Passwords in the secrets file, and links that sign in once."""

import stat
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from console import passwords as hashes
from console.sessions import Sessions
from handraise import access, keyfile
from handraise.failure import Failure
from handraise.settings import Settings, read

WORD = "a long password"


@pytest.fixture
def given(tmp_path: Path) -> Settings:
    """Settings with a secrets file that has more than passwords in it."""
    path = tmp_path / "secrets.toml"
    path.write_text('# mine\nid_key = "c2VjcmV0"\n\n[channels]\nsmtp = "smtp://mail.example"\n')
    return read({"HANDRAISE_SECRETS": str(path)})


def test_a_password_is_written_beside_what_is_there(given: Settings) -> None:
    """Other lines and tables stay as they are; the file is its owner's alone; a second password replaces the first."""
    for rep, word in (("ana", "the first password"), ("ben", WORD), ("ana", WORD)):
        access.set_password(given, rep, word)
    text = keyfile.path_of(given).read_text()
    found = access.passwords(given)
    assert set(found) == {"ana", "ben"}
    assert all(hashes.fits(WORD, each) for each in found.values())
    assert text.startswith('# mine\nid_key = "c2VjcmV0"\n')
    assert text.count("[passwords]") == 1
    assert 'smtp = "smtp://mail.example"' in text
    assert WORD not in text
    assert stat.S_IMODE(keyfile.path_of(given).stat().st_mode) == 0o600


def test_tables_after_the_passwords_stay(given: Settings) -> None:
    """The table may stand anywhere in the file."""
    path = keyfile.path_of(given)
    path.write_text('id_key = "c2VjcmV0"\n[passwords]  # people\nben = "x"\n\n[channels]\nsmtp = "y"\n')
    access.set_password(given, "ana", WORD)
    access.set_password(given, "ben", WORD)
    assert set(access.passwords(given)) == {"ana", "ben"}
    assert path.read_text().endswith('[channels]\nsmtp = "y"\n')


@pytest.mark.parametrize(("rep", "word", "what"), [("zoe", WORD, "nobody with the id"), ("ana", "short", "characters")])
def test_who_and_what_cannot_be_is_refused(given: Settings, rep: str, word: str, what: str) -> None:
    """Somebody who is not in the roster gets no password, and a short one is none."""
    before = keyfile.path_of(given).read_text()
    with pytest.raises(Failure, match=what):
        access.set_password(given, rep, word)
    assert keyfile.path_of(given).read_text() == before


def test_a_running_console_takes_up_a_new_password(given: Settings) -> None:
    """The file is read anew when it has changed; while it is broken what was known stands."""
    known = access.Passwords(given)
    assert known() == {}
    access.set_password(given, "ana", WORD)
    assert set(known()) == {"ana"}
    keyfile.path_of(given).write_text("[")
    assert set(known()) == {"ana"}


def test_broken_passwords_are_told(given: Settings) -> None:
    """File and remedy."""
    keyfile.path_of(given).write_text('id_key = "c2VjcmV0"\npasswords = 3\n')
    with pytest.raises(Failure) as caught:
        access.passwords(given)
    assert caught.value.where == str(keyfile.path_of(given))
    assert "handraise password" in caught.value.remedy


def test_a_one_time_link_is_for_the_console_with_the_same_secrets(given: Settings) -> None:
    """It signs its person in, to its page."""
    access.set_password(given, "ben", WORD)
    url = urlsplit(access.one_time_link(given, "ben", "/demo"))
    assert (url.netloc, url.path) == ("127.0.0.1:8081", "/login")
    (token,) = parse_qs(url.query)["once"]
    used = Sessions(keyfile.known_id_key(given), access.Passwords(given)).use(token, 0)
    assert used
    assert (used.rep, used.page) == ("ben", "/demo")
    with pytest.raises(Failure):
        access.one_time_link(given, "zoe")
