"""What is left when the demo is over: figures, and what to try next."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from rich.text import Text

from handraise import output, words
from handraise.audit import Audit
from handraise.demo.cast import ELIF, MARTA, MARTA_ID
from handraise.demo.ledger import Ledger, Union, percentiles
from handraise.demo.requests import Requests
from handraise.settings import VARIABLES, Settings

SNIPPET = """<script>
(function (a, d) {{
  ["page", "track", "identify", "group", "alias"].forEach(function (name) {{
    a[name] = function () {{ a.push([name].concat([].slice.call(arguments))); }};
  }});
  var s = d.createElement("script");
  s.src = "{gateway}/analytics.js/v1/{key}/analytics.min.js";
  d.head.appendChild(s);
  a.page();
}})(window.analytics = window.analytics || [], document);
</script>"""
"""Calls made before the tracker is there wait in an array, as Segment's browser build expects it."""


_SPEEDS = (
    ("contact_to_screen", "request → screen", "owner included, in the browser's stream"),
    ("contact_to_owner", "request → owner", "read committed"),
    ("event_to_state", "event → state", "read committed"),
    ("event_to_alert", "event → alert", "read committed"),
)


def report(ledger: Ledger, requests: Requests, kills: int, marta: Union | None, began: float) -> dict[str, Any]:
    """The figures, for machines; times in milliseconds or seconds as their names say."""
    first = ledger.first_alert_at
    one_person = marta and {
        "parts": [part / 1_000 for part in marta.parts],
        "together": marta.together / 1_000,
        "sent": marta.sent,
        "counted": marta.counted,
    }
    return {
        "sent": ledger.sent,
        "accepted": ledger.accepted,
        "rejected": ledger.rejected,
        "quarantined": ledger.quarantined,
        "scored": ledger.scored,
        "alerts": ledger.kinds(),
        "assignments": requests.assigned,
        "lost": ledger.lost(),
        "doubled": ledger.doubled(),
        "one_person": one_person,
        "worker_kills": kills,
        "first_alert_s": None if first is None else round(first - began, 1),
        "latency_ms": {
            "contact_to_screen": percentiles(requests.screen_ms),
            "contact_to_owner": percentiles(requests.took_ms),
            "event_to_state": percentiles(ledger.state_ms),
            "event_to_alert": percentiles(ledger.alert_ms),
        },
    }


def audit(found: Audit) -> dict[str, int]:
    """What became of the raised hands, for machines."""
    return {name: getattr(found, name) for name in ("requests", "final", "open", "lost", "without_owner")}


def show(
    own: Settings,
    found: dict[str, Any],
    names: dict[str, str],
    ledger: Ledger,
    audited: Audit | None,
    *,
    started_here: bool,
) -> None:
    """The same in words, and the commands that go on from here."""
    lost, doubled = found["lost"], found["doubled"]
    exact = Text(f"lost {lost}, doubled {doubled}", "bad" if lost or doubled else "good")
    kills = f"; the worker was killed {words.count(found['worker_kills'], 'time')}" if found["worker_kills"] else ""
    first = "" if found["first_alert_s"] is None else f"; the first {found['first_alert_s']} s after the start"
    kinds = ", ".join(f"{number} {kind}" for kind, number in found["alerts"].items()) or "none"
    came_in = f"{found['sent']:,} sent, {found['accepted']:,} accepted, {found['rejected']:,} rejected with the reason"
    came_out = f"{found['scored']:,} scored, {found['quarantined']:,} filtered as bots or repeats"
    rows: list[tuple[Text, str | Text]] = [
        (Text("events", "quiet"), came_in),
        (Text("", "quiet"), came_out),
        (Text("exactly once", "quiet"), Text.assemble(exact, f", lead by lead{kills}")),
        (Text("alerts", "quiet"), f"{kinds}{first}"),
    ]
    if audited is not None:
        verdict = Text("none lost, each has one owner or queue", "good")
        if audited.problems:
            verdict = Text("; ".join(audited.problems), "bad")
        asked = words.count(audited.requests, "request")
        rows.append((Text("raised hands", "quiet"), Text.assemble(f"{asked}, {audited.open} open: ", verdict)))
    if (marta := found["one_person"]) is not None:
        points = " + ".join(f"{part:.1f}" for part in marta["parts"])
        events = f"{marta['sent']} events sent, {marta['counted']} counted"
        text = f"{MARTA.name}, telephone and laptop: {points} points are one lead of {marta['together']:.1f}; {events}"
        rows.append((Text("one person", "quiet"), text))
    for name, title, where in _SPEEDS:
        took = found["latency_ms"][name]
        if took["count"]:
            text = f"p50 {took['p50']} ms, p99 {took['p99']} ms over HTTP, {where} ({took['count']:,} live)"
            rows.append((Text(title, "quiet"), text))
    output.say()
    output.show(output.table([("", "left"), ("", "left")], rows))
    _what_next(own, names, ledger, started_here, one_person=found["one_person"] is not None)


def _what_next(own: Settings, names: dict[str, str], ledger: Ledger, started_here: bool, *, one_person: bool) -> None:
    emails = [alert.email for _, alert, _ in reversed(ledger.alerts) if alert.email]
    email = ELIF.email if ELIF.email in emails else next(iter(emails), None)
    command = command_line()
    if email is not None:
        output.say()
        output.say(f"Why is {names.get(email, email)} hot? Every point:", "strong")
        if started_here:
            output.say("  make up    # the broker that this demo started has ended; its data is kept")
        output.copyable(f"  {environment(own)} {command} explain email:{email}")
        if one_person:
            output.say()
            output.say(f"{MARTA.name}'s devices, and which point came from which:", "strong")
            output.copyable(f"  {environment(own)} {command} lead user:{MARTA_ID}")
            output.copyable(f"  {environment(own)} {command} explain user:{MARTA_ID}")
    output.say()
    output.say("Your own site: start these, and paste the snippet into its pages", "strong")
    output.copyable(f"  make up && {command} topics create")
    output.copyable(f"  {command} password ana    # asks for one; ana is a person of rules/roster.toml")
    output.copyable(f"  {command} worker all & {command} gateway & {command} console")
    output.say()
    for line in SNIPPET.format(key="demo", gateway="http://127.0.0.1:8080").splitlines():
        output.copyable(f"  {line}")


def environment(own: Settings) -> str:
    """The variables by which another command finds this demo's topics."""
    default = next(each.default for each in VARIABLES if each.name == "HANDRAISE_KAFKA")
    kafka = "" if own.kafka == default else f"HANDRAISE_KAFKA={own.kafka} "
    return f"{kafka}HANDRAISE_PREFIX={own.prefix}"


def command_line() -> str:
    """How `handraise` is called from here."""
    if shutil.which("handraise"):
        return "handraise"
    beside = Path(sys.executable).with_name("handraise")
    shown = beside if beside.exists() else Path(sys.executable)
    if shown.is_relative_to(Path.cwd()):
        shown = shown.relative_to(Path.cwd())
    return str(shown) if beside.exists() else f"{shown} -m handraise"
