"""Numbers, times and records in words; all texts of the terminal's lists in one place."""

from __future__ import annotations

from datetime import UTC, datetime

from schemas.records import (
    Absorb,
    Activity,
    Assignment,
    Delivery,
    DeploymentFact,
    DeviceLost,
    Engagement,
    LeadAlert,
    LeadDuplicate,
    LeadState,
    LeadTransition,
    Link,
    Mail,
    Merge,
    Notice,
    NotTheSame,
    Presence,
    Promote,
    PublishedRules,
    Quarantined,
    RaisedHand,
    Record,
    Rejected,
    Release,
    Sighted,
    Tick,
    Unmerge,
    Waited,
    Waiting,
)

FOLLOW_UP = {
    "call_now": "call now",
    "after_session": "after the visit, not now",
    "next_working_hours": "in the next working hours",
}
_LEVELS = 4


def points(millipoints: int, decimals: int = 1) -> str:
    """Milli-points as points; all three decimals add up exactly."""
    return f"{millipoints / 1_000:.{decimals}f}"


def level_mark(level: int) -> str:
    """Level 1 to 4 as four dots, level 1 the fullest."""
    filled = _LEVELS + 1 - level
    return "●" * filled + "○" * (_LEVELS - filled)


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 visit`, `3,204 events`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def iso(at_s: int) -> str:
    """Seconds since the epoch as RFC 3339, UTC."""
    return datetime.fromtimestamp(at_s, UTC).isoformat().replace("+00:00", "Z")


def when(at_s: int) -> str:
    """A moment as people write it, UTC."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%d %b %Y %H:%M")


def day_and_time(at_s: int) -> str:
    """A moment of the last weeks, UTC; the year goes without saying."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%d %b %H:%M")


def clock(at_ms: int) -> str:
    """The time of day, local, to the second."""
    return datetime.fromtimestamp(at_ms / 1_000).astimezone().strftime("%H:%M:%S")


def ago(seconds: int) -> str:
    """How long ago, in the largest unit that says enough."""
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= 2 * size or (seconds >= size and unit != "minute"):
            return f"{count(seconds // size, unit)} ago"
    return "just now" if seconds < 10 else f"{count(max(seconds, 0), 'second')} ago"


def reasons(texts: list[str]) -> str:
    """Reasons on one line."""
    return " · ".join(texts)


def record(value: Record) -> str:
    """A record of any topic on one line, without what stands in other columns."""
    match value:
        case LeadAlert():
            who = value.email or value.user_id or "somebody without a name"
            why = reasons([reason.text for reason in value.reasons])
            follow_up = FOLLOW_UP.get(value.follow_up, value.follow_up)
            return f"{value.kind} {points(value.behaviour_millipoints)} {who}: {why} ({follow_up})"
        case LeadState():
            hot = ", hot" if value.hot else ""
            seen = f"{count(value.visits, 'visit')}, {count(value.events, 'event')}"
            return f"{points(value.behaviour_millipoints)} level {value.level}, {value.stage}{hot}, {seen}"
        case LeadTransition():
            other = "" if value.other is None else f" ({value.other})"
            return f"{value.aspect} {value.before} → {value.after}{other}: {value.cause}"
        case LeadDuplicate():
            return f"{value.status}: {value.lead_id} and {value.other_id} are one person? {value.cause}"
        case Quarantined():
            return f"{value.verdict}: {'; '.join(value.reasons)}"
        case Rejected():
            return f"{value.code} from {value.source}: {value.reason}"
        case Engagement():
            verdict = "" if value.verdict == "human" else f" ({value.verdict})"
            return f"{value.kind} {value.asset}{verdict}"
        case Tick():
            return f"time is {iso(value.at // 1_000)}"
        case DeploymentFact():
            return f"{value.name} is {value.value}"
        case PublishedRules():
            before = "" if value.former is None else f" in place of {value.former}"
            return f"rules {value.version}{before}, says {value.by}"
        case Delivery():
            where = f"{value.channel} {value.target}".strip()
            return (
                f"{value.kind} to {value.to}, {where}: {value.status}{', late' if value.late else ''}; {value.answer}"
            )
        case RaisedHand() | Waiting() | Waited() | Activity() | Presence() | Assignment() | Notice():
            return desk(value)
    return mail(value)


def desk(value: RaisedHand | Waiting | Waited | Activity | Presence | Assignment | Notice) -> str:
    """What the desk hears and says, on one line."""
    match value:
        case RaisedHand():
            who = value.name or value.email or value.phone or "somebody without a name"
            verdict = "" if value.verdict == "human" else f" ({value.verdict}: {'; '.join(value.verdict_reasons)})"
            return f"{who} asks for {value.topic}{verdict}: {value.message or 'no message'}"
        case Waiting():
            why = reasons(list(value.reasons))
            return f"{value.reason} {points(value.score_millipoints)} {value.email or value.lead_id}: {why}"
        case Waited():
            return f"mail from partition {value.partition}, offset {value.offset}"
        case Activity():
            return f"{value.rep}: {value.kind} {value.request_id or value.lead_id or ''} {value.reason}".rstrip()
        case Presence():
            until = "" if value.until is None else f" until {iso(value.until // 1_000)}"
            return f"{value.rep} is {value.state}{until}, says {value.by}"
        case Assignment():
            who = value.owner or f"queue {value.queue}"
            due = "" if value.due_at is None else f", due {iso(value.due_at // 1_000)}"
            return f"{value.request_id} {value.status}: {who}{due}; {'; '.join(value.trace)}"
        case Notice():
            return f"{value.kind} to {value.to}: {value.text}"


def mail(value: Mail) -> str:
    """What leads are told by each other and by the desk, on one line."""
    match value:
        case Link():
            if value.via == value.owner:
                return "is a lead of its own again"
            heir = "" if value.via is None else f", in place of {value.via}"
            return f"{value.owner} was seen with it{heir}"
        case Sighted():
            return f"{value.lead} was seen with {value.evidence}"
        case Absorb():
            return f"takes in {value.source} by {value.cause}: {count(value.memory.events, 'event')}"
        case DeviceLost():
            whose = f", it is {value.owner}'s" if value.owner else ""
            return f"{value.identifier} is not its own: {value.reason}{whose}"
        case Merge():
            return f"is the same person as {value.other}, says {value.by}"
        case Unmerge():
            return f"is a person of its own, says {value.by}"
        case Release():
            return f"gives back {value.source}: {count(value.memory.events, 'event')}"
        case NotTheSame():
            return f"{value.lead} and {value.other} are not the same person, says {value.by}"
        case Promote():
            return f"rules {value.version} are in force, says {value.by}"
