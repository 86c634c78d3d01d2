"""What Envoy makes of a list of routes, by its own rules: the first that fits decides."""
from __future__ import annotations

import re
from typing import Any


def decided(routes: list[dict[str, Any]], method: str, path: str, *headers: str) -> dict[str, Any]:
    """The route that answers. `headers` are the names of those that are there."""
    return next(route for route in routes if _fits(route["match"], method, path, headers))


def _fits(match: dict[str, Any], method: str, path: str, headers: tuple[str, ...]) -> bool:
    return _at(match, path) and all(
        method == one["string_match"]["exact"] if one["name"] == ":method" else one["name"] in headers
        for one in match.get("headers", []))


def _at(match: dict[str, Any], path: str) -> bool:
    match match:
        case {"path": exact}:
            return bool(path == exact)
        case {"prefix": start}:
            return path.startswith(start)
        case {"path_separated_prefix": start}:
            return path == start or path.startswith(start + "/")
        case {"safe_regex": {"regex": regex}}:
            return re.fullmatch(regex, path) is not None
    raise AssertionError(match)
