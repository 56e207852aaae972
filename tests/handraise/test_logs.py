"""What stands in logs, and what must not."""

import io
import sys
from collections.abc import Iterator

import pytest
import structlog

from handraise import logs


class Terminal(io.StringIO):
    """A standard error that a person reads."""

    def isatty(self) -> bool:
        """It is a terminal."""
        return True


@pytest.fixture(autouse=True)
def own_configuration() -> Iterator[None]:
    """Leave structlog as it was."""
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize("kind", [Terminal, io.StringIO])
def test_a_traceback_shows_no_values(monkeypatch: pytest.MonkeyPatch, kind: type[io.StringIO]) -> None:
    """A failure is logged with the lines that it came through, never with what their variables hold."""
    err = kind()
    monkeypatch.setattr(sys, "stderr", err)
    logs.configure("info")

    def fold(address: str) -> None:
        raise RuntimeError(len(address))

    try:
        fold("@".join(("elif", "kestrel-foods.example")))
    except RuntimeError:
        structlog.get_logger("some.room").exception("lane ended")
    assert "lane ended" in err.getvalue() and "raise RuntimeError" in err.getvalue()
    assert "elif@kestrel" not in err.getvalue()
