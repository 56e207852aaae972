"""How commands speak: words and aligned columns for people, JSON for machines, failures in three lines."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from handraise.failure import Failure

# Colour has a meaning: amber is hot, green is done, red is what somebody must mend.  Never colour alone.
_UNBOUNDED = 10_000
THEME = Theme({"hot": "yellow", "good": "green", "bad": "red", "quiet": "dim", "strong": "bold"})


def console(*, stderr: bool = False) -> Console:
    """A console on the present standard stream; colours only on a terminal."""
    return Console(theme=THEME, stderr=stderr, highlight=False, soft_wrap=False, emoji=False, markup=False)


def say(text: str | Text = "", style: str | None = None) -> None:
    """One line for people; never broken where the output is no terminal."""
    out = console()
    out.print(text, style=style, soft_wrap=not out.is_terminal)


def copyable(text: str | Text, style: str | None = None) -> None:
    """One line that somebody will copy: the terminal may fold it, we never break it."""
    console().print(text, style=style, soft_wrap=True)


def note(text: str) -> None:
    """One line beside the output, on standard error."""
    console(stderr=True).print(text, style="quiet", soft_wrap=True)


def fail(failure: Failure) -> None:
    """The three lines of a failure, on standard error."""
    err = console(stderr=True)
    err.print(Text(failure.what, "bad"), soft_wrap=True)
    for name, value in (("where", failure.where), ("remedy", failure.remedy)):
        err.print(Text.assemble((f"  {name + ':':<8}", "quiet"), value), soft_wrap=True)


def document(value: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def line(value: Any) -> None:
    """One JSON document on one line."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def table(columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[str | Text]]) -> Table:
    """Aligned columns without lines; a column is (title, "left" or "right")."""
    titled = any(title for title, _ in columns)
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="quiet", show_header=titled)
    for place, (title, justify) in enumerate(columns):
        grid.add_column(title, justify="right" if justify == "right" else "left", overflow="fold", no_wrap=place == 0)
    for row in rows:
        grid.add_row(*row)
    return grid


def show(renderable: Table) -> None:
    """A table; as wide as it needs to be where the output is no terminal."""
    out = console()
    if out.is_terminal:
        out.print(renderable)
        return
    out.width = _UNBOUNDED
    with out.capture() as captured:
        out.print(renderable)
    sys.stdout.write("".join(line.rstrip() + "\n" for line in captured.get().splitlines()))
