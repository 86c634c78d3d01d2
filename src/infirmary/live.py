"""What an operator may change while the hospital runs (`deploy/config`, `infirmary config push`); `settings.py` holds the
rest. Every value has a default, so that a hospital without any such file runs as it should."""
from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct


class Gateway(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How much one client may ask for, before it is told to wait (429 with Retry-After)."""

    requests_per_second: Annotated[int, Meta(ge=1, le=100_000)] = 50
    burst: Annotated[int, Meta(ge=1, le=100_000)] = 100


class Booking(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    # Visits that patients may have before them when they book for themselves.
    most_open_visits: Annotated[int, Meta(ge=1, le=1000)] = 20
    # How long a time that somebody has chosen waits for their confirmation.
    hold_minutes: Annotated[int, Meta(ge=1, le=60)] = 5
    # How long a time that came free waits for the answer of whom it is offered to.
    offer_minutes: Annotated[int, Meta(ge=1, le=1440)] = 30
    # How long somebody who was called from the queue has to come, before they can be said not to be there.
    grace_minutes: Annotated[int, Meta(ge=0, le=120)] = 5


class LiveConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    gateway: Gateway = Gateway()
    booking: Booking = Booking()
    features: dict[str, bool] = {}
