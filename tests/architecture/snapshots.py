"""What each context has promised: its operations, their types, its events. Promises may be added to, not taken back.

    python -m tests.architecture.snapshots            adds what is new
    python -m tests.architecture.snapshots --break    also forgets what was taken back: for a new major version only

Policies are not here (access_matrix.toml holds them), and neither are texts.
"""
from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from inspect import Parameter
from pathlib import Path
from typing import Any

import msgspec

from infirmary.kernel.audit import Audited
from infirmary.kernel.contract import Contract, Download, File, Operation, Stream, Upload, wire_name
from infirmary.kernel.events import Event

from .requests import CONTRACTS

FOLDER = Path(__file__).parent / "snapshots"
Promises = dict[str, str]   # what -> how it is typed


def promises_of(operations: Iterable[Operation], events: Iterable[type[Event]]) -> Promises:
    """Flat, so that a difference reads like a sentence."""
    found: Promises = {}
    kinds: list[Any] = []

    def typed(kind: Any) -> str:
        kinds.append(kind)
        return _short(msgspec.json.schema_components([kind], ref_template="{name}")[0][0])

    for operation in operations:
        asked = f"{operation.verb} {operation.prefix}{operation.path}"
        found[asked] = f"{operation.status} {operation.media}"
        plain = operation.answer in (Download, File, Stream)
        found[f"{asked} answers"] = operation.answer.__name__ if plain else typed(operation.answer)
        for parameter in operation.parameters:
            needed = "" if parameter.default is not Parameter.empty else ", needed"
            kind = operation.hints[parameter.name]
            found[f"{asked} takes {wire_name(parameter.name)}"] = (operation.takes if kind is Upload else typed(kind)) + needed
        for refusal in operation.refuses:
            found[f"{asked} refuses {refusal.code}"] = str(refusal.status)
    found |= {f"{event.kind} is announced": "" for event in events}
    kinds += events
    for name, schema in msgspec.json.schema_components(kinds, ref_template="{name}")[1].items():
        for field, kind in schema.get("properties", {}).items():
            needed = ", needed" if field in schema.get("required", ()) else ""
            found[f"{name}.{field}"] = _short(kind) + needed
        for value in schema.get("enum", ()):
            found[f"{name} = {value}"] = ""
    return dict(sorted(found.items()))


def _short(schema: dict[str, Any]) -> str:
    """A JSON schema in a line: `integer, maximum 100`, `[Opening], maxItems 42`, `null | Mode`."""
    match schema:
        case {"$ref": name}:
            return str(name)
        case {"anyOf": kinds}:
            return " | ".join(sorted(map(_short, kinds)))
        case {"type": "array", "items": kind}:
            what = f"[{_short(kind)}]"
        case {"type": "object", "additionalProperties": kind}:
            what = f"{{{_short(kind)}}}"
        case _:
            what = schema.get("format") or schema.get("type") or "anything"
    told = {"$ref", "anyOf", "type", "items", "additionalProperties", "format", "default", "description", "title"}
    return ", ".join([what, *(f"{name} {schema[name]}" for name in sorted(schema.keys() - told))])


def snapshots(contracts: Iterable[type[Contract]] = CONTRACTS) -> dict[str, Promises]:
    events = [event for event in Event.known.values() if event.__module__.startswith("infirmary.contexts.")]
    made = {contract.context: promises_of(contract.operations.values(), [
        event for event in events if event.kind.startswith(contract.context + ".")]) for contract in contracts}
    return {**made, "kernel": promises_of((), [Audited])}


def taken_back(before: Promises, now: Promises) -> list[str]:
    """What somebody out there may rely on, and would miss. Whatever is newly needed breaks those who do not send it."""
    asked = {what for what in now if what not in before and now[what].endswith(", needed")}
    known = {_owner(what) for what in before}
    gone = [f"{what}: {kind or 'there'}, now {now.get(what) or 'gone'}" for what, kind in before.items()
            if now.get(what) != kind]
    return gone + [f"{what} is new and needed" for what in sorted(asked) if _owner(what) in known]


def _owner(what: str) -> str:
    """The operation or type that a promise belongs to."""
    return what.partition(" takes ")[0] if " takes " in what else what.rpartition(".")[0] or what


def kept(context: str) -> Promises:
    file = FOLDER / f"{context}.json"
    promises: Promises = json.loads(file.read_text()) if file.exists() else {}
    return promises


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for context, now in snapshots().items():
        broken = taken_back(kept(context), now)
        if broken and "--break" not in sys.argv:
            sys.exit("Taken back, which breaks whoever relies on it (--break if it must be):\n  " + "\n  ".join(broken))
        (FOLDER / f"{context}.json").write_text(json.dumps(now, indent=0, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
