"""A lead's ledger as it was at an earlier time, in the light of all that is known now.

An event that had happened by then and arrived later is in it; what happened afterwards is not.
"""

from __future__ import annotations

from struct import iter_unpack

import msgspec

from streams.ledger import rebuild
from streams.rules import Rules, has_key
from streams.state import END, Lead


def rewind(lead: Lead, rules: Rules, at_s: int) -> Lead | None:
    """The lead with its events up to a time (seconds) and no later ones, under these rules.

    None for a time before the ledger begins: older events are folded into sums.
    """
    kept = sum(time <= at_s for (time,) in iter_unpack("<I", lead.times))
    whole = 4 * kept == len(lead.times)
    if at_s < lead.line:
        return None
    parts = lead.marks.split(END)
    once_keys = sum(has_key(mark) for part in parts[:kept] for mark in part)
    then = msgspec.structs.replace(
        lead,
        times=lead.times[: 4 * kept],
        ids=lead.ids[: 8 * kept],
        marks="".join(part + END for part in parts[:kept]),
        onces=lead.onces[: 8 * once_keys],
        base=dict(lead.base),
        cleared={group: at for group, at in lead.cleared.items() if at <= at_s},
    )
    if not whole or lead.model != rules.number:
        rebuild(then, rules)
    return then
