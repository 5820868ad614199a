"""None, True and False as they are from Python 3.12 on: never used up. Touches three objects of the interpreter."""

from __future__ import annotations

import ctypes
import sys
from typing import Final

ENOUGH: Final = sys.maxsize // 4
"""References: a thousand a second are lost in millions of years only."""


def keep_constants() -> None:
    """Give them so many references that none can be lost; once is enough.

    PySide6 6.12.0 counts on their being immortal: each signal and each timer gives a reference back that it never took.
    Before Python 3.12 that ends the process ("bool_dealloc"), with thirty frames a second within minutes.
    """
    if sys.version_info >= (3, 12):
        return
    for constant in (None, True, False):
        count = ctypes.c_ssize_t.from_address(id(constant))
        # Builds for debugging begin an object with something else; there it is left alone.
        if abs(count.value - sys.getrefcount(constant)) < 1_000 and count.value < ENOUGH:
            count.value += ENOUGH
