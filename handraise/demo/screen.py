"""What people see: a calm live screen on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import textwrap
import time
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from handraise import output, words
from handraise.demo import shifts
from handraise.demo.ledger import Ledger, percentiles
from handraise.demo.requests import Request, Requests
from schemas.records import Assignment, LeadAlert

_LINE_EVERY_S = 5.0
_INDENT = 10
_BESIDE = ": the sample site beside a rep's queue"
_HEAD_LINES = 16
_MOST_HANDS = 2
_MOST_TRACE_LINES = 2


@dataclass
class View:
    """All that the screen shows."""

    gateway: str
    console: str
    site: str
    """The URL of the sample site; its /demo leads to the site beside a rep's queue."""
    kafka: str
    prefix: str
    ledger: Ledger
    requests: Requests
    names: dict[str, str]
    """Who stands behind an e-mail address; the demo made them up and knows."""
    phase: str = ""
    clock: str = ""
    """How long the phase lasts already."""
    progress: tuple[int, int] | None = None
    news: list[tuple[str, str]] = field(default_factory=list)
    """(style, what happened), newest last."""
    keys: str = ""
    is_open: bool = False
    """Whether the console is there."""

    def who(self, alert: LeadAlert) -> str:
        """The lead in words."""
        if alert.email:
            return self.names.get(alert.email, alert.email)
        return alert.user_id or "a visitor without a name"


class Screen:
    """Shows a view until it is closed."""

    def __init__(self, view: View) -> None:
        self._view, self._console = view, output.console()
        self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")
        self._line_at = 0.0
        self._phase = ""
        if self._console.is_terminal:
            self._live.start()
        else:
            self._print(shifts.SAID)

    def refresh(self) -> None:
        """Show what is so now."""
        if self._console.is_terminal:
            self._live.update(render(self._view, self._console), refresh=True)
            return
        if self._view.phase != self._phase:
            self._phase = self._view.phase
            self._print(self._phase)
        if time.monotonic() - self._line_at >= _LINE_EVERY_S:
            self._line_at = time.monotonic()
            self._print(_counts_line(self._view.ledger))

    def opened(self) -> None:
        """The console is there."""
        self._view.is_open = True
        if not self._console.is_terminal:
            self._print(f"open {self._view.site}/demo{_BESIDE}; console {self._view.console}")

    def alert(self, alert: LeadAlert) -> None:
        """Somebody got hot; on a terminal the next refresh shows it."""
        if not self._console.is_terminal:
            score = f"{words.points(alert.behaviour_millipoints)} level {alert.level}"
            follow_up = words.FOLLOW_UP.get(alert.follow_up, alert.follow_up)
            self._print(f"hot  {self._view.who(alert)}  {score}: {_reasons(alert)} ({follow_up})")

    def request(self, request: Request) -> None:
        """Something was said about a raised hand; on a terminal the next refresh shows it."""
        last = request.last
        if self._console.is_terminal or last is None:
            return
        holder = self._view.requests.holder(last)
        if len(request.said) == 1:
            took = "" if request.took_ms is None else f", {request.took_ms:.0f} ms after the request"
            score = words.points(request.score, 0)
            self._print(f"hand {request.who}, score {score}: “{request.hand.message}”{took}")
        self._print(f"     {last.status}: {holder}{_left(last)}; {words.reasons(list(last.trace))}")

    def tell(self, style: str, what: str) -> None:
        """Something worth a line happened."""
        self._view.news.append((style, what))
        if not self._console.is_terminal:
            self._print(what)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._console.is_terminal:
            self._live.stop()

    def _print(self, text: str) -> None:
        self._console.print(f"{time.strftime('%H:%M:%S')}  {text}", soft_wrap=True)


def render(view: View, console: Console) -> RenderableType:
    """The whole screen, as high as the terminal at most."""
    door = f"{view.site}/demo"
    where = f"console {view.console} · gateway {view.gateway} · Kafka {view.kafka} · topics {view.prefix}*"
    news = [Text(what, style, no_wrap=True, overflow="ellipsis") for style, what in view.news[-2:]]
    hands = _hands(view, console.width)
    parts: list[RenderableType] = [
        Text.assemble(("Handraise", "strong"), "  the visitors of Harbourlight, cold-chain sensors"),
        _line(Text("Simulated people on real HTTP and Kafka; minutes of a visit take seconds.", "quiet")),
        _line(Text(shifts.SAID, "quiet")),
        _line(Text(where, "quiet")),
        *([_line(Text.assemble("Open ", (door, "strong"), _BESIDE))] if view.is_open else []),
        Text(),
        _counts(view.ledger),
        Text(),
        _phase(view, console.width),
        *news,
        Text(),
        *hands,
        *([Text()] if hands else []),
        *_hot(view, console.width, console.height - _HEAD_LINES - len(news) - len(hands) - bool(hands)),
    ]
    if view.keys:
        parts += [Text(), _line(Text(view.keys, "quiet"))]
    return Group(*parts)


def _line(text: Text) -> Text:
    """What may be cut, and never takes a second line."""
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _hands(view: View, width: int) -> list[Text]:
    """Raised hands that wait for somebody: four lines each."""
    waiting = view.requests.open
    if not waiting:
        return []
    parts = [Text("Raised hands", "quiet")]
    for request in waiting[:_MOST_HANDS]:
        took = "" if request.took_ms is None else f" · answered {request.took_ms:.0f} ms after it was asked"
        last = request.last
        holder = Text(" …") if last is None else Text.assemble((f"{view.requests.holder(last)}", "strong"), _left(last))
        head = Text.assemble(
            (f"{words.clock(request.hand.requested_at):<{_INDENT}}", "quiet"),
            (f"{request.who:<38}", "bad bold"),
            f"  score {words.points(request.score, 0)}  ",
            holder,
        )
        parts.append(_line(head))
        trace = "" if last is None else words.reasons(list(last.trace))
        lines = [f"“{request.hand.message}”{took}", *textwrap.wrap(trace, width - _INDENT)[:_MOST_TRACE_LINES]]
        parts += [_line(Text(" " * _INDENT + line, "quiet" if n else "")) for n, line in enumerate(lines)]
    if len(waiting) > _MOST_HANDS:
        parts.append(Text(f"{' ' * _INDENT}and {len(waiting) - _MOST_HANDS} more", "quiet"))
    return parts


def _left(assignment: Assignment) -> str:
    """The countdown: ` 0:43 left`."""
    if assignment.due_at is None:
        return ""
    seconds = assignment.due_at // 1_000 - int(time.time())
    if seconds < 0:
        return " due now"
    return f" {seconds // 60}:{seconds % 60:02d} left"


def _counts(ledger: Ledger) -> RenderableType:
    grid = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="quiet")
    shown = {
        "sent": ledger.sent,
        "accepted": ledger.accepted,
        "scored": ledger.scored,
        "filtered": ledger.quarantined,
        "rejected": ledger.rejected,
        "alerts": len(ledger.alerts),
    }
    for name in shown:
        grid.add_column(name, justify="right", no_wrap=True, min_width=8)
    grid.add_row(*(Text(f"{count:,}", "hot" if name == "alerts" else "strong") for name, count in shown.items()))
    took = percentiles(ledger.alert_ms)
    speed = Text.assemble((f"{ledger.events_per_s:,.1f}", "strong"), " events/s")
    if took["p50"] is not None:
        speed.append_text(Text.assemble("   event → alert p50 ", (f"{took['p50']:.0f}", "strong"), " ms, p99 "))
        speed.append_text(Text.assemble((f"{took['p99']:.0f}", "strong"), " ms"))
    return Group(grid, speed)


def _phase(view: View, width: int) -> RenderableType:
    if view.progress is None:
        return Text.assemble(view.phase, (f"  {view.clock}", "quiet"), no_wrap=True, overflow="ellipsis")
    done, total = view.progress
    grid = Table.grid(padding=(0, 2, 0, 0))
    bar = ProgressBar(
        total=max(total, 1), completed=done, width=min(30, width // 4), style="quiet", complete_style="good"
    )
    grid.add_row(view.phase, bar, f"{done:,} of {total:,}")
    return grid


def _hot(view: View, width: int, height: int) -> list[RenderableType]:
    parts: list[RenderableType] = [Text("Hot leads, newest first", "quiet")]
    left = height - 1
    for at, alert, took_ms in reversed(view.ledger.alerts):
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(width=_INDENT - 2)
        grid.add_column(width=width - _INDENT)
        reasons = Text(_reasons(alert))
        name = view.who(alert)
        score = f"{words.points(alert.behaviour_millipoints)}  {words.level_mark(alert.level)} level {alert.level}"
        took = "" if took_ms is None else f" · here {took_ms:.0f} ms after the click"
        owner = view.requests.owner_of(alert.lead_id)
        follow_up = words.FOLLOW_UP.get(alert.follow_up, alert.follow_up)
        after = f"{f'{owner}: ' if owner else ''}{follow_up}{took}"
        grid.add_row(
            Text(words.clock(int(at * 1_000)), "quiet"), Text.assemble((f"{name:<38}", "strong"), "  ", (score, "hot"))
        )
        grid.add_row("", reasons)
        grid.add_row("", Text(after, "quiet"))
        left -= 2 + math.ceil(len(reasons.plain) / (width - _INDENT))
        if left < 0:
            break
        parts.append(grid)
    if len(parts) == 1:
        parts.append(Text("nobody yet"))
    return parts


def _reasons(alert: LeadAlert) -> str:
    return words.reasons([reason.text for reason in alert.reasons])


def _counts_line(ledger: Ledger) -> str:
    took = percentiles(ledger.alert_ms)
    latency = "" if took["p50"] is None else f", event to alert p50 {took['p50']:.0f} ms, p99 {took['p99']:.0f} ms"
    return (
        f"sent {ledger.sent:,}, accepted {ledger.accepted:,}, scored {ledger.scored:,}, "
        f"filtered {ledger.quarantined:,}, rejected {ledger.rejected:,}, "
        f"alerts {len(ledger.alerts):,}, {ledger.events_per_s:,.1f} events/s{latency}"
    )
