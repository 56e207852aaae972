"""A lead's ledger as it was at an earlier time, or a failure in words."""

from __future__ import annotations

from handraise.failure import CHECK_FAILED, Failure
from handraise.words import when
from streams import rewind as pure
from streams.rules import Rules
from streams.state import Lead


def rewind(lead: Lead, rules: Rules, at_s: int) -> Lead:
    """The lead with its events up to a time (seconds) and no later ones, under these rules.

    Raises Failure for a time before the ledger begins: older events are folded into sums.
    """
    then = pure.rewind(lead, rules, at_s)
    if then is None:
        raise Failure(
            f"the ledger of this lead begins {when(lead.line)} UTC; what is older is folded into sums",
            f"--at {when(at_s)} UTC",
            "give a later time",
            CHECK_FAILED,
        )
    return then
