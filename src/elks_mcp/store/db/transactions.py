"""Connections and transactions, on SQLite and PostgreSQL alike.

A transaction is a function of a `Tx`; a decorator says of which kind, and makes a coroutine of it.
"""

import sqlite3
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property, wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import anyio
import anyio.to_thread
from sqlalchemy import (
    Connection,
    CursorResult,
    Engine,
    Executable,
    Row,
    RowMapping,
    bindparam,
    func,
    insert,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from elks_mcp.domain.kinds import KINDS, Kinds
from elks_mcp.errors import Misconfigured, StateUnavailable, StateUncertain
from elks_mcp.runtime.clock import Clock
from elks_mcp.store.db.engines import open_engine, without_lock
from elks_mcp.store.db.hashes import Hasher
from elks_mcp.store.db.migrate import migrate
from elks_mcp.store.db.notifications import CHANNEL, Notifier
from elks_mcp.store.db.schema import accounts, state
from elks_mcp.store.location import AccountKey, StateLocation

_CONNECTIONS = 8


class Tx:
    """An open transaction: the time it takes place at, and whose rows it may see."""

    def __init__(self, database: "Database", connection: Connection) -> None:
        self.connection = connection
        self._tell_time = database.tell_time
        self._knows_time = database.knows_time
        self.account_id = database.account_id
        self.hasher = database.hasher
        self.kinds = database.kinds
        self.keeps_texts = bool(database.retention)
        """Whether texts stay after they are not needed to send, for some days."""
        self.is_postgres = database.is_postgres
        self.is_used = False
        """Whether anything was asked of the database yet."""
        self.is_over = False
        """Whether all was done that is to be committed."""
        self.is_news = False
        """Whether others wait for what it changes."""

    def announce(self) -> None:
        """Wake those who wait for news, here and elsewhere, once it is committed."""
        if self.is_postgres and not self.is_news:
            self.execute(_ANNOUNCE, {"account": str(self.account_id)})
        self.is_news = True

    @cached_property
    def now(self) -> datetime:
        """The time of the database, the same all through."""
        return self._tell_time(self)

    @property
    def known_now(self) -> datetime | None:
        """The time, where it need not be asked for; for statements with `NOW` in them."""
        return self.now if self._knows_time or "now" in self.__dict__ else None

    @cached_property
    def shared(self) -> RowMapping:
        """The account's row: what all share who send for it. Who decides something holds it first of all."""
        return self.execute(_ACCOUNT, {"account": self.account_id}).mappings().one()

    def lock(self) -> None:
        """Wait until nobody else decides anything for this account; then take the time."""
        if not self.is_postgres:
            return  # a writing transaction of SQLite's is alone from the beginning
        row = self.execute(_LOCK, {"account": self.account_id}).mappings().one()
        self.__dict__["shared"] = row
        self.__dict__.setdefault("now", self._tell_time(self, row["moment"]))

    def all(self, statement: Executable) -> Sequence[Row[Any]]:
        """Run a statement and return its rows."""
        return self.execute(statement).all()

    def first(self, statement: Executable) -> Row[Any] | None:
        """Run a statement and return its first row, if there is one."""
        return self.execute(statement).first()

    def execute(
        self, statement: Executable, values: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None = None
    ) -> CursorResult[Any]:
        """Run a statement with these values; with several, once for each."""
        result = self.connection.execute(statement, values)
        self.is_used = True
        return result


_NOW = select(func.clock_timestamp())
_ANNOUNCE = select(func.pg_notify(CHANNEL, bindparam("account")))
_ACCOUNT = select(accounts).where(accounts.c.id == bindparam("account"))
_LOCKED = _ACCOUNT.with_for_update().subquery()
_LOCK = select(_LOCKED, func.clock_timestamp().label("moment"))
"""The lock is taken inside, and the clock read outside of it: after the wait."""

S = TypeVar("S", bound="_OfDatabase")
T = TypeVar("T")
P = ParamSpec("P")


class _OfDatabase(Protocol):
    _database: "Database"


def reading(work: Callable[Concatenate[S, Tx, P], T]) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Make a transaction of a function: one that reads, and holds nobody up."""
    return _transaction(work, writes=False, decides=False)


def writing(work: Callable[Concatenate[S, Tx, P], T]) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Make a transaction of a function: one that changes rows without deciding by others of the account.

    Where it decides after all, it takes the locks it needs by itself.
    """
    return _transaction(work, writes=True, decides=False)


def writing_once(
    work: Callable[Concatenate[S, Tx, P], T],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Make a transaction of a function that runs one statement, which changes a single order.

    It is one that does no harm when run twice: a connection that breaks may have carried it out.
    """
    return _transaction(work, writes=True, decides=False, once=True)


def deciding(work: Callable[Concatenate[S, Tx, P], T]) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Make a transaction of a function: one that decides by the account's other rows, alone.

    Decisions and their times have the same order.
    """
    return _transaction(work, writes=True, decides=True)


def _transaction(
    work: Callable[Concatenate[S, Tx, P], T], *, writes: bool, decides: bool, once: bool = False
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    @wraps(work)
    async def run(topic: S, /, *args: P.args, **more: P.kwargs) -> T:
        def of(tx: Tx) -> T:
            if decides:
                tx.lock()
            return work(topic, tx, *args, **more)

        return await topic._database.run(of, writes=writes, once=once)  # noqa: SLF001  (a topic's own)

    return run


class Database:
    """The database of one place, seen as one account.

    Transactions run in threads, each from beginning to end: to hop there and back for every statement
    costs more than the statement.
    """

    def __init__(
        self,
        location: StateLocation,
        hasher: Hasher,
        clock: Clock | None,
        notifier: Notifier | None,
        kinds: Kinds,
    ) -> None:
        self._notifier = notifier or Notifier()
        self.kinds = kinds
        self._is_news = False
        """Whether the bell is to be rung."""
        self._engine = engine = open_engine(location)
        self._statements = without_lock(engine, location)
        self._kept: dict[Engine, list[Connection]] = {self._engine: [], self._statements: []}
        self._clock = clock
        self.is_postgres = engine.dialect.name == "postgresql"
        self.knows_time = bool(clock) or not self.is_postgres
        self._threads = anyio.CapacityLimiter(_CONNECTIONS if self.is_postgres else 1)
        self.retention = location.retention
        self.hasher = hasher
        self.account_id = 0

    @classmethod
    async def open(
        cls,
        location: StateLocation,
        hasher: Hasher,
        clock: Clock | None,
        notifier: Notifier | None = None,
        kinds: Kinds = KINDS,
    ) -> "Database":
        """Connect, and bring the tables up to date.

        `clock` stands in for the time of the database; SQLite has that of this machine. `bell` rings when a
        transaction announces something.

        Raises:
            StateUnavailable: it cannot be reached or used.
            Misconfigured: its hashes were made with another key, or a newer version made it.
        """
        with _explained():
            database = cls(location, hasher, clock, notifier, kinds)
        try:
            await database.run(database._prepare, writes=True)
        except BaseException:
            await database.close()
            raise
        return database

    async def enter(self, account: AccountKey) -> list[AccountKey]:
        """See the rows of this account from now on, and no others.

        Returns:
            The accounts that the state knows already, if this one is new to it; else none.
        """
        values = {"base_url": account.base_url, "username": account.username}

        def find_or_make(tx: Tx) -> tuple[int, list[AccountKey]]:
            insert = (postgresql.insert if self.is_postgres else sqlite.insert)(accounts)
            is_new = tx.execute(insert.values(**values).on_conflict_do_nothing()).rowcount > 0
            found: int = tx.execute(select(accounts.c.id).filter_by(**values)).scalar_one()
            return found, [each for each in list_accounts(tx) if each != account] if is_new else []

        self.account_id, known = await self.run(find_or_make, writes=True)
        return known

    async def run(self, work: Callable[[Tx], T], *, writes: bool, once: bool = False) -> T:
        """Run a transaction. Who hangs up meanwhile does not break it off: what it began it ends.

        `once`: it is a single statement, which to PostgreSQL is a transaction by itself.
        """
        is_whole = once and self.is_postgres
        engine = self._engine if writes and not is_whole else self._statements
        try:
            return await anyio.to_thread.run_sync(self._run, work, engine, limiter=self._threads)
        finally:
            if self._is_news:
                self._is_news = False
                self._notifier.notify()

    async def now(self) -> datetime:
        """Tell the time that all who share this database go by."""
        return await self.run(lambda tx: tx.now, writes=False)

    async def close(self) -> None:
        """Close all connections. Of SQLite's log nothing remains then, unless others still use it."""
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._close)

    def _close(self) -> None:
        for engine, kept in self._kept.items():
            for connection in kept:
                connection.close()
            engine.dispose()

    def tell_time(self, tx: Tx, moment: datetime | None = None) -> datetime:
        """Tell the time: the clock's that was handed in, the machine's for SQLite, else PostgreSQL's own."""
        if self.knows_time:
            return (self._clock or Clock()).now()
        moment = moment or tx.execute(_NOW).scalar_one()
        return moment.astimezone(UTC)

    def _run(self, work: Callable[[Tx], T], engine: Engine) -> T:
        with _explained():
            for _ in range(_CONNECTIONS + 1):
                tx: Tx | None = None
                try:
                    with self._begin(engine) as connection:
                        tx = Tx(self, connection)
                        result = work(tx)
                        tx.is_over = True
                except DBAPIError as error:
                    if tx and tx.is_over:
                        raise StateUncertain(
                            f"The database of queued texts was lost: {_reason(error)}."
                        ) from None
                    # A connection that had died while it lay idle: nothing was done over it.
                    if not error.connection_invalidated or (tx and tx.is_used):
                        raise
                else:
                    if tx.is_news:  # another thread may be about to say so
                        self._is_news = True
                    return result
            raise StateUnavailable("The database of queued texts cannot be reached.")

    @contextmanager
    def _begin(self, engine: Engine) -> Iterator[Connection]:
        """Begin a transaction.

        To PostgreSQL it is over a connection that was kept as it is; taking one out of a pool and putting it
        back takes as long as a statement. One over which a statement failed is not kept.
        """
        if not self.is_postgres:
            with engine.begin() as connection:
                yield connection
            return
        kept = self._kept[engine]
        try:
            connection = kept.pop()
        except IndexError:
            connection = engine.connect()
        try:
            with connection.begin():
                yield connection
        except SQLAlchemyError:
            connection.close()
            raise
        except BaseException:  # what was refused, say: it was rolled back
            kept.append(connection)
            raise
        kept.append(connection)

    def _prepare(self, tx: Tx) -> None:
        migrate(tx.connection)
        self._check_key(tx)

    def _check_key(self, tx: Tx) -> None:
        """See that the hashes here are ours: with another key, who said STOP would not be found."""
        ours = self.hasher.of("key check")
        known = tx.execute(select(state.c.value).where(state.c.name == "key")).scalar()
        if known is None:
            tx.execute(insert(state).values(name="key", value=ours))
        elif known != ours:
            raise Misconfigured(
                "The state was written with another secret key, so opt-outs in it could not be found.",
                hint="Set ELKS_SECRET_KEY to the key it was made with (in a state directory: secret.key).",
            )


def list_accounts(tx: Tx) -> list[AccountKey]:
    """List the accounts that a state knows, except the one that stands for having no credentials."""
    rows = tx.all(select(accounts.c.base_url, accounts.c.username).order_by(accounts.c.id))
    return [AccountKey(row.base_url, row.username) for row in rows if row.username]


class _explained:  # noqa: N801  (a context, used as a word)
    """Turn a database's errors into ours: they can hold texts, numbers and passwords."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, SQLAlchemyError | sqlite3.Error | OSError):
            raise StateUnavailable(
                f"The database of queued texts cannot be used: {_reason(error)}."
            ) from None


def _reason(error: Exception) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    words = (cause.strerror or "" if isinstance(cause, OSError) else str(cause)).lower()
    for sign, reason in _REASONS.items():
        if sign in words:
            return reason
    return f"{type(cause).__name__}"


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
