"""What a database can say no with: the same classes on every engine."""


class DatabaseError(Exception):
    """Anything else a database objects to: a foreign key, a check, a value too long. The cause has the details."""


class UniqueViolation(DatabaseError):
    """Someone else's row came first. This is an answer, not a fault, so it is never retried.

    `on` says which: the name of the unique constraint or index, or the table's name when it was the primary key.
    The engines' own texts, which hold the values too, stay in the cause.
    """

    def __init__(self, on: str) -> None:
        super().__init__(on)
        self.on = on


class Transient(DatabaseError):
    """Serialization failure, deadlock or busy: the same transaction, run again, may well succeed."""


class ConnectionLost(Transient):
    """Before the commit was sent, so nothing of the transaction has happened."""


class OutcomeUnknown(DatabaseError):
    """The connection or the writer was lost around the commit. Ask (by idempotency key) before doing it again."""


class AlreadyHandled(Exception):
    """This consumer has had the effect of this event before."""
