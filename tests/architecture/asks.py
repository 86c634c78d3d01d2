"""A request as data, so that tests can turn it: other ids, other callers, twice."""
from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

import aiohttp
from yarl import URL

from infirmary.kernel.contract import Operation, Stream
from infirmary.kernel.database.columns import new_id

_REQUEST_ID = re.compile(rb'"request_id":"[^"]*"')


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def told(self) -> tuple[int, bytes]:
        """All that a caller learns from it; the request id differs each time."""
        return self.status, _REQUEST_ID.sub(b"", self.body)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Ask:
    """`hides`: names in query and body by which this request says whose thing it wants; ids in the path always do.
    `listing`: what is out of reach may also be left out of the list."""

    operation: Operation
    path: dict[str, Any] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    body: dict[str, Any] | bytes | None = None
    if_match: int | None = None
    hides: tuple[str, ...] = ()
    listing: bool = False

    @property
    def url(self) -> str:
        path = self.operation.path.format(**{name: quote(str(value), safe="") for name, value in self.path.items()})
        query = urlencode({name: _text(value) for name, value in self.query.items()})
        return self.operation.prefix + path + (f"?{query}" if query else "")

    @property
    def headers(self) -> dict[str, str]:
        media = self.operation.takes or ("application/x-www-form-urlencoded" if self.operation.form else "application/json")
        return {**({"Content-Type": media} if self.body is not None else {}),
                **({"If-Match": f'"{self.if_match}"'} if self.if_match is not None else {})}

    @property
    def content(self) -> bytes | None:
        if self.body is None or isinstance(self.body, bytes):
            return self.body
        return (urlencode(self.body) if self.operation.form else json.dumps(self.body, default=_text)).encode()

    def twin(self) -> Ask:
        """The same request about somebody who does not exist."""
        def unknown(name: str, value: Any) -> Any:
            return (new_id() if isinstance(value, UUID) else "Nobody") if name in self.hides else value
        path = {name: new_id() if isinstance(value, UUID) else value for name, value in self.path.items()}
        return replace(self, path=path,
                       query={name: unknown(name, value) for name, value in self.query.items()},
                       body={name: unknown(name, value) for name, value in self.body.items()}
                       if isinstance(self.body, dict) else self.body)

    async def sent(self, http: aiohttp.ClientSession, base: str, headers: dict[str, str]) -> Reply:
        data = None if self.content is None else io.BytesIO(self.content)
        async with http.request(self.operation.verb, URL(base + self.url, encoded=True), data=data,
                                headers={**self.headers, **headers}) as reply:
            endless = self.operation.answer is Stream and reply.status < 400
            body = await reply.content.readuntil(b"\n\n") if endless else await reply.read()
            return Reply(reply.status, body, dict(reply.headers))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
