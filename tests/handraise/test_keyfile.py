"""The secrets file."""

import stat
from pathlib import Path

import pytest

from gateway import facts
from handraise import keyfile, lookup
from handraise.failure import Failure
from handraise.settings import read
from streams.identity import fingerprint, lead_id
from tests.gateway.broker import create_topics


def test_the_key_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first use makes a random key that only its owner can read, and says so; the next ones read it."""
    monkeypatch.setattr(keyfile, "DEFAULT", tmp_path / "new" / "secrets.toml")
    said: list[str] = []
    key = keyfile.id_key(read({}), said.append)
    assert len(key) == 32
    assert keyfile.id_key(read({}), said.append) == key
    assert len(said) == 1 and str(keyfile.DEFAULT) in said[0]
    assert stat.S_IMODE(keyfile.DEFAULT.stat().st_mode) == 0o600
    assert [path.name for path in keyfile.DEFAULT.parent.iterdir()] == ["secrets.toml"]


@pytest.mark.parametrize("text", ["", "id_key = 7", 'id_key = ""', 'id_key = "not base64!"', "id_key", 'id_key = "é"'])
def test_a_file_without_a_key_is_refused(tmp_path: Path, text: str) -> None:
    """A file that has no usable key is told with its path and how to mend it, whatever is wrong with it."""
    path = tmp_path / "secrets.toml"
    path.write_text(text)
    with pytest.raises(Failure) as caught:
        keyfile.id_key(read({"HANDRAISE_SECRETS": str(path)}), print)
    assert caught.value.where == str(path)
    assert "id_key" in caught.value.remedy


def test_a_file_that_was_named_is_never_made(tmp_path: Path) -> None:
    """A missing file that somebody named is an error: another key would make every visitor a new lead."""
    path = tmp_path / "secrets.toml"
    with pytest.raises(Failure, match="cannot be read"):
        keyfile.id_key(read({"HANDRAISE_SECRETS": str(path)}), print)
    assert not path.exists()


def test_a_question_makes_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for a lead where no gateway has run is told so; a key made for the question would find nobody."""
    monkeypatch.setattr(keyfile, "DEFAULT", tmp_path / "new" / "secrets.toml")
    with pytest.raises(Failure, match="no id key here") as caught:
        lookup.parse("user:ana", read({}))
    assert "HANDRAISE_SECRETS" in caught.value.remedy
    assert not keyfile.DEFAULT.parent.exists()
    key = keyfile.id_key(read({}), print)
    assert keyfile.known_id_key(read({})) == key
    assert lookup.parse("user:ana", read({})).id == lead_id("u", "ana", key)


async def test_a_key_is_held_against_the_deployments(kafka: str, prefix: str, tmp_path: Path) -> None:
    """Without topic or fact any key will do; then only the one that a gateway has laid down."""
    path = tmp_path / "secrets.toml"
    given = read({"HANDRAISE_KAFKA": kafka, "HANDRAISE_PREFIX": prefix, "HANDRAISE_SECRETS": str(path)})
    await keyfile.check(given, b"mine")
    await create_topics(kafka, prefix)
    await keyfile.check(given, b"mine")
    await facts.lay_down(kafka, prefix, facts.ID_KEY, fingerprint(b"mine"), 30.0)
    await keyfile.check(given, b"mine")
    with pytest.raises(Failure, match="another id key than the deployment's") as caught:
        await keyfile.check(given, b"yours")
    assert (caught.value.where, caught.value.exit_code) == (str(path), 2)
    assert "HANDRAISE_SECRETS" in caught.value.remedy


async def test_without_kafka_no_key_is_held_against_anything() -> None:
    """It is told as every command tells it."""
    with pytest.raises(Failure, match="Kafka does not answer"):
        await keyfile.check(read({"HANDRAISE_KAFKA": "127.0.0.1:9"}), b"mine")
