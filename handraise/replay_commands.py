"""`handraise replay`."""

from __future__ import annotations

from pathlib import Path

import click

from handraise import output
from handraise.options import as_json, settings

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.option("--events", type=click.Path(path_type=Path), metavar="FILE.jsonl", help="Fold a file's events; no Kafka.")
@click.option("--rules", "folder", type=_FOLDER, metavar="DIR", help="The rules; HANDRAISE_RULES unless given.")
@click.option("--from", "since", metavar="TIME", help="Write what was said from then on (ISO 8601, UTC).")
@click.option("--to", "until", metavar="TIME", help="Fold what Kafka has from before then.")
@click.option("--out", type=_FOLDER, metavar="DIR", help="Where it is written.")
@click.option("--verify", is_flag=True, help="Compare all that is kept with what the recorded inboxes give.")
@click.option(
    "--processes", type=click.IntRange(1, 64), default=1, show_default=True, help="That share a verification."
)
@as_json
def replay(
    events: Path | None,
    folder: Path | None,
    since: str | None,
    until: str | None,
    out: Path | None,
    verify: bool,
    processes: int,
    as_json: bool,
) -> int:
    """Fold again what a file or Kafka has on record: into a folder, or to verify what was published.

    Exit code 1 if a verification finds a difference, or cannot compare everything.
    """
    from handraise.replay import run
    from handraise.replay.deployment import Outcome

    if events is not None and (verify or since or until):
        raise click.UsageError("--events folds a file: --from, --to and --verify are for what Kafka has")
    if out is None and not verify:
        raise click.UsageError("nothing says what for: give --out DIR, or --verify")
    if out is None and (since or until):
        raise click.UsageError("--from and --to choose what is written: give --out DIR")
    given = settings()
    rules_folder = folder or given.rules
    done: list[run.Written | Outcome] = []
    if events is not None and out is not None:
        done.append(run.from_file(given, events, rules_folder, out))
    elif out is not None:
        done.append(run.from_kafka(given, rules_folder, since, until, out))
    if verify:
        done.append(run.verify(given, rules_folder, processes))
    if as_json:
        told: dict[str, object] = {}
        for each in done:
            told |= each.as_data()
        output.document(told)
    else:
        for each in done:
            run.show(each)
    return 0 if all(each.ok for each in done) else 1
