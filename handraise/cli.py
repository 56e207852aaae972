"""`handraise`: parse, call, answer."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from typing import Any

import click

from handraise import output
from handraise.failure import WRONG_USE, Failure
from handraise.settings import VARIABLES, Settings, read

HELP = {"help_option_names": ["-h", "--help"]}
as_json = click.option("--json", "as_json", is_flag=True, help="For machines: one JSON document.")


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


def settings() -> Settings:
    """The environment, checked."""
    return read(os.environ)


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
        return 130
    return code if isinstance(code, int) else 0


def _run(coroutine: Any) -> Any:
    return asyncio.run(coroutine)


@cli.group("topics")
def topics_group() -> None:
    """The topics of the topic table, on the cluster."""


@topics_group.command("create")
@as_json
def topics_create(as_json: bool) -> None:
    """Create what is missing and set right what drifted; a second time changes nothing."""
    from handraise import topics

    given = settings()
    done = _run(topics.create(given))
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
    drifts = _run(topics.check(given))
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
@click.option("--metrics-port", type=click.IntRange(0, 65_535), help="Serve metrics and health there; 0: any.")
@click.option("--instance-id", help="Static membership: a restart under the same id gets its partitions back at once.")
def worker(roles: tuple[str, ...], accept_poison: int, metrics_port: int | None, instance_id: str | None) -> int:
    """Fold events into lead states and alerts. Roles: leads."""
    from handraise import logs, serve

    given = settings()
    logs.configure(given.log)
    return serve.worker(given, roles, accept_poison, metrics_port, instance_id)
