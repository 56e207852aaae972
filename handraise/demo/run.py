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
from handraise.demo.sender import WRITE_KEY
from handraise.demo.showing import Options, Showing
from handraise.failure import CHECK_FAILED, INTERRUPTED, Failure
from handraise.settings import Settings


def run(settings: Settings, options: Options, report: Path | None) -> int:
    """Run the demo; exit code 0, or 1 if an event was lost or doubled.  Raises Failure."""
    began = time.monotonic()
    source = rules.load(settings.rules).sources.get(WRITE_KEY)
    if source is None:
        raise Failure(
            f'no source has the write key "{WRITE_KEY}", which the demo sends with',
            str(settings.rules / rules.SOURCES_FILE),
            "add one, as the shipped rules have it, or unset HANDRAISE_RULES",
        )
    key = keyfile.id_key(settings, output.note)
    ledger = Ledger(source.name, key)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)  # until the story runs and takes them itself
    with stage.broker(settings, lambda said: output.say(said, "quiet")) as (kafka, started_here):
        logs = Path(tempfile.mkdtemp(prefix="handraise-demo-"))
        showing = Showing(options, ledger)
        asyncio.run(showing.play(settings, kafka, logs, tidy=started_here))
    if showing.own is not None:
        found = summary.report(ledger, showing.kills, showing.marta, began)
        summary.show(showing.own, found, showing.names, ledger, started_here=started_here)
        if report is not None:
            asked = {"seed": options.seed, "visitors": options.visitors, "rate": options.rate}
            report.write_text(json.dumps({**found, **asked}, indent=2) + "\n")
    if showing.own is None:  # somebody ended it before it began
        shutil.rmtree(logs)
        return INTERRUPTED
    if not showing.settled or ledger.lost() or ledger.doubled():
        output.note(f"logs of gateway and worker: {logs}")
        return CHECK_FAILED
    shutil.rmtree(logs)
    return 0


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
