"""What a form sent: its fields, and the files that it brought."""
from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from litestar import Request
from litestar.datastructures import UploadFile
from litestar.exceptions import HTTPException

from infirmary.kernel.errors import FieldError, Malformed, TooLarge

Fields = list[tuple[str, str]]


async def sent(request: Request[Any, Any, Any]) -> tuple[Fields, dict[str, UploadFile]]:
    """Every field in its order, and the files by their fields. Refuses what cannot be read."""
    multipart = request.headers.get("content-type", "").startswith("multipart/form-data")
    fields, files = await _in_parts(request) if multipart else (await _encoded(request), {})
    if any("\0" in text for pair in fields for text in pair):
        raise Malformed(errors=[FieldError("", "Leave out the character U+0000.")])
    return fields, files


async def _encoded(request: Request[Any, Any, Any]) -> Fields:
    try:
        return parse_qsl((await request.body()).decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError as error:
        raise Malformed from error


async def _in_parts(request: Request[Any, Any, Any]) -> tuple[Fields, dict[str, UploadFile]]:
    """RFC 7578. What is large waits in a file without a name."""
    try:
        parts = [*(await request.form()).items()]
    except HTTPException as error:
        raise (TooLarge if error.status_code == 413 else Malformed) from error
    except ValueError as error:
        raise Malformed from error
    return ([(name, one) for name, one in parts if isinstance(one, str)],
            {name: one for name, one in parts if isinstance(one, UploadFile)})
