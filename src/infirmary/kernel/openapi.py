"""The OpenAPI 3.1 document, made from the same declarations as the routes. msgspec writes the schemas."""
from __future__ import annotations

from collections.abc import Iterable
from inspect import Parameter
from typing import Any

import msgspec

from .access import ANYONE
from .contract import Contract, Download, File, Operation, Stream, Upload, wire_name
from .errors import (
    Broken,
    KeyReused,
    Malformed,
    NotFound,
    NotSignedIn,
    Problem,
    Refusal,
    RoleMayNot,
    StaleVersion,
    TooLarge,
    Unavailable,
    UnsupportedMediaType,
    VersionMissing,
)

_FILE = {"type": "string", "format": "binary"}
_REF = "#/components/schemas/{name}"
_SECONDS = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait before asking again."}}
_HEADERS: dict[int, Any] = {   # what a refusal with this status says in its head
    401: {"WWW-Authenticate": {"schema": {"type": "string"}, "description": "Bearer"}}, 429: _SECONDS, 503: _SECONDS}


def document(contracts: Iterable[type[Contract]], *, title: str, version: str) -> dict[str, Any]:
    """The whole API. Service-only operations are listed too, under their role, so that nothing is hidden."""
    operations = [operation for contract in contracts for operation in contract.operations.values()]
    types = [kind for operation in operations for kind in _types(operation)] + [Problem]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    schema = dict(zip(map(repr, types), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.prefix + operation.path, {})[operation.verb.lower()] = _described(operation, schema)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}}}


def _types(operation: Operation) -> list[Any]:
    kinds = [kind for parameter in operation.parameters if (kind := operation.hints[parameter.name]) is not Upload]
    return kinds if operation.answer in (Download, File, Stream) else [*kinds, operation.answer]


def _described(operation: Operation, schema: dict[str, Any]) -> dict[str, Any]:
    public = ANYONE in operation.allow
    described: dict[str, Any] = {
        "operationId": operation.id, "tags": [operation.context], "summary": (operation.method.__doc__ or "").split("\n")[0],
        "security": [*([{}] if public else []), {"bearer": []}],
        "x-policy": {str(role): scope.name for role, scope in operation.allow.items()},
        "parameters": [_parameter(operation, parameter, schema) for parameter in operation.parameters
                       if parameter.name != "body"],
        "responses": _responses(operation, schema)}
    if operation.verb == "POST" and not operation.upload:
        described["parameters"].append({
            "name": "Idempotency-Key", "in": "header", "required": False,
            "description": "The same key and request are answered with the first answer; the effect happens once.",
            "schema": {"type": "string", "pattern": "^[\\x21-\\x7e]{1,64}$"}})
    if operation.upload:
        described["requestBody"] = {"required": True, "content": {operation.takes: {"schema": _FILE}}}
    elif operation.body is not None:
        media = "application/x-www-form-urlencoded" if operation.form else "application/json"
        described["requestBody"] = {"required": True, "content": {media: {"schema": schema[repr(operation.body)]}}}
    return described


def _parameter(operation: Operation, parameter: Parameter, schema: dict[str, Any]) -> dict[str, Any]:
    if parameter.name == "if_match":
        return {"name": "If-Match", "in": "header", "required": bool(operation.wants_version),
                "description": "The ETag you read.", "schema": {"type": "string", "pattern": '^"[0-9]{1,18}"$'}}
    place = "path" if parameter.name in operation.path_names else "query"
    shape = dict(schema[repr(operation.hints[parameter.name])])
    if "anyOf" in shape:   # an absent parameter is absent, not null
        kept = [one for one in shape["anyOf"] if one.get("type") != "null"]
        shape = {**{name: value for name, value in shape.items() if name not in ("anyOf", "default")},
                 **(kept[0] if len(kept) == 1 else {"anyOf": kept})}
    return {"name": wire_name(parameter.name), "in": place,
            "required": place == "path" or parameter.default is Parameter.empty, "schema": shape}


def _responses(operation: Operation, schema: dict[str, Any]) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if "version" in getattr(operation.answer, "__struct_fields__", ()):
        headers = {"ETag": {"schema": {"type": "string"}, "description": "The version, for If-Match."}}
    shape = (_FILE if operation.answer in (Download, File) else {"type": "string"} if operation.answer is Stream else schema[repr(operation.answer)])
    found: dict[str, Any] = {str(operation.status): {
        "description": "Done.", "headers": headers, "content": {operation.media: {"schema": shape}}}}
    for status, refusals in sorted(_refusals(operation).items()):
        found[str(status)] = {
            "description": " / ".join(sorted({refusal.code for refusal in refusals})), "headers": _HEADERS.get(status, {}),
            "content": {"application/problem+json": {"schema": {"$ref": _REF.format(name="Problem")}}}}
    return found


def _refusals(operation: Operation) -> dict[int, list[type[Refusal]]]:
    possible: list[type[Refusal]] = [*operation.refuses, Malformed, NotSignedIn, Unavailable, Broken]
    if ANYONE not in operation.allow:
        possible += [RoleMayNot, NotFound]
    if operation.path_names:
        possible.append(NotFound)
    if operation.wants_version is not None:
        possible += [StaleVersion, *([VersionMissing] if operation.wants_version else [])]
    if operation.body is not None:
        possible += [UnsupportedMediaType, TooLarge]
    if operation.verb == "POST" and not operation.upload:
        possible.append(KeyReused)
    by_status: dict[int, list[type[Refusal]]] = {}
    for refusal in possible:
        by_status.setdefault(refusal.status, []).append(refusal)
    return by_status
