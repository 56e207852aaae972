"""What must hold of notices: each is said once, and ends once for each whom it is for; what was sent has arrived."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

from schemas.codec import decode
from schemas.records import Delivery, Notice
from tests.oracle.findings import Findings
from tests.oracle.replay import Record

ENDS = frozenset({"sent", "dead", "skipped"})


def judge(
    notices: Sequence[Record], deliveries: Sequence[Record], arrived: Collection[str], endpoint: str, now_ms: int
) -> Findings:
    """Compare.  Every notice is for the endpoint, too; `arrived`: ids of the notices that it was brought."""
    said = [it for record in notices if isinstance(it := decode(record.value or b""), Notice)]
    names = Counter(it.notice_id for it in said)
    doubled = [f"notice {id}, {count} times" for id, count in names.items() if count > 1]
    ends: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    without_cause, missing = [], []
    for record in deliveries:
        delivery = decode(record.value or b"")
        assert isinstance(delivery, Delivery)
        if delivery.notice_id not in names:
            without_cause.append(f"delivery of {delivery.notice_id}, which nobody said")
        if delivery.status in ENDS:
            ends[delivery.notice_id][delivery.channel, delivery.target] += 1
        if delivery.status == "sent" and delivery.notice_id not in arrived:
            missing.append(f"notice {delivery.notice_id} was recorded as sent and never arrived")
    due = {it.notice_id for it in said if it.deliver_after <= now_ms}
    missing += [f"notice {id} was not brought to {endpoint}" for id in due if not ends[id]["webhook", endpoint]]
    for id, targets in ends.items():
        doubled += [f"notice {id} ended {count} times for {target}" for target, count in targets.items() if count > 1]
    return Findings(missing, doubled, without_cause, counts=Counter(notices=len(due)))
