"""The demo's own copy of the rules: somebody is on shift at every hour of every day, and ladders are short."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from handraise.failure import Failure
from streams.desk.roster import ROSTER_FILE
from streams.desk.routing_file import ROUTING_FILE

OFFERED_AFTER = 1
"""Minutes after which a request that nobody answers is offered to the next."""
SAID = "In this demo people work round the clock, and what nobody answers is offered to the next after one minute."
_HOURS = re.compile(r"^hours = .*$", re.MULTILINE)
_HOLIDAYS = re.compile(r"^calendar = .*\n", re.MULTILINE)
_LADDER = re.compile(r"(^\[classes\.contact_request\][^\[]*^ladder = )\[[^\]]*\]", re.MULTILINE)
_SHORT = f"""[
  {{ after_minutes = {OFFERED_AFTER}, do = "offer" }},
  {{ after_minutes = {10 * OFFERED_AFTER}, do = "reassign" }},
  {{ after_minutes = {30 * OFFERED_AFTER}, do = "escalate" }},
]"""


def copy(rules: Path, folder: Path) -> Path:
    """Copy the rules to a new folder, changed; the folder.  Raises Failure where they are written otherwise."""
    shutil.copytree(rules, folder)
    _change(rules, folder / ROSTER_FILE, _HOURS, 'hours = { mon-sun = ["00:00-24:00"] }')
    _change(rules, folder / ROSTER_FILE, _HOLIDAYS, "", must=False)
    _change(rules, folder / ROUTING_FILE, _LADDER, rf"\g<1>{_SHORT}")
    return folder


def _change(rules: Path, file: Path, what: re.Pattern[str], into: str, *, must: bool = True) -> None:
    text, changed = what.subn(into, file.read_text())
    if must and not changed:
        raise Failure(
            "the demo cannot change hours and ladders that are written otherwise than in the shipped rules",
            str(rules / file.name),
            "unset HANDRAISE_RULES for the demo",
        )
    file.write_text(text)
