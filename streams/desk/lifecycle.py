"""The life of a request as a table: which activity is possible in which status."""

from __future__ import annotations

OWNED = frozenset({"assigned", "offered", "accepted", "attempted"})
"""A person has it."""
WAITING = frozenset({"queued", "escalated"})
"""A queue has it."""
OPEN = OWNED | WAITING
FINAL = frozenset({"contacted", "won", "lost", "spam", "expired"})
"""Nothing is due any more."""

POSSIBLE: dict[str, frozenset[str]] = {
    "accept": OPEN,
    "decline": OWNED,
    "attempted": OPEN,
    "contacted": OPEN,
    "no_show": frozenset({"accepted", "attempted", "contacted"}),
    "won": OPEN | {"contacted"},
    "lost": OPEN | {"contacted"},
    "spam": OPEN,
    "release": frozenset({"queued"}),
    "reopen": FINAL,
}
"""activity → the statuses in which it changes anything; in others it changes nothing and the person is told."""

REASONS: dict[str, tuple[str, ...]] = {
    "decline": ("no_time", "wrong_territory", "wrong_language", "not_my_topic", "other"),
    "lost": ("competitor", "price", "no_decision", "feature_missing", "timing", "contact_left"),
}
"""activity → the reasons of which it needs one; what else is to be said goes into the note."""

BY_WHOEVER_HAS_IT = frozenset({"accept", "attempted", "contacted", "won", "lost", "no_show"})
"""Who does this has the request from then on, unless somebody else has acknowledged it before."""
