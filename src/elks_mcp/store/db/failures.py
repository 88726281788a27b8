"""Turning database errors into errors that hold no texts, numbers or passwords."""

import sqlite3

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from elks_mcp.errors import StateUnavailable


class ExplainingErrors:
    """A context that turns a database's errors into `StateUnavailable`."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, SQLAlchemyError | sqlite3.Error | OSError):
            raise StateUnavailable(
                f"The database of queued texts cannot be used: {find_reason(error)}."
            ) from None


def find_reason(error: Exception) -> str:
    """Return why a database failed, in words that hold nothing of what was stored or configured."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    message = (cause.strerror or "" if isinstance(cause, OSError) else str(cause)).lower()
    sign = next((each for each in _REASONS if each in message), "")
    return _REASONS[sign] if sign else type(cause).__name__


_REASONS = {
    "locked": "other processes kept it busy too long",
    "lock timeout": "other processes kept it busy too long",
    "full": "the disk is full",
    "readonly": "it may not be written to",
    "read-only": "it may not be written to",
    "permission denied": "this user may not read or write it",
    "unable to open": "its file cannot be opened",
    "not a database": "its file is damaged",
    "malformed": "its file is damaged",
    "password": "it does not accept the password in ELKS_DATABASE_URL",
    "connection": "it cannot be reached",
    "timeout": "it did not answer in time",
}
