"""Single keys from the terminal, without waiting for Enter."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import termios
import tty
from collections.abc import Callable, Iterator, Mapping


@contextlib.contextmanager
def listening(actions: Mapping[str, Callable[[], None]]) -> Iterator[bool]:
    """Call an action when its key is pressed; gives False where there is no terminal to listen to.

    Ctrl-C stays a signal.  The terminal is left as it was.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        yield False
        return
    terminal, loop = sys.stdin.fileno(), asyncio.get_running_loop()
    before = termios.tcgetattr(terminal)

    def heard() -> None:
        for key in os.read(terminal, 64).decode(errors="ignore"):
            if key in actions:
                actions[key]()

    tty.setcbreak(terminal)
    loop.add_reader(terminal, heard)
    try:
        yield True
    finally:
        loop.remove_reader(terminal)
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
