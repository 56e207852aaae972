"""Topics and records on a real Kafka, for the gateway's tests and benchmark."""

from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from schemas.codec import decode
from schemas.records import Engagement, RaisedHand, Record, Rejected
from schemas.topics import physical, topic

TOPICS = ("lead.events", "desk.events", "engagement.rejected", "deployment.facts")


async def create_topics(bootstrap: str, prefix: str, partitions: int = 4, names: Sequence[str] = TOPICS) -> None:
    """Create the gateway's topics as the topic table has them."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        wanted = [
            NewTopic(
                physical(name, prefix),
                partitions if topic(name).partitions == "P" else int(topic(name).partitions),
                1,
                topic_configs={"cleanup.policy": topic(name).cleanup, **topic(name).config},
            )
            for name in names
        ]
        await admin.create_topics(wanted)
    finally:
        await admin.close()


async def values(bootstrap: str, topic_name: str) -> dict[int, list[tuple[bytes | None, bytes]]]:
    """Every (key, value) of a topic, by partition, in order, up to its present end."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        await consumer._client.force_metadata_update()
        partitions = [TopicPartition(topic_name, n) for n in sorted(consumer.partitions_for_topic(topic_name) or ())]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        found: dict[int, list[tuple[bytes | None, bytes]]] = {each.partition: [] for each in partitions}
        left = {each for each in partitions if ends[each]}
        while left:
            for place, records in (await consumer.getmany(timeout_ms=1000)).items():
                found[place.partition].extend((record.key, record.value) for record in records)
            left = {each for each in left if await consumer.position(each) < ends[each]}
        return found
    finally:
        await consumer.stop()


async def records(bootstrap: str, prefix: str, name: str) -> list[Record]:
    """Every record of a topic, decoded."""
    found = await values(bootstrap, physical(name, prefix))
    return [decode(value) for rows in found.values() for _, value in rows]


async def engagements(bootstrap: str, prefix: str) -> list[Engagement]:
    """What lead.events has."""
    return [each for each in await records(bootstrap, prefix, "lead.events") if isinstance(each, Engagement)]


async def hands(bootstrap: str, prefix: str) -> list[RaisedHand]:
    """What desk.events has."""
    return [each for each in await records(bootstrap, prefix, "desk.events") if isinstance(each, RaisedHand)]


async def rejected(bootstrap: str, prefix: str) -> list[Rejected]:
    """What the dead letter has."""
    return [each for each in await records(bootstrap, prefix, "engagement.rejected") if isinstance(each, Rejected)]
