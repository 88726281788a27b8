"""A database as one account sees it, and its transactions: on SQLite and PostgreSQL alike."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, TypeVar

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
from elks_mcp.store.db.failures import ExplainingErrors, find_reason
from elks_mcp.store.db.hashes import Hasher
from elks_mcp.store.db.migrate import migrate
from elks_mcp.store.db.notifications import CHANNEL, Notifier
from elks_mcp.store.db.schema import accounts, state
from elks_mcp.store.location import AccountKey, StateLocation

_CONNECTIONS = 8


T = TypeVar("T")


class Tx:
    """An open transaction: its connection, its time, and the account whose rows it may read."""

    def __init__(self, database: "Database", connection: Connection) -> None:
        self.connection = connection
        self._tell_time = database.tell_time
        self._knows_time = database.knows_time
        self.account_id = database.account_id
        self.account = database.account
        self.hasher = database.hasher
        self.kinds = database.kinds
        self.keeps_texts = bool(database.retention)
        """Whether texts are kept for some days after they are no longer needed for sending."""
        self.is_postgres = database.is_postgres
        self.is_used = False
        """Whether a statement was run."""
        self.is_over = False
        """Whether everything is done except the commit."""
        self.is_announced = False
        """Whether waiters are notified after the commit."""

    def announce(self) -> None:
        """Notify waiters in this process and in others, once the transaction is committed."""
        if self.is_postgres and not self.is_announced:
            self.execute(_NOTIFY, {"account": str(self.account_id)})
        self.is_announced = True

    @cached_property
    def now(self) -> datetime:
        """The database's time. It is the same throughout the transaction."""
        return self._tell_time(self)

    @property
    def known_now(self) -> datetime | None:
        """The time, if it is known without a query. Statements that contain `NOW` take it."""
        return self.now if self._knows_time or "now" in self.__dict__ else None

    @cached_property
    def shared(self) -> RowMapping:
        """The account's row, which all processes share. A deciding transaction locks it first."""
        return self.execute(_ACCOUNT, {"account": self.account_id}).mappings().one()

    def lock(self) -> None:
        """Wait until no other transaction decides for this account, then read the time."""
        if not self.is_postgres:
            return  # on SQLite, a writing transaction has the lock from its start
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
_NOTIFY = select(func.pg_notify(CHANNEL, bindparam("account")))
_ACCOUNT = select(accounts).where(accounts.c.id == bindparam("account"))
_LOCKED = _ACCOUNT.with_for_update().subquery()
_LOCK = select(_LOCKED, func.clock_timestamp().label("moment"))
"""The subquery takes the lock. The clock is read outside of it, so after the wait."""


class Database:
    """The database at one location, as one account sees it.

    Each transaction runs in one thread from beginning to end: changing threads for every statement costs more
    than the statement.
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
        self._is_announced = False
        """Whether waiters have to be notified."""
        self._engine = engine = open_engine(location)
        self._statements = without_lock(engine, location)
        self._kept: dict[Engine, list[Connection]] = {self._engine: [], self._statements: []}
        self.clock = clock or Clock()
        self.is_postgres = engine.dialect.name == "postgresql"
        self.knows_time = bool(clock) or not self.is_postgres
        self._threads = anyio.CapacityLimiter(_CONNECTIONS if self.is_postgres else 1)
        self.retention = location.retention
        self.hasher = hasher
        self.account_id = 0
        self.account = AccountKey("", "")

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

        `clock` replaces the database's time; that of SQLite is this machine's. `notifier` is notified when a
        transaction announces something. `kinds` are the kinds of orders that are read.

        Raises:
            StateUnavailable: The database cannot be reached or used.
            Misconfigured: Its hashes were made with another key, or a newer version created it.
        """
        with ExplainingErrors():
            database = cls(location, hasher, clock, notifier, kinds)
        try:
            await database.run(database._prepare, writes=True)
        except BaseException:
            await database.close()
            raise
        return database

    async def enter(self, account: AccountKey) -> list[AccountKey]:
        """Work on the rows of this account from now on, and on no others.

        Returns:
            The accounts that the database knows already, if this one is new; otherwise none.
        """
        values = {"base_url": account.base_url, "username": account.username}

        def find_or_make(tx: Tx) -> tuple[int, list[AccountKey]]:
            insert = (postgresql.insert if self.is_postgres else sqlite.insert)(accounts)
            is_new = tx.execute(insert.values(**values).on_conflict_do_nothing()).rowcount > 0
            found: int = tx.execute(select(accounts.c.id).filter_by(**values)).scalar_one()
            return found, [each for each in list_accounts(tx) if each != account] if is_new else []

        self.account_id, known = await self.run(find_or_make, writes=True)
        self.account = account
        return known

    async def run(self, work: Callable[[Tx], T], *, writes: bool, once: bool = False) -> T:
        """Run a transaction. Cancelling the caller does not interrupt it: once begun, it ends.

        `once` says that it is a single statement, which PostgreSQL can run as a transaction of its own.
        """
        is_whole = once and self.is_postgres
        engine = self._engine if writes and not is_whole else self._statements
        try:
            return await anyio.to_thread.run_sync(self._run, work, engine, limiter=self._threads)
        finally:
            if self._is_announced:
                self._is_announced = False
                self._notifier.notify()

    async def now(self) -> datetime:
        """Return the time that all processes on this database use."""
        return await self.run(lambda tx: tx.now, writes=False)

    async def close(self) -> None:
        """Close all connections. The last process to do so removes SQLite's log."""
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._close, limiter=self._threads)

    def _close(self) -> None:
        for kept in self._kept.values():
            for connection in kept:
                connection.close()
        self._engine.dispose()

    def tell_time(self, tx: Tx, moment: datetime | None = None) -> datetime:
        """Return the time of the given clock, of this machine (SQLite), or of PostgreSQL."""
        if self.knows_time:
            return self.clock.now()
        moment = moment or tx.execute(_NOW).scalar_one()
        return moment.astimezone(UTC)

    def _run(self, work: Callable[[Tx], T], engine: Engine) -> T:
        with ExplainingErrors():
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
                            f"The database of queued texts was lost: {find_reason(error)}."
                        ) from None
                    # The connection had died while it was idle: nothing was done over it, so try another.
                    if not error.connection_invalidated or (tx and tx.is_used):
                        raise
                else:
                    if tx.is_announced:  # not `= tx.…`: another thread may have set it
                        self._is_announced = True
                    return result
            raise StateUnavailable("The database of queued texts cannot be reached.")

    @contextmanager
    def _begin(self, engine: Engine) -> Iterator[Connection]:
        """Begin a transaction.

        Connections are kept in a list: taking one from a pool and returning it takes as long as a statement.
        A connection on which a statement failed is not kept.
        """
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
        except BaseException:  # for example a refusal: the transaction was rolled back
            kept.append(connection)
            raise
        kept.append(connection)

    def _prepare(self, tx: Tx) -> None:
        migrate(tx.connection)
        self._check_key(tx)

    def _check_key(self, tx: Tx) -> None:
        """Check that hashes were made with our key; otherwise opt-outs would not be found."""
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
    """List the accounts that a database knows, except the one of servers without credentials."""
    rows = tx.all(select(accounts.c.base_url, accounts.c.username).order_by(accounts.c.id))
    return [AccountKey(row.base_url, row.username) for row in rows if row.username]
