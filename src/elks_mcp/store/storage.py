"""The way to the store: opened when it is first needed, and only then loaded."""

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from elks_mcp.errors import Misconfigured, StateUnavailable
from elks_mcp.runtime.clock import Clock
from elks_mcp.runtime.tasks import background
from elks_mcp.store.db.hashes import KEY_FILE, SHORTEST_KEY, Hasher, find_or_make_key, read_key
from elks_mcp.store.db.notifications import Bell, hear_others
from elks_mcp.store.db.quick_check import has_work
from elks_mcp.store.location import Account, Place
from elks_mcp.store.private_files import close_to_others, make_private_folder

if TYPE_CHECKING:
    from elks_mcp.store.store import Store


_GENERATION_GOOD_FOR = 5.0
"""Seconds for which is known which secrets are in use."""


class Storage:
    """The store of one account at one place. `clock` stands in for the database's time."""

    def __init__(self, place: Place, account: Account, clock: Clock | None = None) -> None:
        self.place = place
        self._account = account
        self._clock = clock
        self._store: Store | None = None
        self._opening = anyio.Lock()
        self._opened = anyio.Event()
        self.bell = Bell()
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
            self._generation = await store.generations.find()
            self._generation_until = now + _GENERATION_GOOD_FOR
            self._secrets.clear()
        if webhook not in self._secrets:
            now_used, hasher = self._generation, store.database.hasher
            self._secrets[webhook] = tuple(
                hasher.of("secret", f"webhook {webhook}", str(each))
                for each in (now_used, now_used - 1, now_used + 1)
            )
        return self._secrets[webhook]

    async def change_secrets(self) -> None:
        """Use other secrets for webhooks from now on."""
        await (await self.open()).generations.begin()
        self._generation_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it was needed yet."""
        return self._store is not None

    @property
    def exists(self) -> bool:
        """Whether anything can be remembered there at all."""
        return self.is_open or self.place.exists

    async def has_work(self) -> bool:
        """Look whether a server has something to see to, or to throw away, without loading more."""
        if self.place.url:
            return True
        if self.place.file is None:
            return self.is_open
        return await anyio.to_thread.run_sync(has_work, self.place.file, self._account)

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
    async def listening(self) -> AsyncIterator[None]:
        """Hear what other processes on the same PostgreSQL announce, once it is opened."""
        if self.place.url is None:
            yield
            return
        url = self.place.url.get_secret_value()

        async def listen() -> None:
            await self._opened.wait()
            await hear_others(self.bell, url, (await self.open()).database.account_id)

        async with background() as tasks:
            tasks.start_soon(listen)
            yield

    async def close(self) -> None:
        """Close it, if it was opened."""
        if self._store is not None:
            await self._store.close()
            self._store = None

    async def _open(self) -> "Store":
        hasher = await anyio.to_thread.run_sync(find_hasher, self.place)
        await anyio.to_thread.run_sync(_load)
        from elks_mcp.store.store import Store  # noqa: PLC0415  (loaded by now)

        with anyio.CancelScope(shield=True):
            store = await Store.open(self.place, self._account, hasher, self._clock, self.bell)
        return store  # noqa: RET504  (the scope could have swallowed an exception)


def find_hasher(place: Place) -> Hasher:
    """Find the key that a place's hashes are made with, or make it where there is none yet.

    Raises:
        Misconfigured: a shared database needs a key that is given; a key is too short; the state directory is
            a link or another user's.
        StateUnavailable: the state directory cannot be used.
    """
    if place.key:
        return Hasher(place.key.get_secret_value().encode())
    if place.url:
        raise Misconfigured(
            "ELKS_DATABASE_URL needs ELKS_SECRET_KEY: a secret of 32 bytes or more.",
            hint="Give the same one to every server on that database. To make one: `openssl rand -hex 32`.",
        )
    if place.folder is None:
        return Hasher(secrets.token_bytes(SHORTEST_KEY))
    with _explained():
        make_private_folder(place.folder)
        return Hasher(find_or_make_key(place.folder))


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
