"""What the commands share: options, the environment, and how a coroutine is run to its end."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import click

from handraise.settings import Settings, read

as_json = click.option("--json", "as_json", is_flag=True, help="For machines: one JSON document.")
by_name = click.option("--by", default="command line", show_default=True, metavar="NAME", help="Who says so.")


def settings() -> Settings:
    """The environment, checked."""
    return read(os.environ)


def run_to_end(coroutine: Any) -> Any:
    """What a coroutine returns."""
    return asyncio.run(coroutine)
