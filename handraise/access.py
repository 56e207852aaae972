"""Who may sign in to the console: passwords in the secrets file, and links that sign in once."""

from __future__ import annotations

import contextlib
import os
import re
import tomllib
from pathlib import Path
from urllib.parse import quote

from console import passwords as hashes
from console.sessions import Sessions
from handraise import keyfile, rules
from handraise.clock import now_ms
from handraise.failure import WRONG_USE, Failure
from handraise.settings import Settings

_TABLE = re.compile(r"^\[passwords\][ \t]*(?:#.*)?$", re.M)
_REMEDY = 'write a table [passwords] with lines such as ana = "scrypt$…"; `handraise password ana` does'


def passwords(settings: Settings) -> dict[str, str]:
    """Person → hash, as the secrets file has them; empty where there is none.  Raises Failure."""
    path = keyfile.path_of(settings)
    try:
        values = tomllib.loads(path.read_text()) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise Failure(f"the secrets file cannot be read: {error}", str(path), _REMEDY) from error
    found = values.get("passwords", {})
    if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
        raise Failure("[passwords] is no table of hashes", str(path), _REMEDY)
    return found


class Passwords:
    """Person → hash, read anew when the secrets file has changed; a file that is broken meanwhile changes nothing."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._found = passwords(settings)
        self._mark = self._look()

    def __call__(self) -> dict[str, str]:
        """As it is now."""
        mark = self._look()
        if mark != self._mark:
            self._mark = mark
            with contextlib.suppress(Failure):
                self._found = passwords(self._settings)
        return self._found

    def _look(self) -> tuple[int, int] | None:
        try:
            found = keyfile.path_of(self._settings).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino


def set_password(settings: Settings, rep: str, password: str) -> Path:
    """Give a person of the roster a password; ends the sessions begun with the one before.  Returns the secrets file.

    Raises Failure.
    """
    _person(settings, rep)
    try:
        line = f'{rep} = "{hashes.make(password)}"'
    except ValueError as error:
        raise Failure(str(error), "handraise password", "choose a longer one", WRONG_USE) from error
    keyfile.id_key(settings, lambda _: None)
    path = keyfile.path_of(settings)
    passwords(settings)
    try:
        text = path.read_text()
        before, there, after = _around(text)
        kept = [each for each in there.splitlines() if each.strip() and not re.match(rf"{re.escape(rep)}\s*=", each)]
        _write(path, before + "\n".join([*kept, line]) + "\n" + after)
    except OSError as error:
        raise Failure(f"the secrets file cannot be written: {error.strerror}", str(path), "make it writable") from error
    return path


def one_time_link(settings: Settings, rep: str, next: str = "/") -> str:
    """The URL that signs a person in to the console once, within ten minutes, and shows a page.  Raises Failure."""
    _person(settings, rep)
    sessions = Sessions(keyfile.id_key(settings, lambda _: None), lambda: passwords(settings))
    token = sessions.link(rep, next, now_ms())
    return f"http://{settings.console}/login?once={quote(token)}"


def _person(settings: Settings, rep: str) -> None:
    people = rules.load(settings.rules).desk.roster.people
    if rep not in people:
        raise Failure(
            f"the roster has nobody with the id {rep!r}",
            str(settings.rules / "roster.toml"),
            f"give one of: {', '.join(people)}",
            WRONG_USE,
        )


def _around(text: str) -> tuple[str, str, str]:
    """What stands before the lines of [passwords], these, and what follows them."""
    found = _TABLE.search(text)
    if found is None:
        return f"{text.rstrip()}\n\n[passwords]\n", "", ""
    rest = text[found.end() :].lstrip("\n")
    following = re.search(r"^\[", rest, re.M)
    at = following.start() if following else len(rest)
    return text[: found.end()] + "\n", rest[:at], f"\n{rest[at:]}" if rest[at:] else ""


def _write(path: Path, text: str) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)
