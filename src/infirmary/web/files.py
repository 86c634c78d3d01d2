"""The pages' own files: read once, compressed once, and addressed by their content's hash."""
from __future__ import annotations

import gzip
import mimetypes
from pathlib import Path
from typing import Any

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler

from infirmary.kernel.binding import refused
from infirmary.kernel.errors import NoSuchPath

FOREVER = "public, max-age=31536000, immutable"   # the address changes with the content
PACKED = (".css", ".js", ".svg", ".json")
mimetypes.add_type("font/woff2", ".woff2")


def handler(folder: Path) -> HTTPRouteHandler:
    """`/static/…` for everything in the folder as it is now."""
    found = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    packed = {name: gzip.compress(content, 9) for name, content in found.items() if name.endswith(PACKED)}

    @get("/static/{name:path}", include_in_schema=False)
    async def static(request: Request[Any, Any, Any]) -> Response[bytes]:
        asked = str(request.path_params["name"]).lstrip("/")
        if asked not in found:
            return refused(NoSuchPath())
        headers = {"Cache-Control": FOREVER, "Vary": "Accept-Encoding"}
        if asked in packed and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(packed[asked], media_type=_media(asked), headers={**headers, "Content-Encoding": "gzip"})
        return Response(found[asked], media_type=_media(asked), headers=headers)

    return static


def _media(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
