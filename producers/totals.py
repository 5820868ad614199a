"""Batch bodies of seed 001 -> `EmotionTotalsReported` events, people sealed. Pure but for the envelope's nonce."""

from __future__ import annotations

from datetime import tzinfo

from producers.leniency import TotalsPost
from producers.times import UnreadableTime, epoch_microseconds
from schemas.envelope import KeyRing, seal
from schemas.serde import encode

EMOTIONS = ("happy", "sad", "angry", "neutral")
FIRST_US, LAST_US = -62_135_596_800_000_000, 253_402_300_799_999_999
"""The years 1 to 9999 in UTC: what every reader of a timestamp can show."""


def reported_at_us(post: TotalsPost, zone: tzinfo | None, now_us: int) -> int:
    """When the report was made, UTC epoch microseconds; a timestamp that no calendar has in UTC counts as now."""
    try:
        at_us = epoch_microseconds(post.timestamp, zone)
    except UnreadableTime:
        return now_us
    return at_us if FIRST_US <= at_us <= LAST_US else now_us


def event(post: TotalsPost, at_us: int, ring: KeyRing) -> bytes:
    """The encoded event: a missing emotion is 0, keys other than the four are dropped."""
    people = [
        {"person_id": person.person_id} | {emotion: person.cumulative.get(emotion, 0.0) for emotion in EMOTIONS}
        for person in post.people
    ]
    envelope = seal(ring, post.device_id, "PeopleTotals", {"people": people})
    return encode("EmotionTotalsReported", {"device_id": post.device_id, "reported_at_us": at_us, "people": envelope})
