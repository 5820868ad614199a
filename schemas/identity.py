"""Identities that a retry makes again, and the one partitioner."""

from __future__ import annotations

import uuid
from typing import Final

NAMESPACE: Final = uuid.UUID("c4e0b2b4-7a1d-5c0e-9d36-5f3f6f1e7a90")
_MASK: Final = 0xFFFFFFFF


def derived_id(consumer: str, topic: str, partition: int, offset: int, n: int) -> str:
    """The id of the n-th thing that `consumer` makes of one record: the same however often it is processed."""
    return str(uuid.uuid5(NAMESPACE, f"{consumer}/{topic}/{partition}/{offset}/{n}"))


def analysis_task(dialogue_id: str, revision: int, asr_pass: str) -> str:
    """The analysis of a final transcript: of one revision the accurate pass can follow a fast one that was final."""
    return f"analysis/{dialogue_id}/{revision}/{asr_pass}"


def analysis_id(task_id: str) -> str:
    """The id of the verdict that an analysis gives."""
    return str(uuid.uuid5(NAMESPACE, task_id))


def murmur2(data: bytes) -> int:
    """MurmurHash2 (32 bit, seed 0x9747b28c) as in Java's `org.apache.kafka.common.utils.Utils.murmur2`, unsigned."""
    m, length = 0x5BD1E995, len(data)
    h = 0x9747B28C ^ length
    whole = length & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * m & _MASK
        k = (k ^ (k >> 24)) * m & _MASK
        h = (h * m & _MASK) ^ k
    if rest := data[whole:]:
        h = (h ^ int.from_bytes(rest, "little")) * m & _MASK
    h = (h ^ (h >> 13)) * m & _MASK
    return h ^ (h >> 15)


def murmur2_partition(key: bytes, partitions: int) -> int:
    """The partition of a key, as Java's default partitioner, aiokafka and librdkafka's `murmur2_random` have it."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
