"""HTTP as bytes: for what no client library agrees to send."""
from __future__ import annotations

import asyncio
from urllib.parse import urlsplit


async def exchanged(base: str, raw: bytes) -> tuple[int, bytes]:
    """The status and all that came back; 0 when the server hung up without a word."""
    url = urlsplit(base)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    try:
        writer.write(raw)
        answer = await asyncio.wait_for(reader.read(), 3)   # `Connection: close` is asked for
    except TimeoutError:   # it waits for the rest of what was no request
        return 0, b""
    except ConnectionError:
        return 0, b""
    finally:
        writer.close()
    return (int(answer[9:12]) if answer[:5] == b"HTTP/" else 0), answer


def request(verb: str, path: str, *, headers: tuple[tuple[str, bytes], ...] = (), body: bytes = b"",
            host: str = "127.0.0.1") -> bytes:
    lines = [f"{verb} {path} HTTP/1.1".encode("latin-1"), f"Host: {host}".encode(), b"Connection: close",
             *(name.encode() + b": " + value for name, value in headers)]
    if body:
        lines.append(f"Content-Length: {len(body)}".encode())
    return b"\r\n".join([*lines, b"", body])
