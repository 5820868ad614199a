"""Which line of the table of roles is a request's, or a route's. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from api.doors import Rule
from api.roles import TABLE

_ALIAS: Final = re.compile(r"^(?:/api(?=/v1/)|(/(?:base|store|face)_api)/v1(?=/))")
_PARAMETER: Final = re.compile(r"\\{\w+(:path)?\\}")


def canonical(path: str) -> str:
    """The path that the table has for a path: without `/api` before `/v1`, without `/v1` behind a server's prefix."""
    return _ALIAS.sub(lambda found: found[1] or "", path, count=1)


def rule_of(method: str, path: str) -> Rule | None:
    """The rule of a request; HEAD is asked as GET is where it has none of its own."""
    plain = canonical(path)
    for name in (method, "GET") if method == "HEAD" else (method,):
        if (rule := _EXACT.get((name, plain))) is not None:
            return rule
        for pattern, patterned in _PATTERNS.get(name, ()):
            if pattern.fullmatch(plain):
                return patterned
    return None


def of_route(method: str, template: str) -> Rule | None:
    """The rule of a route by its own pattern, whatever its parameters are called."""
    return _BY_SHAPE.get((method, _shape(canonical(template))))


def _shape(template: str) -> str:
    return re.sub(r"\{\w+(:path)?\}", lambda found: "{:path}" if found[1] else "{}", template)


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(_PARAMETER.sub(lambda found: ".+" if found[1] else "[^/]+", re.escape(template)))


def _patterns() -> Iterator[tuple[str, re.Pattern[str], Rule]]:
    for rule in TABLE:
        if "{" in rule.path:
            yield rule.method, _pattern(rule.path), rule


_EXACT: Final[Mapping[tuple[str, str], Rule]] = MappingProxyType(
    {(rule.method, rule.path): rule for rule in TABLE if "{" not in rule.path}
)
_PATTERNS: Final[Mapping[str, list[tuple[re.Pattern[str], Rule]]]] = MappingProxyType(
    {
        method: [(pattern, rule) for name, pattern, rule in _patterns() if name == method]
        for method in {rule.method for rule in TABLE}
    }
)
_BY_SHAPE: Final[Mapping[tuple[str, str], Rule]] = MappingProxyType(
    {(rule.method, _shape(rule.path)): rule for rule in TABLE}
)
