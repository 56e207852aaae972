"""Commands run in this process, with an environment of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog

from handraise.cli import run


@dataclass
class Answer:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


Command = Callable[..., Answer]


@pytest.fixture
def handraise(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Callable[..., Answer]]:
    """Run a command: ``handraise("topics", "list", HANDRAISE_PREFIX="x.")``; secrets are the test's own."""
    for name in list(os.environ):
        if name.startswith("HANDRAISE_"):
            monkeypatch.delenv(name)
    secrets = tmp_path / "secrets.toml"
    secrets.write_text('id_key = "c29tZSBrZXkgZm9yIHRlc3Rz"\n')
    monkeypatch.setenv("HANDRAISE_SECRETS", str(secrets))

    def call(*words: str, **environ: str) -> Answer:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        code = run(list(words))
        said = capsys.readouterr()
        return Answer(code, said.out, said.err)

    yield call
    structlog.reset_defaults()  # a command that serves has set up logs for its own streams
