"""Keyed marks of what has to be unique but must not be readable: names, logins, e-mails, cards. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from typing import Final

from schemas.envelope import KeyRing

USERNAME: Final = "username"
"""Kind of the marks of people who sign in to the sales pages."""


def mark_of(text: str, key: bytes, kind: str = USERNAME) -> str:
    """The mark of a text under a key, 32 hexadecimal digits: whoever lacks the key learns nothing from it.

    Equal texts of different kinds have different marks.
    """
    return hmac.digest(key, f"{kind}\n{text}".encode(), "sha256")[:16].hex()


def marks_of(text: str, ring: KeyRing, kind: str) -> Iterator[str]:
    """The marks that a text may have: one for each key of the ring, since each was made under the newest of its time.

    A mark lives as long as its key: when that is gone the text is free again.
    """
    return (mark_of(text, key, kind) for key in ring.keys.values())
