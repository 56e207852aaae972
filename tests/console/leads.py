"""A lead as the workers remember it, for the pages that show one."""

from schemas.codec import encode
from schemas.records import Engagement
from streams.fold import Output
from streams.identity import event_id, lead_id
from streams.lead_fold import LeadFold
from tests.console.world import RULES
from tests.oracle.replay import Record

DAY_S = 86_400
ADDRESS = "elif.demir@kestrel-foods.example"
ID = lead_id("u", "elif", b"secret")
VISITS = (
    (9 * DAY_S, "page_view", "/pricing", "Pricing"),
    (9 * DAY_S - 60, "page_view", "/", "Harbourlight"),
    (5 * DAY_S, "download", "/cold-chain-audit.pdf", "Cold-chain audit"),
    (2_000, "page_view", "/pricing", "Pricing"),
    (1_900, "page_view", "/pricing", "Pricing"),
    (1_800, "page_view", "/pricing", "Pricing"),
    (1_700, "download", "/roi.xlsx", "ROI workbook"),
)


def elif_demir(now_s: int) -> tuple[str, bytes]:
    """The id of Elif, who read twice and is hot, and what the workers remember of her."""
    return ID, _folded(now_s)[0][ID.encode()]


def elif_says(now_s: int) -> list[Output]:
    """What the workers published of her."""
    return _folded(now_s)[1]


def _folded(now_s: int) -> tuple[dict[bytes, bytes], list[Output]]:
    fold = LeadFold(0, {}, RULES, 1)
    log = [
        Record(place, (now_s - ago) * 1_000, ID.encode(), _event(place, now_s - ago, kind, asset, title))
        for place, (ago, kind, asset, title) in enumerate(VISITS)
    ]
    assert fold.apply(log) == len(log)
    sealed = fold.seal()
    return {key: value for key, value in sealed.changes.items() if value is not None}, list(sealed.outputs)


def _event(place: int, at_s: int, kind: str, asset: str, title: str) -> bytes:
    return encode(
        Engagement(
            event_id=event_id("console", f"{place}"),
            occurred_at=at_s * 1_000,
            kind=kind,
            asset=asset,
            title=title,
            verdict="human",
            email=ADDRESS,
            identifiers=(ID, lead_id("e", ADDRESS, b"secret")),
            source="demo",
            message_id=f"{place}",
            call="track",
            event="",
            received_at=at_s * 1_000,
            user_id="elif",
        )
    )
