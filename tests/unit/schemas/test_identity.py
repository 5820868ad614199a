"""Identities are the same however often they are made."""

import pytest

from schemas.identity import derived_id, murmur2, murmur2_partition
from schemas.record import Record


@pytest.mark.parametrize(
    ("key", "expected"),
    # Values of Apache Kafka's own UtilsTest.testMurmur2, as signed 32-bit numbers.
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_javas(key, expected):
    assert murmur2(key) == expected % 2**32


def test_partitions_are_in_range_and_spread():
    seen = {murmur2_partition(f"device_{n}".encode(), 4) for n in range(100)}
    assert seen == {0, 1, 2, 3}


def test_a_derived_id_depends_on_every_part_and_on_nothing_else():
    first = derived_id("c", "t", 0, 1, 2)
    others = [("d", "t", 0, 1, 2), ("c", "u", 0, 1, 2), ("c", "t", 1, 1, 2), ("c", "t", 0, 2, 2), ("c", "t", 0, 1, 3)]
    assert derived_id("c", "t", 0, 1, 2) == first
    assert first not in {derived_id(*other) for other in others}


def test_a_redriven_record_concerns_its_addressee_only():
    plain = Record("t", 0, 7, 0, None, None)
    redriven = Record("t", 0, 8, 0, None, None, (("redrive-to", b"emotion_logs"),))
    assert not plain.is_redriven_to_another("person_emotions")
    assert redriven.is_redriven_to_another("person_emotions")
    assert not redriven.is_redriven_to_another("emotion_logs")
    assert redriven.coordinates == "t/0@8"
