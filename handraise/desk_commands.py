"""`handraise desk` and `handraise audit`."""

from __future__ import annotations

import click

from handraise import output
from handraise.options import as_json, by_name, run_to_end, settings

ACTIVITIES = (
    "accept",
    "decline",
    "attempted",
    "contacted",
    "no_show",
    "won",
    "lost",
    "spam",
    "release",
    "reopen",
)


@click.group("desk")
def desk_group() -> None:
    """Requests to be contacted, and the people who answer them."""


@desk_group.command("list")
@click.option("--all", "everything", is_flag=True, help="Also what is answered, won, lost or spam.")
@as_json
def desk_list(everything: bool, as_json: bool) -> None:
    """Who has which request, until when."""
    from handraise import desk

    found = run_to_end(desk.requests(settings(), everything=everything))
    if as_json:
        output.document({"requests": desk.as_data(found)})
    else:
        desk.show(found)


@desk_group.command("activity")
@click.argument("kind", type=click.Choice(ACTIVITIES))
@click.argument("request")
@click.option("--rep", required=True, metavar="PERSON", help="Who did it: an id of the roster.")
@click.option("--reason", default="", metavar="WORD", help="Why, such as no_time.")
@click.option("--note", default="", metavar="TEXT")
@click.option("--channel", default="", metavar="WORD", help="How it was tried, such as phone.")
@by_name
@as_json
def desk_activity(
    kind: str, request: str, rep: str, reason: str, note: str, channel: str, by: str, as_json: bool
) -> int:
    """Say what was done about REQUEST (its id, or a lead's), and what came of it; exit code 1 if nothing did."""
    from handraise import desk

    given = settings()
    outcome = run_to_end(desk.act(given, kind, request, rep, reason=reason, note=note, channel=channel, by=by))
    if as_json:
        output.document(desk.outcome_as_data(outcome))
    else:
        desk.show_outcome(outcome)
    return 0 if outcome.assignments else 1


@desk_group.command("presence")
@click.argument("rep")
@click.argument("state", type=click.Choice(("on", "away", "off")))
@click.option("--until", metavar="TIME", help="Until then (ISO 8601, UTC); after it the working hours say.")
@by_name
@as_json
def desk_presence(rep: str, state: str, until: str | None, by: str, as_json: bool) -> None:
    """Say that a person can be given work now, or cannot."""
    from handraise import desk, person

    given = settings()
    until_ms = None if until is None else person.read_time(until) * 1_000
    outcome = run_to_end(desk.be(given, rep, state, until_ms, by))
    if as_json:
        output.document(desk.outcome_as_data(outcome))
    else:
        desk.show_outcome(outcome)


@click.command()
@as_json
def audit(as_json: bool) -> int:
    """Prove from the topics alone that no raised hand is lost: each has one owner or queue, an end or a due date."""
    from handraise import audit as auditing

    found = run_to_end(auditing.audit(settings()))
    if as_json:
        output.document(found.as_data())
    else:
        auditing.show(found)
    return 1 if found.problems else 0
