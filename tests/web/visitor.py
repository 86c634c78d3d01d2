"""Somebody at a browser without JavaScript: keeps cookies, follows forms, and reads what is on the page."""
from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode, urlsplit

from litestar.types import ASGIApp


@dataclass
class Form:
    action: str
    method: str = "get"
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str, str]] = field(default_factory=list)   # name, value, what it says

    @property
    def values(self) -> dict[str, str]:
        return dict(self.fields)


class Reading(HTMLParser):
    """Forms with what is filled in, links, and the words of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.csrf = ""
        self._form: Form | None = None
        self._link: list[str] | None = None
        self._button: tuple[str, str] | None = None
        self._button_words: list[str] = []
        self._select = self._textarea = ""
        self._first_option = True
        self._skip = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._space(tag)
        if tag == "meta" and given.get("name") == "csrf-token":
            self.csrf = given["content"]
        if tag == "form":
            self._form = Form(given.get("action", ""), given.get("method", "get"))
            self.forms.append(self._form)
        if tag == "a" and "href" in given:
            self._link = [given["href"]]
        if tag in ("script", "style", "template"):
            self._skip += 1
        if self._form is not None:
            self._control(self._form, tag, given)

    def _control(self, form: Form, tag: str, given: dict[str, str]) -> None:
        if tag == "input" and given.get("name"):
            if given.get("type") not in ("checkbox", "radio") or "checked" in given:
                form.fields.append((given["name"], given.get("value", "")))
        elif tag == "textarea":
            self._textarea = given.get("name", "")
            form.fields.append((self._textarea, ""))
        elif tag == "select":
            self._select, self._first_option = given.get("name", ""), True
            form.fields.append((self._select, ""))
        elif tag == "option" and self._select and (self._first_option or "selected" in given):
            form.fields[-1] = (self._select, given.get("value", ""))
            self._first_option = False
        elif tag == "button":
            self._button, self._button_words = (given.get("name", ""), given.get("value", "")), []

    def _space(self, tag: str) -> None:
        if tag not in ("mark", "time"):   # words in different cells are different words
            self.words.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self._space(tag)
        if tag in ("script", "style", "template"):
            self._skip -= 1
        if tag == "a" and self._link:
            self.links.append((self._link[0], " ".join("".join(self._link[1:]).split())))
            self._link = None
        if tag == "button" and self._button and self._form:
            self._form.buttons.append((*self._button, " ".join("".join(self._button_words).split())))
            self._button = None
        if tag == "form":
            self._form = None
        if tag == "textarea":
            self._textarea = ""
        if tag == "select":
            self._select = ""

    def handle_data(self, data: str) -> None:
        if self._skip:
            return
        self.words.append(data)
        if self._link is not None:
            self._link.append(data)
        if self._button is not None:
            self._button_words.append(data)
        if self._textarea and self._form:
            name, value = self._form.fields[-1]
            self._form.fields[-1] = (name, value + data)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def __post_init__(self) -> None:
        self.text = self.body.decode()
        self._reading = Reading()
        if self.headers.get("content-type", "").startswith("text/html"):
            self._reading.feed(self.text)

    @property
    def words(self) -> str:
        """What is to be read on the page, spaces made even."""
        return " ".join("".join(self._reading.words).split())

    @property
    def csrf(self) -> str:
        return self._reading.csrf

    @property
    def location(self) -> str:
        return self.headers.get("location", "")

    @property
    def forms(self) -> list[Form]:
        return self._reading.forms

    @property
    def links(self) -> dict[str, str]:
        """Address by the words of the link; the last of those with the same words."""
        return {words: href for href, words in self._reading.links}

    def form(self, action: str) -> Form:
        """The first form that goes to this address; `action` may be its end."""
        found = [form for form in self.forms if form.action.endswith(action)]
        assert found, f"no form to {action}: {[form.action for form in self.forms]}"
        return found[0]

    def json(self) -> Any:
        return json.loads(self.body)


class Visitor:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.cookies: dict[str, str] = {}
        self.seen: Answer | None = None   # the page last opened

    async def open(self, path: str, *, htmx: bool = False, if_none_match: str = "") -> Answer:
        """GET, following where it leads."""
        answer = await self.ask("GET", path, htmx=htmx, if_none_match=if_none_match)
        while answer.status == 303:
            answer = await self.ask("GET", answer.location)
        return answer

    async def send(self, path: str, fields: dict[str, str] | list[tuple[str, str]] | None = None, *,
                   htmx: bool = False) -> Answer:
        """POST with the token of the page last opened; where it leads is not followed."""
        if self.seen is None or not self.seen.csrf:
            await self.open("/")
        assert self.seen
        pairs = [*(fields.items() if isinstance(fields, dict) else fields or []), ("_csrf_token", self.seen.csrf)]
        return await self.ask("POST", path, pairs, htmx=htmx)

    async def send_file(self, path: str, name: str, file_name: str, content: bytes) -> Answer:
        """POST a form with a file and the token of the page last opened (RFC 7578)."""
        assert self.seen
        head = 'Content-Disposition: form-data; name="%s"'
        parts = [head % "_csrf_token" + f"\r\n\r\n{self.seen.csrf}",
                 head % name + f'; filename="{file_name}"\r\nContent-Type: text/csv\r\n\r\n']
        body = b"--X\r\n" + "\r\n--X\r\n".join(parts).encode() + content + b"\r\n--X--\r\n"
        return await self.ask("POST", path, body=body, media=b"multipart/form-data; boundary=X")

    async def submit(self, form: Form, press: str = "", **changed: str) -> Answer:
        """A form as it stands, with some fields changed, by the button that says `press`."""
        button = next((name, value) for name, value, says in form.buttons if press in says) if press else ("", "")
        pairs = [(name, changed.get(name, value)) for name, value in form.fields]
        pairs += [(name, value) for name, value in changed.items() if name not in form.values]
        return await self.ask("POST", form.action, [*pairs, *([button] if button[0] else [])])

    async def ask(self, method: str, path: str, fields: list[tuple[str, str]] | None = None, *,
                  htmx: bool = False, if_none_match: str = "", body: bytes | None = None,
                  media: bytes = b"application/x-www-form-urlencoded") -> Answer:
        parts, body = urlsplit(path), urlencode(fields or []).encode() if body is None else body
        headers = [(b"host", b"127.0.0.1"), (b"cookie", "; ".join(f"{k}={v}" for k, v in self.cookies.items()).encode())]
        if method == "POST":
            headers += [(b"content-type", media),
                        (b"content-length", str(len(body)).encode())]
        if htmx:
            headers.append((b"hx-request", b"true"))
        if if_none_match:
            headers.append((b"if-none-match", if_none_match.encode()))
        scope: Any = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
                      "scheme": "http", "path": parts.path, "raw_path": parts.path.encode(), "query_string": parts.query.encode(),
                      "root_path": "", "headers": headers, "client": ("127.0.0.1", 5000), "server": ("127.0.0.1", 80),
                      "state": {}}
        sent: list[Any] = []
        waiting: list[Any] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            return waiting.pop() if waiting else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        named = [(name.decode().lower(), value.decode()) for name, value in sent[0]["headers"]]
        for name, value in named:
            if name == "set-cookie":
                self._keep(value)
        answer = Answer(sent[0]["status"], dict(named), b"".join(one.get("body", b"") for one in sent[1:]))
        if answer.csrf and not htmx:
            self.seen = answer
        return answer

    def _keep(self, cookie: str) -> None:
        found = re.match(r'([^=]+)="?([^;"]*)"?', cookie)
        assert found
        if "max-age=0" in cookie.lower() or not found[2]:
            self.cookies.pop(found[1], None)
        else:
            self.cookies[found[1]] = found[2]
