"""The files: what each service is given is the sum of its layers, checked key by key."""
from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

S = TypeVar("S", bound=msgspec.Struct)
Content = dict[str, dict[str, Any]]   # service -> the sum of its layers; COMMON for whoever has no file of its own

COMMON = "common"
_SECRET = ("password", "passwords", "passwd", "passphrase", "pwd", "secret", "secrets", "token", "tokens", "credential",
           "credentials", "dsn", "apikey", "apikeys")
_ALONE = {"key", "keys"}   # `monkey` and `turkeys` are no secrets
_NAME = re.compile(r"[\w-]+")
_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_WITH_PASSWORD = re.compile(r"://[^/\s@]*:[^/\s@]+@")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*?)`")
_PLACE = re.compile(r"^(?P<why>.*?)(?: - at `(?:key` in `)?\$\.?(?P<at>.*)`)?$", re.DOTALL)


class ConfigRefused(Exception):
    """It cannot be used; the text says for each fault which file, which key, and why."""


def merged(folder: Path, environment: str, into: type[S], services: Sequence[str]) -> Content:
    """The sum of the layers for each service that has a file, and for all others; or every fault that was found."""
    if not _NAME.fullmatch(environment) or not (folder / environment).is_dir():
        there = sorted(one.name for one in folder.iterdir() if one.is_dir()) if folder.is_dir() else []
        raise ConfigRefused(f"{folder}: no environment is called {environment!r}. There are: {', '.join(there) or 'none'}")
    faults: list[str] = []
    layers: dict[Path, dict[str, Any]] = {}
    for file in files_of(folder, environment):
        known = [f"{name}.yaml" for name in ((COMMON, *services) if file.parent.name == environment else (COMMON,))]
        if file.name not in known:
            faults.append(f"{file}: nobody would read a file of this name. Here can be: {', '.join(known)}")
            continue
        try:
            layers[file] = _read(file)
            found = _faults(layers[file], into, layer=True)
        except ConfigRefused as refused:
            found = [str(refused)]
        faults += [f"{file}: {one}" for one in found]
    if faults:
        raise ConfigRefused("\n".join(faults))
    base = _sum(layers.get(folder / f"{COMMON}.yaml", {}), layers.get(folder / environment / f"{COMMON}.yaml", {}))
    content = {COMMON: base} | {service: _sum(base, layers[file]) for service in services
                                if (file := folder / environment / f"{service}.yaml") in layers}
    for service, values in content.items():
        try:
            check(values, into)
        except ConfigRefused as refused:
            raise ConfigRefused(f"{folder}, {environment}, {service}: {refused}") from refused
    return content


def check(values: Any, into: type[S]) -> S:
    """The value, if nothing in it is a secret, unknown, or of the wrong type."""
    if found := _faults(values, into):
        raise ConfigRefused("\n".join(found))
    return msgspec.convert(values, into)


def files_of(folder: Path, environment: str) -> list[Path]:
    return sorted(file for place in (folder, folder / environment) for file in place.glob("*.y*ml"))


def _read(file: Path) -> dict[str, Any]:
    try:
        read = yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)   # noqa: S506 – a safe loader
    except yaml.MarkedYAMLError as error:   # its own text would quote the file, and perhaps a secret
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ConfigRefused(f"line {line}: {error.problem}") from error
    except (yaml.YAMLError, OSError, ValueError) as error:
        raise ConfigRefused(f"cannot be read ({type(error).__name__})") from error
    if read is None:
        return {}
    if not isinstance(read, dict):
        raise ConfigRefused("must hold keys and values")
    return read


def _faults(values: Any, into: type[S], *, layer: bool = False) -> list[str]:
    """A `layer` is only a part: rules between keys (a Struct's __post_init__) are for the sum."""
    if found := list(_secrets(values)):
        return found
    try:
        msgspec.convert(values, into)
    except msgspec.ValidationError as error:
        if not (layer and isinstance(error.__cause__, ValueError)):
            return [_sentence(str(error), values, into)]
    return []


class _Loader(yaml.SafeLoader):
    """Refuses a key that is there twice: YAML would silently take the second."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for name, _ in node.value:
            if str(name.value) in seen:
                raise yaml.MarkedYAMLError(problem="this key is here already", problem_mark=name.start_mark)
            seen.add(str(name.value))
        return super().construct_mapping(node, deep)


def _sum(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(under)
    for name, value in over.items():
        below = made.get(name)
        made[name] = _sum(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return made


def _secrets(value: Any, at: str = "") -> Iterator[str]:
    match value:
        case dict():
            for name, inner in value.items():
                place = f"{at}.{name}".removeprefix(".")
                if any(part.endswith(_SECRET) or part in _ALONE for part in map(str.lower, _PART.findall(str(name)))):
                    yield f"{place}: by its name this is a secret. Secrets come from files and the environment"
                else:
                    yield from _secrets(inner, place)
        case list():
            for number, inner in enumerate(value):
                yield from _secrets(inner, f"{at}[{number}]")
        case str() if _WITH_PASSWORD.search(value) or "-----BEGIN" in value:
            yield f"{at}: it holds a password or a key. Secrets come from files and the environment"


def _sentence(error: str, values: Any, into: type[S]) -> str:
    """msgspec's words, with the key in front."""
    found = _PLACE.match(error)
    why, at = (found["why"], found["at"] or "") if found else (error, "")
    if unknown := _UNKNOWN.match(why):
        why, at = "no such key is known", f"{at}.{unknown['name']}".removeprefix(".")
    if at.endswith("[...]"):
        at = _entry(at.removesuffix("[...]"), values, into)
    return f"{at}: {why}" if at else why


def _entry(at: str, values: Any, into: type[S]) -> str:
    """Which entry of a mapping it is, which msgspec does not say: the first that is refused when it is there alone."""
    path = at.split(".")
    for name in path:
        values = values[name]
    for name, value in values.items():
        alone: dict[str, Any] = {name: value}
        for above in reversed(path):
            alone = {above: alone}
        try:
            msgspec.convert(alone, into)
        except msgspec.ValidationError:
            return f"{at}.{name}"
    return at
