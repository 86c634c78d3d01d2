"""Nonsense in every place of every operation: an answer below 500 that says so in JSON, and nothing half-written.

Every place is sent a third of the nonsense, the next place the next third; with NONSENSE=all each is sent all of it.
"""
from __future__ import annotations

import asyncio
import json
import os
import typing
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from infirmary.kernel.contract import wire_name
from tests.architecture.asks import Ask, Reply
from tests.architecture.judge import ALLOWED, MATRIX, cells_of
from tests.architecture.requests import MAKERS, OPERATIONS
from tests.architecture.world import World

from .nonsense import BODIES, STRINGS, TEXTS, VALUES

QUERIES = (*(quote(text, safe="") for text in TEXTS if len(text) <= 5_000), "%00", "%ff", "%c3%28", "%ed%a0%80", "%",
           "%zz", "+", "%u0041", "a&b", "a;b", "%26", "&" * 50, "1&{name}=2", "[]", "%5B%5D=1")
SHARE = 1 if os.environ.get("NONSENSE") == "all" else 3
SEEN: Counter[int] = Counter()
PLACEHOLDER = "71c9d2e8"   # stands in a body where nonsense will be


class Raw(Ask):
    """An Ask whose body, or whose url, is written by hand."""

    written: bytes | None = None
    address: str = ""

    @property
    def content(self) -> bytes | None:
        return super().content if self.written is None else self.written

    @property
    def url(self) -> str:
        return self.address or super().url


def raw(ask: Ask, *, written: bytes | None = None, address: str = "") -> Raw:
    made = Raw(**vars(ask))
    vars(made).update(written=written, address=address)
    return made


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in a JSON value something stands that could be something else."""
    if path:
        yield path
    if isinstance(value, dict):
        for name in value:
            yield from leaves(value[name], (*path, name))
    elif isinstance(value, list):
        for at in range(min(len(value), 1)):
            yield from leaves(value[at], (*path, at))


def with_placeholder(value: Any, path: tuple[Any, ...]) -> Any:
    if not path:
        return PLACEHOLDER
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[path[0]] = with_placeholder(value[path[0]], path[1:])
    return copied


def takes_text(kind: Any) -> bool:
    """Whether any text will do here, or somewhere inside."""
    return kind is str or (isinstance(kind, type) and issubclass(kind, msgspec.Struct)) or any(
        takes_text(one) for one in typing.get_args(kind))


def spoilt(ask: Ask, *, only_texts: bool = False) -> Iterator[Raw]:
    """The request with one place of it spoilt, for every place and all nonsense; or with texts, where they belong."""
    yield from () if only_texts else in_path(ask)
    yield from in_query(ask, only_texts=only_texts)
    if ask.operation.upload:
        yield from in_file(ask, only_texts=only_texts)
    elif ask.body is not None:
        yield from in_form(ask) if ask.operation.form else in_json(ask, only_texts=only_texts)


def in_path(ask: Ask) -> Iterator[Raw]:
    for name in ask.path:
        for text in QUERIES:
            others = {n: quote(str(v)) for n, v in ask.path.items()}
            path = ask.operation.path.format(**{**others, name: text.replace("&", "%26")})
            yield raw(ask, address=(ask.operation.prefix + path).replace("{", "%7B"))


def in_query(ask: Ask, *, only_texts: bool) -> Iterator[Raw]:
    for name in ("unheard_of", *ask.operation.query_names):
        if only_texts and not takes_text(ask.operation.hints.get(name)):
            continue
        on_wire = wire_name(name)
        rest = replace(ask, query={n: v for n, v in ask.query.items() if n != on_wire})
        start = f"{rest.url}{'&' if rest.query else '?'}{on_wire}="
        for text in QUERIES:
            yield raw(rest, address=start + text.replace("{name}", on_wire))


def in_form(ask: Ask) -> Iterator[Raw]:
    assert ask.body
    for name in (*ask.body, "unheard_of"):
        rest = "&".join(f"{n}={quote(str(v))}" for n, v in ask.body.items() if n != name)
        for text in QUERIES:
            yield raw(ask, written=f"{rest}&{name}={text.replace('{name}', name)}".encode())


def in_json(ask: Ask, *, only_texts: bool) -> Iterator[Raw]:
    kinds = typing.get_type_hints(ask.operation.body, include_extras=True)
    plain = dict.fromkeys(kinds) | json.loads(ask.content or b"")   # what was left out has its turn too
    for path in leaves(plain):
        if only_texts and not takes_text(kinds[path[0]]):
            continue
        body = {n: v for n, v in with_placeholder(plain, path).items() if v is not None or n == path[0]}
        written = json.dumps(body).encode()
        for value in STRINGS if only_texts else VALUES:
            yield raw(ask, written=written.replace(f'"{PLACEHOLDER}"'.encode(), value))
    for written in () if only_texts else BODIES:
        yield raw(ask, written=written)


def in_file(ask: Ask, *, only_texts: bool) -> Iterator[Raw]:
    """A table in whose first cell it stands; or instead of the table."""
    assert ask.content
    head, _, row = ask.content.partition(b"\n")
    for text in TEXTS:
        cell = '"{}"'.format(text.replace('"', '""')).encode(errors="surrogatepass")
        yield raw(ask, written=head + b"\n" + cell + row[row.index(b","):])
    for written in () if only_texts else BODIES:
        yield raw(ask, written=written)


def complaint(reply: Reply, ask: Ask) -> str:
    """What is wrong with this answer; nothing, mostly."""
    kind = next((value for name, value in reply.headers.items() if name.lower() == "content-type"), "")
    said = f"{ask.operation.id} {ask.url[:200]} {(ask.content or b'')[:300]!r}: {reply.status} {reply.body[:200]!r}"
    if reply.status >= 500:
        return said
    if reply.status >= 400 and (kind != "application/problem+json" or json.loads(reply.body)["status"] != reply.status):
        return f"{said} as {kind}"
    if reply.headers.get("X-Content-Type-Options", reply.headers.get("x-content-type-options")) != "nosniff":
        return f"{said} may be sniffed"
    return ""


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - {"notifications.stream"}))
async def test_nonsense_is_answered_with_sense(world_on_each: World, name: str) -> None:
    world, operation = world_on_each, OPERATIONS[name]
    on_sqlite = world.house.settings.database.startswith("sqlite:")
    if not on_sqlite and operation.verb == "GET" and "q" not in operation.query_names:
        return   # the other engines are asked to find and to store texts; the rest never gets that far
    cell = next(cell for cell in cells_of(name, MATRIX[name]) if cell.expected == ALLOWED)
    token, seen, wrong, refused = world.token(cell.who), Counter[int](), list[str](), list[Raw]()
    at_once = 20 if operation.verb == "GET" else 4

    async def every() -> list[Raw]:
        """All of it, about something that nobody has changed yet."""
        ask = await MAKERS[name](operation, world, world.subject(cell.who, cell.whose))
        return list(spoilt(ask, only_texts=not on_sqlite))[sorted(OPERATIONS).index(name) % SHARE::SHARE]

    todo = await every()
    for at in range(0, len(todo), at_once):
        some = todo[at:at + at_once]
        replies = await asyncio.gather(*(world.send(one, token) for one in some))
        for one, reply in zip(some, replies, strict=True):
            seen[reply.status] += 1
            wrong += filter(None, [complaint(reply, one)])
        refused += [one for one, reply in zip(some, replies, strict=True) if reply.status >= 400]
        if operation.verb != "GET" and any(reply.status < 400 for reply in replies):
            todo = await every()
    SEEN.update(seen)
    assert not wrong
    if not on_sqlite:
        return

    before = world.kept()   # and once more those that were refused: they leave no trace
    replies = await asyncio.gather(*(world.send(one, token) for one in refused))
    assert any(reply.status < 400 for reply in replies) or world.kept() == before


@pytest.mark.parametrize("reply", [
    Reply(500, b"{}", {"Content-Type": "application/problem+json", "X-Content-Type-Options": "nosniff"}),
    Reply(400, b'{"status":400}', {"Content-Type": "text/html", "X-Content-Type-Options": "nosniff"}),
    Reply(400, b'{"status":422}', {"Content-Type": "application/problem+json", "X-Content-Type-Options": "nosniff"}),
    Reply(200, b"{}", {"Content-Type": "application/json"})])
def test_a_bad_answer_would_be_found(reply: Reply) -> None:
    assert complaint(reply, Ask(OPERATIONS["staff.departments"]))


def test_much_was_tried(capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\nNonsense: {SEEN.total():,} requests, answered with {dict(sorted(SEEN.items()))}")
