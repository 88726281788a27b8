"""Access to the store, which is loaded and opened when it is first needed."""

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from elks_mcp.domain.kinds import KINDS, Kinds
from elks_mcp.errors import Misconfigured, StateUnavailable
from elks_mcp.runtime.clock import Clock
from elks_mcp.runtime.tasks import background
from elks_mcp.store.db.hashes import KEY_FILE, SHORTEST_KEY, Hasher, find_or_make_key, read_key
from elks_mcp.store.db.notifications import Notifier, listen_for_notifications
from elks_mcp.store.db.quick_check import has_work
from elks_mcp.store.location import AccountKey, StateLocation
from elks_mcp.store.private_files import close_to_others, make_private_folder

if TYPE_CHECKING:
    from elks_mcp.store.store import Store


_GENERATION_CACHED_FOR = 5.0
"""Seconds for which the generation of the webhook secrets is cached."""


class Storage:
    """The store of one account at one location. `clock` replaces the database's time."""

    def __init__(
        self,
        location: StateLocation,
        account: AccountKey,
        clock: Clock | None = None,
        kinds: Kinds = KINDS,
    ) -> None:
        self.location = location
        self._kinds = kinds
        self._account = account
        self._clock = clock
        self._store: Store | None = None
        self._opening = anyio.Lock()
        self._finding = anyio.Lock()
        self._hasher: Hasher | None = None
        self._opened = anyio.Event()
        self.notifier = Notifier()
        """Notifies waiters when a text was received or delivered."""
        self._generation = 0
        self._generation_until = 0.0
        self._secrets: dict[str, tuple[str, ...]] = {}

    async def secrets_for(self, webhook: str) -> tuple[str, ...]:
        """Return the accepted secrets of a webhook: current, previous, next.

        All servers with the same key derive the same ones. The previous secret is accepted because 46elks may
        still use it; the next one, because another server may have rotated the secrets already.
        """
        store, now = await self.open(), (self._clock or Clock()).counted()
        if now >= self._generation_until:
            self._generation = await store.webhook_secrets.find()
            self._generation_until = now + _GENERATION_CACHED_FOR
            self._secrets.clear()
        if webhook not in self._secrets:
            now_used, hasher = self._generation, store.database.hasher
            self._secrets[webhook] = tuple(
                hasher.of("secret", f"webhook {webhook}", str(each))
                for each in (now_used, now_used - 1, now_used + 1)
            )
        return self._secrets[webhook]

    async def rotate_secrets(self) -> None:
        """Use the next secrets for webhooks from now on."""
        await (await self.open()).webhook_secrets.rotate()
        self._generation_until = 0.0

    async def find_hasher(self) -> Hasher:
        """Return the hasher of this location, without using the database.

        Raises:
            StateUnavailable, Misconfigured: There is no key.
        """
        async with self._finding:  # in memory, each call would make a key of its own
            if self._hasher is None:
                self._hasher = await anyio.to_thread.run_sync(find_hasher, self.location)
            return self._hasher

    @property
    def is_open(self) -> bool:
        """Whether the store was opened."""
        return self._store is not None

    @property
    def exists(self) -> bool:
        """Whether there is a store, open or not."""
        return self.is_open or self.location.exists

    async def has_work(self) -> bool:
        """Return whether a server has something to do or to delete, without loading the store."""
        if self.location.url:
            return True
        if self.location.file is None:
            return self.is_open
        return await anyio.to_thread.run_sync(has_work, self.location.file, self._account)

    async def open(self) -> "Store":
        """Return the store. The first call opens it.

        Raises:
            StateUnavailable, Misconfigured: It cannot be used. Without it, nothing is sent.
        """
        return self._store or await self._open_once()

    async def _open_once(self) -> "Store":
        async with self._opening:
            self._store = store = self._store or await self._open()
            self._opened.set()
        return store

    @asynccontextmanager
    async def receiving_notifications(self) -> AsyncIterator[None]:
        """Receive notifications from other processes on the same PostgreSQL, once the store is open."""
        if self.location.url is None:
            yield
            return
        url = self.location.url.get_secret_value()

        async def listen() -> None:
            await self._opened.wait()
            await listen_for_notifications(self.notifier, url, (await self.open()).database.account_id)

        async with background() as tasks:
            tasks.start_soon(listen)
            yield

    async def close(self) -> None:
        """Close the store, if it was opened."""
        if self._store is not None:
            await self._store.close()
            self._store = None

    async def _open(self) -> "Store":
        hasher = await self.find_hasher()
        await anyio.to_thread.run_sync(_load)
        from elks_mcp.store.store import Store  # noqa: PLC0415  (loaded by now)

        with anyio.CancelScope(shield=True):
            shared = hasher, self._clock, self.notifier, self._kinds
            store = await Store.open(self.location, self._account, *shared)
        return store  # noqa: RET504  (the scope could have swallowed an exception)


def find_hasher(location: StateLocation) -> Hasher:
    """Return a hasher with a location's key. In a state directory, create a missing key.

    Raises:
        Misconfigured: A shared database has no `ELKS_SECRET_KEY`, the key is too short, or the state
            directory is a link or belongs to another user.
        StateUnavailable: The state directory cannot be used.
    """
    if location.key:
        return Hasher(location.key.get_secret_value().encode())
    if location.url:
        raise Misconfigured(
            "ELKS_DATABASE_URL needs ELKS_SECRET_KEY: a secret of 32 bytes or more.",
            hint="Use the same one for every server on that database. To make one: `openssl rand -hex 32`.",
        )
    if location.folder is None:
        return Hasher(secrets.token_bytes(SHORTEST_KEY))
    with _explaining_errors():
        make_private_folder(location.folder)
        return Hasher(find_or_make_key(location.folder))


def check_folder(folder: Path) -> None:
    """Check a state directory, as far as it exists, and create nothing.

    Raises:
        Misconfigured: It is a link or belongs to another user, or its key is too short.
        StateUnavailable: It cannot be used.
    """
    with _explaining_errors():
        close_to_others(folder)
        if os.path.lexists(folder / KEY_FILE):
            read_key(folder)


@contextmanager
def _explaining_errors() -> Iterator[None]:
    """Turn an error of the file system into `StateUnavailable`."""
    try:
        yield
    except OSError as error:
        raise StateUnavailable(
            f"The state directory cannot be used: {error.strerror}.",
            hint="Set ELKS_STATE_DIR to a directory that this user may write to.",
        ) from None


def _load() -> None:
    """Load the database libraries. Call this in a thread, so that the server keeps answering."""
    with suppress(ImportError):
        import elks_mcp.store.store  # noqa: F401, PLC0415
