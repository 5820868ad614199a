"""numpy columns as PostgreSQL's binary arrays, so that a block of rows is one parameter a column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection
from psycopg.adapt import Dumper
from psycopg.pq import Format

# Object ids of the elements' types, as in pg_type.dat.
_ELEMENT_OIDS: Final = {"i2": 21, "i4": 23, "i8": 20, "f8": 701}


@dataclass(frozen=True, slots=True)
class Column:
    """A parameter: one-dimensional, without nulls. `kind` is i2, i4, i8 or f8."""

    values: NDArray[Any]
    kind: str


def i2(values: NDArray[Any]) -> Column:
    """As smallint[]."""
    return Column(values, "i2")


def i4(values: NDArray[Any]) -> Column:
    """As int[]."""
    return Column(values, "i4")


def i8(values: NDArray[Any]) -> Column:
    """As bigint[]."""
    return Column(values, "i8")


def f8(values: NDArray[Any]) -> Column:
    """As double precision[]."""
    return Column(values, "f8")


def binary(column: Column) -> bytes:
    """What array_recv reads: dimensions, null flag, element type, length, lower bound, then sized elements."""
    count, width = len(column.values), int(column.kind[1])
    element = _ELEMENT_OIDS[column.kind]
    if count == 0:
        return np.array([0, 0, element], ">i4").tobytes()
    items = np.empty(count, [("size", ">i4"), ("value", f">{column.kind}")])
    items["size"] = width
    items["value"] = column.values
    return np.array([1, 0, element, count, 1], ">i4").tobytes() + items.tobytes()


class _ColumnDumper(Dumper):
    """Sends no type: the cast in the statement says it."""

    format = Format.BINARY

    def dump(self, obj: Column) -> bytes:
        return binary(obj)


def register(connection: Connection[Any]) -> None:
    """Let this connection take columns as parameters."""
    connection.adapters.register_dumper(Column, _ColumnDumper)
