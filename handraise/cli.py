"""`handraise`: parse, call, answer."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click

from handraise import output
from handraise.console_commands import console, password
from handraise.desk_commands import audit, desk_group
from handraise.failure import INTERRUPTED, WRONG_USE, Failure
from handraise.options import as_json, by_name, run_to_end, settings
from handraise.replay_commands import replay
from handraise.rules_commands import rules_group
from handraise.settings import VARIABLES

HELP = {"help_option_names": ["-h", "--help"]}


def _environment_help() -> str:
    width = max(len(variable.name) for variable in VARIABLES)
    lines = [f"  {variable.name:<{width}}  {variable.default or '–'}  ({variable.reason})" for variable in VARIABLES]
    return "\b\nEnvironment, with defaults:\n" + "\n".join(lines)


@click.group(context_settings=HELP, epilog=_environment_help())
@click.version_option(package_name="handraise", message="%(version)s")
def cli() -> None:
    """Engagement events in; behaviour scores, hot-lead alerts and lead states out, exactly once on Kafka."""
    # A failure is told once, by us, with its remedy; what the client library says before is noise.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def main() -> None:
    """Run the command line and end the process with its exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command; failures go to standard error in three lines."""
    try:
        code = cli.main(arguments, "handraise", standalone_mode=False)
    except Failure as failure:
        output.fail(failure)
        return failure.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "handraise"
        output.fail(Failure(error.format_message(), where, f"see `{where} --help`"))
        return WRONG_USE
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    return code if isinstance(code, int) else 0


cli.add_command(desk_group)
cli.add_command(audit)
cli.add_command(console)
cli.add_command(replay)
cli.add_command(password)
cli.add_command(rules_group)


@cli.group("topics")
def topics_group() -> None:
    """The topics of the topic table, on the cluster."""


@topics_group.command("create")
@as_json
def topics_create(as_json: bool) -> None:
    """Create what is missing and set right what drifted; a second time changes nothing."""
    from handraise import topics

    given = settings()
    done = run_to_end(topics.create(given))
    if as_json:
        output.document({"done": done})
        return
    for each in done:
        output.say(each)
    output.say(f"all topics are as they should be on {given.kafka}", "good")


@topics_group.command("check")
@as_json
def topics_check(as_json: bool) -> int:
    """Compare the cluster with the topic table; exit code 1 when something differs."""
    from handraise import topics

    given = settings()
    drifts = run_to_end(topics.check(given))
    if as_json:
        output.document(
            {
                "ok": not drifts,
                "differences": [{"topic": each.topic, "what": each.what, "remedy": each.remedy} for each in drifts],
            }
        )
    elif not drifts:
        output.say(f"all topics are as they should be on {given.kafka}", "good")
    else:
        for failure in topics.failures(drifts, given.kafka):
            output.fail(failure)
    return 1 if drifts else 0


@topics_group.command("list")
@as_json
def topics_list(as_json: bool) -> None:
    """What topics there are, what they hold, and how long."""
    from handraise import listing

    given = settings()
    if as_json:
        output.document(listing.topics_as_data(given))
    else:
        output.show(listing.topics_as_table(given))


@cli.command()
def gateway() -> None:
    """Take events from trackers over HTTP (HANDRAISE_GATEWAY) until SIGTERM or Ctrl-C."""
    from handraise import logs, serve

    given = settings()
    logs.configure(given.log)
    serve.gateway(given)


@cli.command()
@click.argument("roles", nargs=-1, required=True, metavar="ROLE...|all")
@click.option(
    "--accept-poison",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Reject N unreadable records of each partition without pausing it, then count as ever.",
)
@click.option(
    "--skip",
    multiple=True,
    metavar="PARTITION:OFFSET",
    help="Reject this record of the inbox, because folding it failed; give one role. May be given again.",
)
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65_535),
    help="Serve metrics and health there, of several roles on the ports after it; 0: any.",
)
@click.option("--instance-id", help="Static membership: a restart under the same id gets its partitions back at once.")
def worker(
    roles: tuple[str, ...],
    accept_poison: int,
    skip: tuple[str, ...],
    metrics_port: int | None,
    instance_id: str | None,
) -> int:
    """Fold events into what they mean, until SIGTERM or Ctrl-C.

    Roles: leads (states and alerts of leads), desk (who answers whom, until when); all of them in one go: all.
    """
    from handraise import logs, serve

    given = settings()
    logs.configure(given.log)
    return serve.worker(given, roles, serve.Leave(accept_poison, serve.places(roles, skip)), metrics_port, instance_id)


@cli.command()
@click.argument("topics", nargs=-1, metavar="[TOPIC...]")
@click.option("--from-beginning", is_flag=True, help="From the first record that is kept, not from now on.")
@click.option("--uncommitted", is_flag=True, help="Also what a worker may still withdraw; a little earlier.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="End after N records.")
@click.option("--json", "as_json", is_flag=True, help="For machines: one JSON object a line.")
def tail(topics: tuple[str, ...], from_beginning: bool, uncommitted: bool, count: int | None, as_json: bool) -> None:
    """Show records, decoded, one line each, as they come; all public topics unless some are named."""
    from handraise import tail as tailing

    reading = tailing.tail(
        settings(), topics, beginning=from_beginning, uncommitted=uncommitted, most=count, as_json=as_json
    )
    run_to_end(reading)


class _LeadGroup(click.Group):
    """A group whose first word may be an ID: then `show` is meant."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `show` before what is no command."""
        if args and args[0] not in (*self.commands, *HELP["help_option_names"]):
            args = ["show", *args]
        return super().parse_args(ctx, args)


@cli.group("lead", cls=_LeadGroup, subcommand_metavar="ID | COMMAND ...")
def lead_group() -> None:
    """What is known of a lead, and who is who.  `handraise lead ID` shows a lead.

    ID: a lead id, or user:…, email:…, anonymous:…
    """


@lead_group.command("show")
@click.argument("id")
@as_json
def lead_show(id: str, as_json: bool) -> None:
    """Score, reasons, identifiers and devices; who may be the same person.  `show` may be left out."""
    from handraise import desk, identifiers, lookup, person, rules, suspicions

    given = settings()
    loaded = rules.load(given.rules).rules
    found = run_to_end(lookup.look_up(given, lookup.parse(id, given)))
    ids = identifiers.ids_of(found)
    told = run_to_end(suspicions.suspicions(given, ids))
    assignment = run_to_end(desk.latest(given, ids))
    if as_json:
        output.document(person.lead_as_data(found, loaded, told, assignment))
    else:
        person.show_lead(found, loaded, told, assignment)


@lead_group.command("merge")
@click.argument("a")
@click.argument("b")
@by_name
@as_json
def lead_merge(a: str, b: str, by: str, as_json: bool) -> None:
    """Make A and B one lead: they are the same person.

    The stronger id stays: user before e-mail before device; of one kind the one that sorts first.
    """
    from handraise import lookup, rules, verdicts, wishes

    given = settings()
    loaded = rules.load(given.rules).rules
    done = run_to_end(wishes.merge(given, lookup.parse(a, given), lookup.parse(b, given), by))
    if as_json:
        output.document(verdicts.done_as_data("merged", done, loaded))
    else:
        verdicts.show_merged(done, loaded)


@lead_group.command("unmerge")
@click.argument("a")
@by_name
@as_json
def lead_unmerge(a: str, by: str, as_json: bool) -> None:
    """Make A, which was merged into another lead, a lead of its own again."""
    from handraise import lookup, rules, verdicts, wishes

    given = settings()
    loaded = rules.load(given.rules).rules
    done = run_to_end(wishes.unmerge(given, lookup.parse(a, given), by))
    if as_json:
        output.document(verdicts.done_as_data("unmerged", done, loaded))
    else:
        verdicts.show_unmerged(done, loaded)


@lead_group.command("not-the-same")
@click.argument("a")
@click.argument("b")
@by_name
@as_json
def lead_not_the_same(a: str, b: str, by: str, as_json: bool) -> None:
    """Dismiss the suspicion that A and B are one person."""
    from handraise import lookup, verdicts, wishes

    given = settings()
    told = run_to_end(wishes.not_the_same(given, lookup.parse(a, given), lookup.parse(b, given), by))
    if as_json:
        output.document(verdicts.dismissed_as_data(told))
    else:
        verdicts.show_dismissed(told)


@cli.command()
@click.argument("id")
@click.option("--at", metavar="TIME", help="The ledger as of then (ISO 8601, UTC), in the light of all known now.")
@as_json
def explain(id: str, at: str | None, as_json: bool) -> None:
    """Every point of a lead's score: which event, rule, limit and decay. The rows add up."""
    from handraise import lookup, person, rules

    given = settings()
    at_s = None if at is None else person.read_time(at)
    loaded = rules.load(given.rules).rules
    found = run_to_end(lookup.look_up(given, lookup.parse(id, given)))
    then, explained = person.explanation(found, loaded, at_s)
    if as_json:
        output.document(person.explanation_as_data(found, loaded, explained))
    else:
        named = run_to_end(person.names(given, found, explained))
        person.show_explanation(found, then, loaded, explained, named)


@cli.command("rebuild-read-side")
@as_json
def rebuild_read_side(as_json: bool) -> None:
    """Fill the read side anew from the topics' beginnings; it is read as it was until the new one is there."""
    from handraise import rebuild

    filled = run_to_end(rebuild.rebuild(settings()))
    if as_json:
        output.document(rebuild.as_data(filled))
    else:
        rebuild.show(filled)


@cli.command()
@as_json
def doctor(as_json: bool) -> int:
    """See whether all is there that Handraise needs here; exit code 1 if not."""
    from handraise import doctor as doctoring

    findings = []
    for finding in doctoring.examine(settings()):
        findings.append(finding)
        if not as_json:
            doctoring.show(finding)
    well = all(each.ok for each in findings)
    if as_json:
        output.document({"ok": well, "findings": [{**each._asdict(), "ok": each.ok} for each in findings]})
    return 0 if well else 1


@cli.command()
@click.option(
    "--for", "seconds", type=click.FloatRange(min=1), metavar="SECONDS", help="End after so long of live visits."
)
@click.option("--visitors", type=click.IntRange(1, 20_000), default=300, show_default=True, help="In the history.")
@click.option(
    "--rate", type=click.FloatRange(0.1, 2_000), default=10.0, show_default=True, help="Live events a second."
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed tells the same story.")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE.json",
    help="Write the figures there.",
)
@click.option("--audit", "audited", is_flag=True, help="The report has what became of each raised hand.")
def demo(seconds: float | None, visitors: int, rate: float, seed: int, report: Path | None, audited: bool) -> int:
    """All parts with simulated visitors: who raises a hand, who gets hot, and who answers. Ctrl-C ends all of it."""
    from handraise.demo.run import run as run_demo
    from handraise.demo.showing import Options

    return run_demo(settings(), Options(seconds, visitors, rate, seed), report, audited=audited)
