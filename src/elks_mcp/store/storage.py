"""The way to the store: opened when it is first needed, and only then loaded."""

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
"""Seconds for which is known which secrets are in use."""


class Storage:
    """The store of one account at one place. `clock` stands in for the database's time."""

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
        self._opened = anyio.Event()
        self.notifier = Notifier()
        """Rings when something came in, or was delivered."""
        self._generation = 0
        self._generation_until = 0.0
        self._secrets: dict[str, tuple[str, ...]] = {}

    async def secrets_for(self, webhook: str) -> tuple[str, ...]:
        """Make the secrets that open a webhook, the same wherever the key is the same: the one in use first.

        The one before counts too, since 46elks may still use it; and the next, which whoever changes it uses
        before all servers know.
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
        """Use other secrets for webhooks from now on."""
        await (await self.open()).webhook_secrets.rotate()
        self._generation_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it was needed yet."""
        return self._store is not None

    @property
    def exists(self) -> bool:
        """Whether anything can be remembered there at all."""
        return self.is_open or self.location.exists

    async def has_work(self) -> bool:
        """Look whether a server has something to see to, or to throw away, without loading more."""
        if self.location.url:
            return True
        if self.location.file is None:
            return self.is_open
        return await anyio.to_thread.run_sync(has_work, self.location.file, self._account)

    async def open(self) -> "Store":
        """Return the store, opening it the first time.

        Raises:
            StateUnavailable, Misconfigured: it cannot be used; without it nothing is sent.
        """
        return self._store or await self._open_once()

    async def _open_once(self) -> "Store":
        async with self._opening:
            self._store = store = self._store or await self._open()
            self._opened.set()
        return store

    @asynccontextmanager
    async def receiving_notifications(self) -> AsyncIterator[None]:
        """Hear what other processes on the same PostgreSQL announce, once it is opened."""
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
        """Close it, if it was opened."""
        if self._store is not None:
            await self._store.close()
            self._store = None

    async def _open(self) -> "Store":
        hasher = await anyio.to_thread.run_sync(find_hasher, self.location)
        await anyio.to_thread.run_sync(_load)
        from elks_mcp.store.store import Store  # noqa: PLC0415  (loaded by now)

        with anyio.CancelScope(shield=True):
            shared = hasher, self._clock, self.notifier, self._kinds
            store = await Store.open(self.location, self._account, *shared)
        return store  # noqa: RET504  (the scope could have swallowed an exception)


def find_hasher(location: StateLocation) -> Hasher:
    """Find the key that a place's hashes are made with, or make it where there is none yet.

    Raises:
        Misconfigured: a shared database needs a key that is given; a key is too short; the state directory is
            a link or another user's.
        StateUnavailable: the state directory cannot be used.
    """
    if location.key:
        return Hasher(location.key.get_secret_value().encode())
    if location.url:
        raise Misconfigured(
            "ELKS_DATABASE_URL needs ELKS_SECRET_KEY: a secret of 32 bytes or more.",
            hint="Give the same one to every server on that database. To make one: `openssl rand -hex 32`.",
        )
    if location.folder is None:
        return Hasher(secrets.token_bytes(SHORTEST_KEY))
    with _explained():
        make_private_folder(location.folder)
        return Hasher(find_or_make_key(location.folder))


def check_folder(folder: Path) -> None:
    """Check what there is of a state directory, and make nothing.

    Raises:
        Misconfigured: it is a link or another user's; its key is too short.
        StateUnavailable: it cannot be used.
    """
    with _explained():
        close_to_others(folder)
        if os.path.lexists(folder / KEY_FILE):
            read_key(folder)


@contextmanager
def _explained() -> Iterator[None]:
    """Turn an error of the file system into ours."""
    try:
        yield
    except OSError as error:
        raise StateUnavailable(
            f"The state directory cannot be used: {error.strerror}.",
            hint="Set ELKS_STATE_DIR to a folder this user may write to.",
        ) from None


def _load() -> None:
    """Load what takes a while; in a thread, so that the server goes on answering."""
    with suppress(ImportError):
        import elks_mcp.store.store  # noqa: F401, PLC0415
