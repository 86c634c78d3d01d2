"""What may be asked about notifications and their delivery."""
from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from msgspec import Struct

from infirmary.kernel.access import ANY, Caller
from infirmary.kernel.contract import Contract, Cursor, Done, Instant, Limit, Page, Stream, get, post, put
from infirmary.kernel.errors import Conflict, NotFound, Refusal
from infirmary.language import ADMIN, SELF, STAFF_ROLES, Channel, Role

EVERYBODY = dict.fromkeys((Role.PATIENT, *STAFF_ROLES), SELF)


class Notification(Struct, frozen=True, kw_only=True):
    """`link` is a path of our own pages."""

    id: UUID
    account_id: UUID
    title: str
    body: str
    link: str
    created_at: Instant
    read_at: Instant | None


class Unread(Struct, frozen=True):
    count: int


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"


class Delivery(Struct, frozen=True, kw_only=True):
    """One message to one address. `to` is masked; `error` is a class of failure, never its text."""

    id: UUID
    channel: Channel
    kind: str
    to: str
    status: DeliveryStatus
    attempts: int
    error: str
    created_at: Instant
    sent_at: Instant | None


class Preferences(Struct, frozen=True, kw_only=True):
    """How somebody is told what they find in the app anyway. `phone`: the number, masked, that text messages would go to,
    which is shown under Security and confirmed there; empty: there is none, and e-mails are sent instead."""

    email: bool
    sms: bool
    phone: str
    version: int


class PreferencesForm(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    email: bool
    sms: bool


class NoWayChosen(Refusal):
    """Choose e-mail, text messages, or both: what you are told may not wait until you look into the app."""


class NoPhone(Refusal):
    """There is no confirmed phone number for text messages. Add one under Security (POST /auth/contact-points) first."""


class NothingToRetry(Conflict):
    """This message was sent, or is about to be tried anyway."""


class Notifications(Contract, context="notifications"):
    @get("/notifications", allow=EVERYBODY)
    async def notifications(self, caller: Caller, unread: bool = False, limit: Limit = 25,
                            cursor: Cursor | None = None) -> Page[Notification]:
        """Your own, newest first."""

    @get("/notifications/unread", allow=EVERYBODY)
    async def unread(self, caller: Caller) -> Unread:
        """How many you have not read."""

    @post("/notifications/{notification_id}/read", allow=EVERYBODY, refuses=[NotFound])
    async def read(self, caller: Caller, notification_id: UUID) -> Notification:
        """Mark one as read."""

    @post("/notifications/read", allow=EVERYBODY)
    async def read_all(self, caller: Caller) -> Done:
        """Mark all as read."""

    @get("/notifications/stream", allow=EVERYBODY, media="text/event-stream")
    async def stream(self, caller: Caller) -> Stream:
        """As they happen (server-sent events): `event: notification`, `data:` the unread count and the title."""

    @get("/notification-preferences", allow=EVERYBODY)
    async def preferences(self, caller: Caller) -> Preferences:
        """By e-mail, unless you have chosen otherwise. What concerns your account itself always comes by e-mail."""

    @put("/notification-preferences", allow=EVERYBODY, refuses=[NoWayChosen, NoPhone])
    async def prefer(self, caller: Caller, body: PreferencesForm, if_match: int) -> Preferences:
        """Choose e-mail, text messages, or both."""

    @get("/deliveries", allow={ADMIN: ANY})
    async def deliveries(self, caller: Caller, status: DeliveryStatus | None = None, limit: Limit = 25,
                         cursor: Cursor | None = None) -> Page[Delivery]:
        """Messages sent, pending and failed, newest first."""

    @post("/deliveries/{delivery_id}/retry", allow={ADMIN: ANY}, refuses=[NotFound, NothingToRetry])
    async def retry(self, caller: Caller, delivery_id: UUID) -> Delivery:
        """Try a failed message again."""
