"""Handles stand for numbers that a model does not see: how long they are valid, what they find."""

from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from elks_mcp.domain.contacts import Contacts
from elks_mcp.domain.handles import READABLE, read_handle, write_handle
from elks_mcp.domain.phone import Number
from elks_mcp.errors import InvalidInput
from elks_mcp.inbound.handles import Handles, choose_number
from elks_mcp.sandbox import Sandbox
from elks_mcp.store import StateLocation, Storage
from tests.support.clocks import ManualClock
from tests.support.connecting import box_on
from tests.support.people import book, person
from tests.support.provider import account_of, client_of

pytestmark = pytest.mark.anyio

ASA, STRANGER = Number("+46701740621"), Number("+46701740624")
ALMOST_A_PERIOD, DAY = timedelta(days=89), timedelta(days=1)


class World:
    """Processes that run one after the other on one state directory."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.clock = ManualClock()
        self.box: Sandbox = box_on(self.clock)
        self.contacts = Contacts()
        self._folder = folder
        self._stack = stack

    def start(self, key: str = "k") -> Handles:
        """Return the handles of a new process, which has shown none."""
        location = StateLocation(folder=self._folder / key, key=SecretStr(key * 32))
        storage = Storage(location, account_of(self.box), self.clock)
        self._stack.push_async_callback(storage.close)
        return Handles(client_of(self.box), storage, self.clock, lambda: self.contacts)


@pytest.fixture
async def stack() -> AsyncExitStack:
    """Closes the stores."""
    return AsyncExitStack()


@pytest.fixture
def world(tmp_path: Path, stack: AsyncExitStack) -> World:
    """Processes with one state directory."""
    return World(tmp_path, stack)


async def test_the_process_that_showed_a_handle_knows_its_number(world: World, stack: AsyncExitStack) -> None:
    async with stack:
        handles = world.start()
        handle = await handles.make(STRANGER)
        assert await handles.find(f" {handle.lower()} ") == STRANGER
        assert await handles.make(STRANGER) == handle


async def test_a_new_process_finds_a_handle_in_history_and_contacts(
    world: World, stack: AsyncExitStack
) -> None:
    async with stack:
        handle, of_contact = [await world.start().make(each) for each in (STRANGER, ASA)]
        with pytest.raises(InvalidInput, match=f"No known number has the handle {handle}"):
            await world.start().find(handle)
        world.box.receive(STRANGER.e164, "Hej")
        world.contacts = book(person("Åsa", ASA.e164))
        assert await world.start().find(handle) == STRANGER
        assert await world.start().find(of_contact) == ASA


async def test_a_handle_is_valid_for_at_least_90_days(world: World, stack: AsyncExitStack) -> None:
    async with stack:
        world.box.receive(STRANGER.e164, "Hej")
        first = await world.start().make(STRANGER)
        seen = {first}
        for _ in range(90):
            world.clock.advance(DAY)
            handles = world.start()
            assert await handles.find(first) == STRANGER
            seen.add(await handles.make(STRANGER))
        assert len(seen) == 2, "the handle changes once in 90 days"
        world.clock.advance(timedelta(days=90))
        with pytest.raises(InvalidInput, match="No known number"):
            await world.start().find(first)


async def test_another_key_makes_other_handles(world: World, stack: AsyncExitStack) -> None:
    async with stack:
        assert await world.start("a").make(STRANGER) != await world.start("b").make(STRANGER)


def test_a_handle_of_two_numbers_is_refused() -> None:
    assert choose_number("P-22222222", {ASA}) == ASA
    with pytest.raises(InvalidInput, match="P-22222222 can mean several numbers"):
        choose_number("P-22222222", {ASA, STRANGER})


@pytest.mark.parametrize("text", ["", "P-", "P-2222222", "P-222222222", "P-0OIL1OIL", "+46701740605", "Åsa"])
async def test_other_words_are_not_taken_for_handles(world: World, stack: AsyncExitStack, text: str) -> None:
    async with stack:
        assert await world.start().find(text) is None


def test_a_thousand_numbers_have_a_thousand_handles() -> None:
    handles = {write_handle(f"{number * 0x9E3779B97F4A7C15:x}") for number in range(1000)}
    assert len(handles) == 1000
    assert all(read_handle(handle) == handle for handle in handles)
    assert len(READABLE) ** 8 > 1_000_000 * 2_000**2 / 8, "two of 2,000 are equal in one of a million cases"
