"""What each of a lead's events touched, by name: read from the inbox as far as it is kept.

States remember a name for each rule, not for each event; a ledger that says "looked at Pricing" in every row needs the
events themselves.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from handraise.settings import Settings
from handraise.topics import unreachable
from schemas.codec import Undecodable
from schemas.head import engagement_head, record_name
from schemas.keys import partition_of
from schemas.topics import physical
from streams.publish import INBOX

_PATIENCE_S = 3.0
"""On a large inbox the oldest rows may stay without a name; an explanation is not worth a longer wait."""


async def titles(
    settings: Settings, lead_ids: Collection[str], partitions: int, event_ids: Collection[str], since_s: int
) -> dict[str, str]:
    """The names of what these events (ids in hex) touched; some may be missing.

    `lead_ids`: under which they may have come.  `since_s`: none of them was appended before.  Raises Failure when
    Kafka does not answer.
    """
    keys, wanted = {id.encode() for id in lead_ids}, set(event_ids)
    topic = physical(INBOX, settings.prefix)
    places = [TopicPartition(topic, number) for number in {partition_of(key, partitions) for key in keys}]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka, client_id="handraise-titles", enable_auto_commit=False, check_crcs=False
    )
    found: dict[str, str] = {}
    try:
        await consumer.start()
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        firsts = await consumer.offsets_for_times(dict.fromkeys(places, since_s * 1_000))
        for place, first in firsts.items():
            consumer.seek(place, ends[place] if first is None else first.offset)
        deadline = time.monotonic() + _PATIENCE_S
        while len(found) < len(wanted) and time.monotonic() < deadline:
            unread = [place for place in places if await consumer.position(place) < ends[place]]
            if not unread:
                break
            for records in (await consumer.getmany(*unread, timeout_ms=200)).values():
                found |= _named([record.value for record in records if record.key in keys], wanted)
    except (KafkaError, OSError) as error:
        raise unreachable(settings.kafka, error) from error
    finally:
        await consumer.stop()
    return found


def _named(values: list[bytes | None], wanted: Collection[str]) -> dict[str, str]:
    named = {}
    for value in values:
        if value is None or record_name(value) != "Engagement":
            continue
        try:
            event_id, _, _, asset, title, _, _, _ = engagement_head(value)
        except Undecodable:
            continue  # the dead letter topic tells of it
        if event_id.hex() in wanted:
            named[event_id.hex()] = title or asset
    return named
