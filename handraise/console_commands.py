"""`handraise console` and `handraise password`."""

from __future__ import annotations

import sys

import click

from handraise import output
from handraise.options import settings


@click.command()
@click.option("--site", metavar="URL", help="Show this site beside the queue, on /demo.")
def console(site: str | None) -> None:
    """Show people what to do next, and take what they say (HANDRAISE_CONSOLE), until SIGTERM or Ctrl-C."""
    from handraise import logs, serve

    given = settings()
    logs.configure(given.log)
    serve.console(given, site)


@click.command()
@click.argument("name")
@click.option("--stdin", is_flag=True, help="Read the password from a line of standard input.")
def password(name: str, stdin: bool) -> None:
    """Give somebody a password for the console; NAME is the id in roster.toml.

    It ends the sessions begun with the one before.
    """
    from handraise import access

    given = settings()
    if stdin:
        word = sys.stdin.readline().rstrip("\n")
    else:
        word = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    path = access.set_password(given, name, word)
    output.say(f"{name} can sign in on http://{given.console}/login; the hash is in {path}", "good")
