"""What names a source: a camera's number, an address, else a file; and its name where others read it. Pure, light."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

SCHEMES: Final = frozenset({"rtsp", "rtsps", "rtmp", "http", "https", "udp", "rtp", "tcp", "srt"})
_LONGEST_NUMBER: Final = 3


def is_camera(source: str) -> bool:
    """Whether a source is the number of a camera."""
    return source.isdecimal() and len(source) <= _LONGEST_NUMBER


def is_address(source: str) -> bool:
    """Whether a source is named by an address."""
    return "://" in source


def scheme_of(address: str) -> str:
    """What it begins with, in lower case. Raises ValueError for what is no address, such as `http://[`."""
    return urlsplit(address).scheme.lower()


def nameless(source: str) -> str:
    """The source without the name, the password and the query of its address, for logs and reasons."""
    if not is_address(source):
        return source
    try:
        parts = urlsplit(source)
    except ValueError:
        return f"{source.partition('://')[0]}://..."
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
