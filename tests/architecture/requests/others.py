"""What needs nothing but to be asked; notifications, audit and the system."""
from __future__ import annotations

from typing import Any

from tests.architecture.world import Subject, World

from .making import ONES_OWN, PERSONS, asks


@asks("identity.me", "identity.sessions", "identity.second_factor", "identity.end_other_sessions", "identity.revocations", "identity.jwks", "identity.server_metadata",
      "identity.providers", "identity.logins", "identity.contact_points", "notifications.preferences", "identity.clients",
      "identity.passkeys", "identity.passkey_challenge",
      "staff.departments", "staff.doctors", "staff.members", "appointments.earliest", "notifications.notifications",
      "notifications.unread", "notifications.read_all", "notifications.stream", "notifications.deliveries",
      "reports.hospital", "appointments.displays", "appointments.overlapping", "system.services", "system.parked", "identity.accounts")
async def just_ask(world: World, of: Subject) -> dict[str, Any]:
    return {}


@asks("notifications.read", about=PERSONS)
async def read(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"notification_id": await world.notification(of.account_id, of)}}


@asks("notifications.prefer", about=ONES_OWN)
async def prefer(world: World, of: Subject) -> dict[str, Any]:
    return {"body": {"email": True, "sms": False}, "if_match": await world.preferences_version(of.account_id)}


@asks("notifications.retry")
async def retry(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"delivery_id": await world.delivery()}}


@asks("audit.audit_events", about=PERSONS)
async def audit_events(world: World, of: Subject) -> dict[str, Any]:
    return {"query": {"patient_id": of.patient_id}, "hides": ("patient_id",)}


@asks("backstage.state", "backstage.parked")
async def backstage(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"context": "appointments"}}


@asks("system.replay", "backstage.replay")
async def replay(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"context": "appointments", "event_id": await world.parked()}}
