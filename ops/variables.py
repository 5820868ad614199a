"""Reads variables of an environment (values stripped, empty ones left out); an OperatorError names the bad one."""

from __future__ import annotations

import json
import math
import zoneinfo
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from ops.errors import OperatorError

YES: Final = ("true", "1", "yes", "on")
NO: Final = ("false", "0", "no", "off")


def words(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    """The words of a list, in lower case."""
    return tuple(word.lower() for word in listed(env.get(name, "")))


def listed(text: str) -> list[str]:
    """The items of a list separated by commas or, as seed 002 writes them, of a JSON list of texts."""
    try:
        found: Any = json.loads(text)
    except ValueError:
        found = None
    items = [str(item) for item in cast("list[Any]", found)] if isinstance(found, list) else text.split(",")
    return [item.strip() for item in items if item.strip()]


def folder(env: Mapping[str, str], name: str) -> Path | None:
    """A folder as an absolute path; None where none is named."""
    return Path(env[name]).expanduser().absolute() if name in env else None


def number(env: Mapping[str, str], name: str, default: float, least: float, most: float) -> float:
    """A number within bounds. OperatorError says which variable is wrong."""
    text = env.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise OperatorError(f"{name}={text} is not a number from {least:g} to {most:g}.")
    return value


def choice(env: Mapping[str, str], name: str, default: str, allowed: tuple[str, ...]) -> str:
    """One of some words, in lower case. OperatorError says which there are."""
    text = env.get(name, default).lower()
    if text not in allowed:
        raise OperatorError(f"{name}={text}: it must be {', '.join(allowed[:-1])} or {allowed[-1]}.")
    return text


def address(env: Mapping[str, str], name: str) -> str | None:
    """An http or https address without final slash; None where none is named. OperatorError for anything else."""
    text = env.get(name)
    if text and not text.startswith(("http://", "https://")):
        raise OperatorError(f"{name}={text} is not an address: it must begin with http:// or https://.")
    return text.rstrip("/") if text else None


def zone(env: Mapping[str, str], name: str, default: str) -> str:
    """The name of a time zone that is known here, else OperatorError."""
    named = env.get(name, default)
    try:
        zoneinfo.ZoneInfo(named)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise OperatorError(f"{name}={named} is not a time zone name; write one such as Europe/Belgrade.") from error
    return named
