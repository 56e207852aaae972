"""What somebody wants to say to the desk, from a form or from JSON: checked, or refused in words."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping

from console import words
from console.views import Reader
from schemas.records import Activity, Presence
from streams.desk.lifecycle import POSSIBLE, REASONS
from streams.links import ID

MOST_NOTE = 2_000
NAMES = {"acknowledge": "accept"}
"""Other names of activities, of the public interface."""
_ID = re.compile(r"[0-9a-zA-Z_-]{8,64}\Z")
_REQUEST_ID = re.compile(r"[0-9a-z-]{3,40}\Z")
_MOST_UNTIL_MS = 60 * 86_400_000


class BadRequest(Exception):  # noqa: N818  an answer to the client
    """This cannot be meant; str() says why."""


def activity(
    given: Mapping[str, str], reader: Reader, request_id: str | None, lead_id: str | None, now: int
) -> Activity:
    """The activity in some fields.  Raises BadRequest."""
    kind = NAMES.get(given.get("kind", ""), given.get("kind", ""))
    if kind not in POSSIBLE:
        raise BadRequest(f"“{kind[:40]}” is no activity; give one of {', '.join(POSSIBLE)}")
    if request_id is None and not (lead_id and ID.fullmatch(lead_id)):
        raise BadRequest("name a request, or a lead by its id")
    if request_id is not None and not _REQUEST_ID.match(request_id):
        raise BadRequest("this is no id of a request")
    reason, wanted = given.get("reason", ""), REASONS.get(kind, ())
    if wanted and reason not in wanted:
        raise BadRequest(f"“{words.KINDS[kind]}” needs a reason, one of {', '.join(wanted)}")
    id = given.get("activity_id", "")
    if id and not _ID.match(id):
        raise BadRequest("an activity id has 8 to 64 letters, digits, “-” and “_”")
    return Activity(
        activity_id=id or uuid.uuid4().hex,
        request_id=request_id,
        lead_id=lead_id,
        rep=reader.id,
        kind=kind,
        reason=reason if reason in wanted else reason[:40],
        note=given.get("note", "").strip()[:MOST_NOTE],
        channel=given.get("channel", "")[:20],
        at=now,
        by=reader.id,
    )


def presence_of(given: Mapping[str, str], reader: Reader, rep: str, now: int) -> Presence:
    """Whether somebody can be given work; a manager may say so for others.  Raises BadRequest."""
    if rep != reader.id and not reader.is_manager:
        raise BadRequest("only managers say who else is there")
    state, until = given.get("state", ""), given.get("until", "")
    if state not in words.PRESENCE:
        raise BadRequest(f"“{state[:40]}” is no presence; give one of {', '.join(words.PRESENCE)}")
    if until and not (until.isdigit() and now < int(until) < now + _MOST_UNTIL_MS):
        raise BadRequest("“until” is a time within sixty days, in ms since the epoch")
    return Presence(rep=rep, state=state, until=int(until) if until else None, at=now, by=reader.id)
