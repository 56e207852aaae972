"""The demo from start to summary."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import tempfile
import time
from pathlib import Path

from handraise import keyfile, output, rules
from handraise.demo import stage, summary
from handraise.demo.ledger import Ledger
from handraise.demo.requests import Requests
from handraise.demo.sender import WRITE_KEY
from handraise.demo.showing import Options, Showing
from handraise.failure import CHECK_FAILED, INTERRUPTED, Failure
from handraise.settings import Settings


def run(settings: Settings, options: Options, report: Path | None, *, audited: bool) -> int:
    """Run the demo; exit code 0, or 1 if an event or a request was lost or doubled.  Raises Failure.

    `audited`: the report has what the audit found.
    """
    began = time.monotonic()
    rule_set = rules.load(settings.rules)
    source = rule_set.sources.get(WRITE_KEY)
    if source is None:
        raise Failure(
            f'no source has the write key "{WRITE_KEY}", which the demo sends with',
            str(settings.rules / rules.SOURCES_FILE),
            "add one, as the shipped rules have it, or unset HANDRAISE_RULES",
        )
    key = keyfile.id_key(settings, output.note)
    ledger = Ledger(source.name, key)
    people = {person.id: person.name for person in rule_set.desk.roster.people.values()}
    requests = Requests(source.name, people, ledger.worth)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)  # until the story runs and takes them itself
    with stage.servers(settings, lambda said: output.say(said, "quiet")) as (there, started_here):
        folder = Path(tempfile.mkdtemp(prefix="handraise-demo-"))
        showing = Showing(options, ledger, requests)
        asyncio.run(showing.play(settings, there, folder, tidy=started_here))
    if showing.own is not None:
        found = summary.report(ledger, requests, showing.kills, showing.marta, began)
        if audited and showing.audit is not None:
            found["audit"] = summary.audit(showing.audit)
        summary.show(showing.own, found, showing.names, ledger, showing.audit, started_here=started_here)
        if report is not None:
            asked = {"seed": options.seed, "visitors": options.visitors, "rate": options.rate}
            report.write_text(json.dumps({**found, **asked}, indent=2) + "\n")
    if showing.own is None:  # somebody ended it before it began
        shutil.rmtree(folder)
        return INTERRUPTED
    if not showing.settled or ledger.lost() or ledger.doubled() or showing.audit is None or showing.audit.problems:
        output.note(f"logs of the demo's processes: {folder}")
        return CHECK_FAILED
    shutil.rmtree(folder)
    return 0


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
