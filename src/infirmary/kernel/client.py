"""A contract for those who ask it in the same process: a plain call (`remote` is the other end, over HTTP). The caller's
code is the same, only frozen values cross, and refusals arrive as the same class."""
from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from .access import Caller
from .contract import Contract, Operation
from .database.db import Database, inside_transaction
from .database.errors import UniqueViolation
from .errors import Refusal
from .idempotency import answer_before, once_of
from .request import changed, current

C = TypeVar("C", bound=Contract)


class PolicyNotApplied(Exception):
    """An operation answered without having applied its scope: a fault in the service, never shown to the caller."""


async def ask_service(operation: Operation, method: Callable[..., Awaitable[Any]], caller: Caller, *args: Any,
                      **given: Any) -> Any:
    """Check the policy, call, and see that the scope was applied: the same for every end."""
    permitted = caller.permitted(operation.allow)
    answer = await method(permitted, *args, **given)
    if permitted.permit is None or not permitted.permit.applied:
        raise PolicyNotApplied(operation.id)
    return answer


async def ask_once(db: Database, key: str, operation: Operation, method: Callable[..., Awaitable[Any]], caller: Caller,
                   given: dict[str, Any]) -> Any:
    """As `ask_service`, with an Idempotency-Key: asked again, the first answer comes back and nothing happens."""
    assert caller.account_id is not None   # nobody's keys cannot be told apart
    once = once_of(operation.context, operation.name, caller.account_id, key, given, db.secret)
    before = await answer_before(db, once)
    if before is None:
        try:
            with changed(once=once, key=""):
                return await ask_service(operation, method, caller, **given)
        except (Refusal, UniqueViolation):
            # Perhaps refused because the same request, sent twice at once, has just succeeded.
            before = await answer_before(db, once)
            if before is None:
                raise
    return msgspec.convert(before.answer, type=operation.answer)


def outside_transaction(operation: Operation) -> None:
    if inside_transaction():
        raise RuntimeError(f"{operation.id} asked inside an open transaction: ask first, then write")


def in_process(contract: type[C], find: Callable[[], tuple[C, Database]]) -> C:
    """Ask the implementation in this process; `find` is late so that contexts may need each other."""

    def ask(operation: Operation) -> Callable[..., Any]:
        async def call(self: Any, caller: Caller, *args: Any, **given: Any) -> Any:
            outside_transaction(operation)
            service, db = find()
            method = getattr(service, operation.name)
            if operation.verb == "POST" and not operation.upload and (key := current.get().key) \
                    and caller.account_id is not None:
                bound = operation.signature.bind(self, caller, *args, **given).arguments
                asked = {name: value for name, value in bound.items() if name not in ("self", "caller")}
                return await ask_once(db, key, operation, method, caller, asked)
            return await ask_service(operation, method, caller, *args, **given)

        return call

    return client_of(contract, ask)


def client_of(contract: type[C], ask: Callable[[Operation], Callable[..., Any]]) -> C:
    methods = {name: ask(operation) for name, operation in contract.operations.items()}
    made: C = type(f"{contract.__name__}Client", (contract,), methods)()
    return made
