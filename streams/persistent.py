"""Maps that are values, `immutables.Map`, in msgpack: hooks for msgspec. Pure.

A large map is written in pieces of some thousand entries, so that whoever runs beside gets its turn in between: a
piece is encoded in one go and nothing else of the process moves meanwhile.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final, TypeVar, cast, get_args, get_origin

import immutables
import msgspec

T = TypeVar("T")
PIECE: Final = 1_000
"""Entries of a map that are encoded in one go."""


def encode(value: Any) -> bytes:
    """Give the value as msgpack, its maps as lists of pieces. Raises NotImplementedError for types nobody knows."""
    return msgspec.msgpack.encode(value, enc_hook=_written)


def decode(data: bytes | msgspec.Raw, kind: type[T]) -> T:
    """Read back what `encode` wrote. Raises msgspec.DecodeError, or its ValidationError when it is no such value."""
    return _decoder(kind).decode(data)


def _written(value: Any) -> Any:
    if isinstance(value, immutables.Map):
        return [encode(piece) for piece in _pieces(cast("immutables.Map[Any, Any]", value))]
    raise NotImplementedError(f"{type(value).__name__} has no form in msgpack.")


def _pieces(whole: immutables.Map[Any, Any]) -> Iterator[dict[Any, Any]]:
    entries = iter(whole.items())
    while piece := dict(islice(entries, PIECE)):
        yield piece


def _read(kind: Any, found: Any) -> Any:
    if get_origin(kind) is not immutables.Map:
        raise NotImplementedError(f"{kind} has no form in msgpack.")
    decoder = _decoder(cast("Any", dict)[get_args(kind)])
    with immutables.Map[Any, Any]().mutate() as changed:
        for piece in msgspec.convert(found, list[bytes]):
            changed.update(decoder.decode(piece))
        return changed.finish()


@functools.cache
def _decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    read: Callable[[Any, Any], Any] = _read
    return msgspec.msgpack.Decoder(kind, dec_hook=read)
