"""All texts of the console that are not in its templates, and numbers and times in words."""

from __future__ import annotations

from datetime import UTC, datetime

from streams.desk.zones import Zone

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

SOMEBODY = "Somebody without a name"
STATUS = {
    "assigned": "new",
    "offered": "offered",
    "accepted": "taken",
    "attempted": "no answer yet",
    "queued": "waits",
    "escalated": "with the manager",
    "contacted": "reached",
    "won": "won",
    "lost": "lost",
    "spam": "spam",
    "expired": "expired",
}
CLASSES = {
    "contact_request": "asks to be called",
    "hot_lead": "hot lead",
    "qualified": "qualified",
    "suspect": "may be spam",
}
FOLLOW_UP = {
    "call_now": "call now",
    "after_session": "after the visit, not now",
    "next_working_hours": "in the next working hours",
}
TOPICS = {"sales": "", "support": "support", "partner": "partnership", "press": "press"}
KINDS = {
    "accept": "Claim",
    "attempted": "No answer",
    "contacted": "Contacted",
    "decline": "Decline",
    "no_show": "No show",
    "won": "Won",
    "lost": "Lost",
    "spam": "Spam",
    "release": "No spam: route it",
    "reopen": "Open again",
}
"""Activities as the words of their buttons."""
DONE = {
    "accept": "{name} took it",
    "attempted": "{name} tried, without an answer",
    "contacted": "{name} reached them",
    "decline": "{name} declined it",
    "no_show": "they did not come",
    "won": "{name} won it",
    "lost": "{name} closed it as lost",
    "spam": "{name} says it is spam",
    "release": "{name} says it is no spam",
    "reopen": "{name} opened it again",
}
DECIDED = {
    "assigned": "Given to {who}",
    "offered": "Offered to {who}",
    "accepted": "{who} has it",
    "attempted": "{who} tries again",
    "queued": "Waits in the queue {who}",
    "escalated": "With the manager: queue {who}",
    "expired": "Expired",
}
"""What the desk decided, by the status that came of it."""
REASONS = {
    "no_time": "no time",
    "wrong_territory": "not my territory",
    "wrong_language": "not my language",
    "not_my_topic": "not my topic",
    "other": "something else",
    "competitor": "chose a competitor",
    "price": "the price",
    "no_decision": "no decision",
    "feature_missing": "a feature is missing",
    "timing": "not now",
    "contact_left": "the contact left",
}
CHANNELS = {"phone": "phone", "email": "e-mail", "video": "video", "chat": "chat", "visit": "in person"}
PRESENCE = {"on": "on", "away": "away", "off": "off"}

WRONG_LOGIN = "This name and password do not belong together."
NOT_IN_ROSTER = "The roster has nobody with this name any more. Ask whoever keeps rules/roster.toml."
LINK_USED = "This link has been used, or is older than ten minutes. Sign in with your password."
SIGNED_OUT = "You are signed out. Sign in, and you are back where you were."
CROSS_SITE = "This was sent from another page, and is not carried out."
MANAGERS_ONLY = "The desk board is for managers."
NO_SUCH_PAGE = "There is nothing here."
NO_SUCH_LEAD = "Nobody is known under this id."
NO_SUCH_PERSON = "The roster has nobody with this id."
BEFORE_LEDGER = "The ledger of this lead begins later; what is older is folded into sums."
NO_LEDGER = "The ledger of a lead without a user id or an address is not kept here."
NO_SUCH_REQUEST = "There is no such request."
FAILED = "Something failed here, and it is logged. What you wrote is kept on your screen."
NOT_TAKEN_DOWN = "Kafka does not answer, so this is not taken down yet. Your note is kept: try again in a moment."
NO_WORD = "Taken down. The desk has not spoken yet; the row changes when it does."
KAFKA_AWAY = (
    "Kafka has not answered since {since}. What you see is as of then; what you write is kept until it is back."
)
DESK_SILENT = "The desk has said nothing for {seconds} s. New hands are shown at once; their owners follow."
CATCHING_UP = "History is catching up: {why}. What is live is shown."


def ago(ms: int) -> str:
    """How long ago, in the largest unit that says enough."""
    for size, unit in ((DAY_MS, "day"), (HOUR_MS, "h"), (MINUTE_MS, "min")):
        if ms >= size:
            number = ms // size
            plural = "s" if unit == "day" and number > 1 else ""
            return f"{number} {unit}{plural} ago"
    return "just now"


def left(ms: int) -> str:
    """A countdown: minutes, then seconds in the last two; what is over is late."""
    if ms < 0:
        return f"{span(-ms)} late"
    if ms < 2 * MINUTE_MS:
        return f"{ms // MINUTE_MS}:{ms // 1_000 % 60:02d}"
    return span(ms)


def span(ms: int) -> str:
    """So long, in one or two units."""
    minutes = ms // MINUTE_MS
    if minutes < 1:
        return f"{ms // 1_000} s"
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes:02d}" if minutes and hours < 10 else f"{hours} h"
    days = hours // 24
    return "1 day" if days == 1 else f"{days} days"


def clock(at: int, now: int, zone: Zone) -> str:
    """A moment on the reader's wall: `10:41` today, else `Mon 10:41`, else `3 Nov 10:41`."""
    text = zone.clock(at)
    if zone.wall(at) // DAY_MS == zone.wall(now) // DAY_MS:
        return text[4:]
    return text if abs(at - now) < 6 * DAY_MS else f"{date(at, zone)} {text[4:]}"


def date(at: int, zone: Zone) -> str:
    """A day on the reader's wall: `3 Nov`."""
    day = datetime.fromtimestamp(zone.wall(at) / 1_000, UTC)
    return f"{day.day} {day:%b}"


def points(millipoints: int, decimals: int = 0) -> str:
    """Milli-points as points; all three decimals add up exactly."""
    return f"{millipoints / 1_000:.{decimals}f}"


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 visit`, `3,204 events`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
