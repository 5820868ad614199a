"""Pages of lists as seed 003 has them: `page` and `size` in, `items`, `total`, `page`, `size`, `pages` out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel

T = TypeVar("T")
LAST_PAGE = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Paging:
    """Page number `page` >= 1 of `size` items, 1 to 100."""

    page: int
    size: int

    @property
    def offset(self) -> int:
        """How many items come before."""
        return (self.page - 1) * self.size


def _asked(
    page: Annotated[int, Query(ge=1, le=LAST_PAGE, description="Page number")] = 1,
    size: Annotated[int, Query(ge=1, le=100, description="Page size")] = 50,
) -> Paging:
    return Paging(page, size)


Paged = Annotated[Paging, Depends(_asked)]
"""Parameter of a route that answers a page."""


class Page(BaseModel, Generic[T]):
    """A page of a list; `pages` is 0 when the list is empty."""

    items: Sequence[T]
    total: int
    page: int
    size: int
    pages: int


def page_of(items: Sequence[T], total: int, paging: Paging) -> Page[T]:
    """The answer to who asked for a page."""
    return Page[T](items=items, total=total, page=paging.page, size=paging.size, pages=-(-total // paging.size))
