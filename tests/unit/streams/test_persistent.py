"""States of persistent maps lie in snapshots and come back equal."""

from __future__ import annotations

import immutables
import msgspec
import pytest

from streams import persistent
from streams.topology import StateCodec


class Item(msgspec.Struct, frozen=True):
    name: str
    balance: int | None = None
    tags: frozenset[str] = frozenset()


class Shelf(msgspec.Struct, frozen=True):
    items: immutables.Map[str, Item] = immutables.Map()
    by_user: immutables.Map[str, immutables.Map[str, int]] = immutables.Map()


CODEC = StateCodec(Shelf, version=1)


def shelf(items: int) -> Shelf:
    every = {f"i{n}": Item(f"n{n}", n if n % 2 else None, frozenset({"a"})) for n in range(items)}
    return Shelf(immutables.Map(every), immutables.Map({"u": immutables.Map({"i1": 3})}))


@pytest.mark.parametrize("items", [0, 1, persistent.PIECE, persistent.PIECE + 1, 3 * persistent.PIECE + 7])
def test_a_state_of_maps_comes_back_equal(items: int) -> None:
    back = CODEC.load(CODEC.dump(shelf(items)))
    assert back == shelf(items)
    assert back is not None
    assert isinstance(back.items, immutables.Map)
    assert isinstance(back.by_user["u"], immutables.Map)


def test_the_empty_state_comes_back() -> None:
    assert CODEC.load(CODEC.dump(CODEC.empty())) == Shelf()


@pytest.mark.parametrize("items", [b"\x91\xc4\x01x", b"\x91\x01", b"\x01", b"\x81\xa1a\x01"])
def test_what_is_no_map_is_no_state(items: bytes) -> None:
    assert CODEC.load(b"\x92\x01\x81\xa5items" + items) is None


def test_an_entry_of_another_kind_is_no_state() -> None:
    wrong = msgspec.msgpack.encode((1, {"items": [msgspec.msgpack.encode({"i1": {"name": 7}})]}))
    assert CODEC.load(wrong) is None


def test_a_type_that_nobody_knows_is_refused() -> None:
    with pytest.raises(NotImplementedError):
        persistent.encode(object())
