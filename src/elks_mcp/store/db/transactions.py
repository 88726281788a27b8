"""Decorators that make a transaction of a method whose first argument is a `Tx`."""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from elks_mcp.store.db.database import Database, Tx

S = TypeVar("S", bound="_OfDatabase")
T = TypeVar("T")
P = ParamSpec("P")


class _OfDatabase(Protocol):
    _database: "Database"


def reading(work: Callable[Concatenate[S, Tx, P], T]) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Make a transaction of a function that reads. It takes no lock that others wait for."""
    return _transaction(work, writes=False, decides=False)


def writing(work: Callable[Concatenate[S, Tx, P], T]) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Make a transaction of a function that changes rows without deciding by other rows.

    A function that does decide takes the locks it needs itself.
    """
    return _transaction(work, writes=True, decides=False)


def writing_once(
    work: Callable[Concatenate[S, Tx, P], T],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Make a transaction of a function that runs one statement, which changes a single order.

    The statement must do no harm if it runs twice: it may have been committed before a connection broke.
    """
    return _transaction(work, writes=True, decides=False, once=True)


def deciding(work: Callable[Concatenate[S, Tx, P], T]) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Make a transaction of a function that decides by the account's other rows.

    Only one such transaction of an account runs at a time, and their times are in the same order.
    """
    return _transaction(work, writes=True, decides=True)


def _transaction(
    work: Callable[Concatenate[S, Tx, P], T], *, writes: bool, decides: bool, once: bool = False
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    @wraps(work)
    async def run(store: S, /, *args: P.args, **more: P.kwargs) -> T:
        def work_in(tx: Tx) -> T:
            if decides:
                tx.lock()
            return work(store, tx, *args, **more)

        return await store._database.run(work_in, writes=writes, once=once)  # noqa: SLF001  (the object's own)

    return run
