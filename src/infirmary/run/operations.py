"""What operators and programmers ask of a process: health, metrics, the API document and its readable pages."""
from __future__ import annotations

import json
from typing import Any

from litestar import Request, Response, get
from msgspec import Struct

from infirmary import __version__
from infirmary.kernel import asyncapi, openapi, telemetry
from infirmary.kernel.binding import refused
from infirmary.kernel.errors import NoSuchPath

from .house import House

READY_LAG_SECONDS = 60.0


class Health(Struct, frozen=True):
    """`checks` says of each database whether it answers, and why not."""

    status: str
    checks: dict[str, str]


async def readiness(house: House) -> Health:
    checks = {}
    for room in house.rooms.values():
        try:
            async with room.db.reading() as reading:
                await reading.ping()
            checks[room.name] = "ok"
        except Exception as error:   # noqa: BLE001 – any reason is a reason not to be ready
            checks[room.name] = type(error).__name__
    healthy = all(found == "ok" for found in checks.values())
    return Health("ok" if healthy else "unavailable", checks)


def handlers(house: House) -> list[Any]:
    named = {"title": "Infirmary", "version": __version__}
    questions = json.dumps(openapi.document(house.contracts, **named)).encode()
    facts = json.dumps(asyncapi.document(house.everywhere, **named)).encode()

    @get("/health/live", include_in_schema=False)
    async def live() -> Response[Health]:
        return Response(Health("ok", {}))

    @get("/health/ready", include_in_schema=False)
    async def ready() -> Response[Health]:
        health = await readiness(house)
        return Response(health, status_code=200 if health.status == "ok" else 503,
                        headers={} if health.status == "ok" else {"Retry-After": "1"})

    @get("/metrics", include_in_schema=False)
    async def metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Only for our own networks (this machine, if nothing else is set): figures are nobody else's business."""
        client = request.client
        if client is None or not house.settings.is_internal(client.host) or "x-forwarded-for" in request.headers:
            return refused(NoSuchPath())
        return Response(telemetry.metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @get("/api/v1/openapi.json", include_in_schema=False)
    async def openapi_document() -> Response[bytes]:
        return Response(questions, media_type="application/json", headers={"Cache-Control": "no-cache"})

    @get("/api/v1/asyncapi.json", include_in_schema=False)
    async def asyncapi_document() -> Response[bytes]:
        return Response(facts, media_type="application/json", headers={"Cache-Control": "no-cache"})

    return [live, ready, metrics, openapi_document, asyncapi_document]
