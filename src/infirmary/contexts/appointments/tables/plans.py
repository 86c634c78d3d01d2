"""Where plans to move visits are kept."""
from __future__ import annotations

from functools import cache

from sqlalchemy import Column, Index, Integer, String, Table, UniqueConstraint, bindparam, select

from infirmary.contexts.appointments.contract.plans import ItemStatus, PlanStatus, Unmoved, Whither
from infirmary.contexts.appointments.domain.plans import Item, Plan
from infirmary.kernel.database.columns import EnumText, Id, Json, UtcDateTime
from infirmary.kernel.database.rows import Pages, Rows

from .base import metadata

move_plan = Table(
    "move_plan", metadata,
    Column("id", Id, primary_key=True),
    Column("doctor_id", Id, nullable=False),
    Column("doctor_name", String(220), nullable=False),
    Column("starts_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),
    Column("whither", EnumText(Whither), nullable=False),
    Column("status", EnumText(PlanStatus), nullable=False),
    Column("left_over", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("by_account", Id),
    Column("by_name", String(220), nullable=False),
    Column("by_roles", Json, nullable=False),
    Column("version", Integer, nullable=False),
    Index("move_plan_by_status", "status"))

# Who moves a visit saves its item in the same transaction, by its version: of any number who carry out a plan, one does.
move_item = Table(
    "move_item", metadata,
    Column("id", Id, primary_key=True),
    Column("plan_id", Id, nullable=False),
    Column("appointment_id", Id, nullable=False),
    Column("starts_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),
    Column("to_doctor_id", Id),
    Column("to_doctor_name", String(220), nullable=False),
    Column("to_starts_at", UtcDateTime),
    Column("status", EnumText(ItemStatus), nullable=False),
    Column("why", EnumText(Unmoved)),
    Column("version", Integer, nullable=False),
    UniqueConstraint("plan_id", "appointment_id"))


PLANS = Rows(move_plan, Plan)
ITEMS = Rows(move_item, Item)
ITEMS_OF = ITEMS.find(move_item.c.plan_id == bindparam("plan_id"), order_by=[move_item.c.starts_at, move_item.c.id])
ITEM = ITEMS.find(move_item.c.plan_id == bindparam("plan_id"), move_item.c.appointment_id == bindparam("appointment_id"))
AT_WORK = PLANS.find(move_plan.c.status.in_((PlanStatus.APPLYING, PlanStatus.UNDOING)), order_by=[move_plan.c.id])


@cache
def pages(filters: frozenset[str]) -> Pages[Plan]:
    return Pages(select(move_plan).where(*(move_plan.c[name] == bindparam(name) for name in sorted(filters))), Plan,
                 [move_plan.c.created_at, move_plan.c.id], newest_first=True)
