"""Which partition a key lies in: the rule of Kafka's default partitioners, so that every client agrees with us."""

from __future__ import annotations

import struct

_SEED = 0x9747B28C
_M = 0x5BD1E995
_U32 = 0xFFFFFFFF


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition, 0 to `partitions` - 1, of a record with that key.

    The 31 low bits of murmur2 modulo the number of partitions, as `BuiltInPartitioner.partitionForKey` of Kafka's Java
    client does it.
    """
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """Return the unsigned 32-bit MurmurHash2 of the data (A. Appleby, public domain) with Kafka's seed."""
    length = len(data)
    h = _SEED ^ length
    words = length >> 2
    for k in struct.unpack_from(f"<{words}I", data):
        k = k * _M & _U32
        k = (k ^ k >> 24) * _M & _U32
        h = h * _M & _U32 ^ k
    rest = data[words << 2 :]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * _M & _U32
    h = (h ^ h >> 13) * _M & _U32
    return h ^ h >> 15
