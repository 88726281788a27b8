"""The contacts that a person accepted, on both databases."""

import pytest

from elks_mcp.store import AccountKey, StateLocation
from elks_mcp.store.accepted_contacts import ContactChanges
from tests.support.clocks import ManualClock
from tests.support.people import book, person
from tests.support.stores import ACCOUNT, opened, read_rows

pytestmark = pytest.mark.anyio

ASA, BO, EVA = (
    person(name, f"+467017406{last}") for name, last in (("Åsa", "05"), ("Bo", "06"), ("Eva", "07"))
)
FIRST = book(ASA, BO)
NEXT = book(ASA, person("Bo", "+46701740616"), EVA, digest="next")


async def test_only_the_contacts_that_were_accepted_last_are_accepted(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        assert not await store.accepted_contacts.is_accepted("first")
        await store.accepted_contacts.accept(FIRST)
        assert await store.accepted_contacts.is_accepted("first")
        await store.accepted_contacts.accept(NEXT)
        assert not await store.accepted_contacts.is_accepted("first")
        assert await store.accepted_contacts.is_accepted("next")
    async with opened(location, clock, AccountKey(ACCOUNT.base_url, "another")) as store:
        assert not await store.accepted_contacts.is_accepted("next")


async def test_changed_contacts_are_named_and_removed_ones_counted(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock) as store:
        new = await store.accepted_contacts.compare(FIRST)
        assert new == ContactChanges(None, is_same=False, added=(ASA, BO), changed=(), removed=0)
        await store.accepted_contacts.accept(FIRST)
        same = await store.accepted_contacts.compare(FIRST)
        assert same == ContactChanges(clock.now(), is_same=True, added=(), changed=(), removed=0)
        changes = await store.accepted_contacts.compare(NEXT)
        assert (changes.added, changes.changed, changes.removed) == ((EVA,), NEXT.people[1:2], 0)
        gone = await store.accepted_contacts.compare(book(BO, digest="gone"))
        assert (gone.added, gone.changed, gone.removed) == ((), (), 1)


async def test_p7_every_contact_of_a_name_is_listed_when_one_is_new_or_changed(
    location: StateLocation, clock: ManualClock
) -> None:
    both = book(BO, person("Bo", EVA.numbers[0].number.e164), ASA, digest="both")
    merged = person("Bo", "+46701740606", groups="Bo numbers +46701740607 groups")
    async with opened(location, clock) as store:
        assert (await store.accepted_contacts.compare(both)).added == both.people
        await store.accepted_contacts.accept(FIRST)
        assert (await store.accepted_contacts.compare(both)).changed == both.people[:2]
        await store.accepted_contacts.accept(book(ASA, merged))
        assert (await store.accepted_contacts.compare(both)).changed == both.people[:2]


async def test_names_and_numbers_are_kept_as_keyed_hashes_only(location: StateLocation) -> None:
    async with opened(location) as store:
        await store.accepted_contacts.accept(FIRST)
    ((digest, people),) = read_rows(location, "SELECT digest_hash, people FROM accepted_contacts")
    assert not [word for word in ("first", "Åsa", "bo", "0605") if word in f"{digest} {people}"]
