"""Texts that update themselves: with UPDATE_GOLDEN=1 in the environment what is made is written, not compared."""

import os
from pathlib import Path

UPDATING = os.environ.get("UPDATE_GOLDEN") == "1"


def check(path: Path, text: str) -> None:
    """Hold the file equal to the text, or write it if asked to."""
    if UPDATING:
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text, f"{path} is out of date: UPDATE_GOLDEN=1 pytest tests/schemas"
