"""Records as aiokafka decodes them, without the object of eleven fields that it wraps each in.

The wrapping costs as much as fetching and decoding together, and the lane looks at offset, timestamp, key and value.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from aiokafka import AIOKafkaConsumer


class _Fetched(OrderedDict[Any, Any]):
    """What the fetcher holds of each partition until it is asked for."""

    def __setitem__(self, place: Any, result: Any) -> None:
        records = getattr(result, "_partition_records", None)  # an error has none
        if records is not None:
            records._consumer_record = _as_decoded
        super().__setitem__(place, result)


def _as_decoded(_place: Any, record: Any) -> Any:
    return record


def hand_out_as_decoded(consumer: AIOKafkaConsumer) -> None:
    """Have a started consumer, which is given no deserializers, return records that know no topic and partition."""
    consumer._fetcher._records = _Fetched(consumer._fetcher._records)
