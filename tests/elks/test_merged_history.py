"""History with MMS: two of 46elks' lists read as one, newest first, and the pictures of MMS."""

from datetime import datetime, timedelta
from hashlib import sha1
from itertools import pairwise

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elks_mcp.domain.kinds import MMS, SMS
from elks_mcp.domain.mms_payload import Mms
from elks_mcp.domain.models import Direction, HistoryFilter, Message
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Draft
from elks_mcp.domain.phone import Number
from elks_mcp.elks.client import ElksClient
from elks_mcp.elks.kinds_read import KindsRead
from elks_mcp.errors import InvalidInput, NoAnswer, NotFound
from elks_mcp.sandbox import SAMPLE, Fault, ManualClock, Rules, Sandbox
from tests.support.provider import api_of, gets

pytestmark = pytest.mark.anyio
MILLISECOND = timedelta(milliseconds=1)
PICTURES = [SAMPLE.content]


def new_client(box: Sandbox, *, most_pages: int = 50) -> ElksClient:
    return ElksClient(api_of(box), most_pages=most_pages, kinds=KindsRead(mms=True))


@pytest.fixture
def box() -> Sandbox:
    return Sandbox(clock=ManualClock())


def fill(box: Sandbox, kinds: str, *, same_time_each: int = 1) -> list[str]:
    """Add a text (s) or an MMS (m) for each letter, the newest first; return their ids."""
    now = box.clock.now()
    added = [
        box.add_history(
            now - MILLISECOND * (number // same_time_each),
            direction="incoming" if number % 4 == 0 else "outgoing",
            pictures=PICTURES if kind == "m" else None,
        )
        for number, kind in enumerate(kinds)
    ]
    return [message.id for message in added]


def check_order(messages: tuple[Message, ...]) -> None:
    """Check that messages are newest first, and that none is repeated."""
    moments = [message.created_at for message in messages if message.created_at]
    assert all(newer >= older for newer, older in pairwise(moments))
    assert len({message.id for message in messages}) == len(messages)


lists = st.one_of(
    st.text("sm", max_size=60),
    st.lists(st.tuples(st.sampled_from("sm"), st.integers(1, 130)), max_size=4).map(
        lambda runs: "".join(kind * count for kind, count in runs)
    ),
)


@given(kinds=lists, limit=st.integers(1, 40), same=st.sampled_from([1, 1, 2, 5]), shared=st.booleans())
async def test_walking_by_pages_finds_every_message_once_and_in_order(
    kinds: str, limit: int, same: int, shared: bool
) -> None:
    box = Sandbox(clock=ManualClock(), rules=Rules(mms_in_sms_history=shared))
    everything, client = fill(box, kinds, same_time_each=same), new_client(box)
    found: list[str] = []
    until: datetime | None = None
    for _ in range(len(kinds) + 2):
        listing = await client.list_messages(limit, HistoryFilter(until=until))
        check_order(listing.messages)
        new = [message.id for message in listing.messages if message.id not in found]
        found += new
        until = listing.older_from
        if until is None or not new:  # more of one moment than the limit: the caller gets no further
            break
    assert set(found) <= set(everything)
    if limit > same:
        assert set(found) == set(everything)
        if same == 1:
            assert found == everything


@given(kinds=lists, since=st.integers(0, 200))
async def test_all_since_a_moment_are_found_of_both_lists(kinds: str, since: int) -> None:
    box = Sandbox(clock=ManualClock())
    everything = fill(box, kinds)
    listing = await new_client(box).list_since(box.clock.now() - MILLISECOND * since)
    check_order(listing.messages)
    found = [message.id for message in listing.messages]
    assert listing.complete
    assert found == everything[: len(found)]
    assert len(found) >= min(since, len(kinds))


async def test_one_list_is_read_no_further_than_the_other_needs(box: Sandbox) -> None:
    fill(box, "s" * 150 + "m" * 150)
    await new_client(box).list_messages(10)
    assert (len(gets(box, "/sms")), len(gets(box, "/mms"))) == (1, 1)


@pytest.mark.parametrize("direction", Direction)
async def test_both_lists_are_filtered_alike(box: Sandbox, direction: Direction) -> None:
    fill(box, "mmmmssss" * 10)
    listing = await new_client(box).list_messages(100, HistoryFilter(direction=direction))
    assert {message.direction for message in listing.messages} == {direction}
    assert {message.is_picture for message in listing.messages} == {True, False}


async def test_a_search_over_the_most_pages_is_not_complete(box: Sandbox) -> None:
    fill(box, "sm" * 250)
    client = new_client(box, most_pages=3)
    assert not (await client.list_since(None)).complete
    assert (await client.list_since(box.clock.now() - MILLISECOND * 100)).complete


@pytest.mark.parametrize("path", ["/sms", "/mms"])
async def test_if_one_list_cannot_be_read_none_passes_for_the_whole(box: Sandbox, path: str) -> None:
    fill(box, "sm" * 10)
    box.faults.inject(Fault.ERROR_BEFORE, method="GET", path=path, times=None)
    client = new_client(box)
    with pytest.raises(NoAnswer):
        await client.list_since(None)
    with pytest.raises(NoAnswer):
        await client.list_messages(5)


class Repeating(httpx2.AsyncBaseTransport):
    """A 46elks that ignores `start` in one list, so that each of its pages is the first."""

    def __init__(self, box: Sandbox, path: str) -> None:
        self._inner, self._path = box.transport(), path

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith(self._path):
            request.url = request.url.copy_with(params={"limit": request.url.params["limit"]})
        return await self._inner.handle_async_request(request)


@pytest.mark.parametrize("path", ["/sms", "/mms"])
async def test_a_list_that_repeats_its_first_page_ends_the_search(box: Sandbox, path: str) -> None:
    fill(box, "s" * 150 + "m" * 150)
    api = api_of(box, transport=Repeating(box, path))
    listing = await ElksClient(api, kinds=KindsRead(mms=True)).list_since(None)
    assert not listing.complete
    check_order(listing.messages)


# ── one kind ──


async def test_each_kind_of_order_is_looked_up_in_its_own_list(box: Sandbox) -> None:
    fill(box, "smsm")
    client = ElksClient(api_of(box))
    texts, pictures = await client.list_since(None, SMS), await client.list_since(None, MMS)
    assert {message.is_picture for message in texts.messages} == {False}
    assert {message.is_picture for message in pictures.messages} == {True}
    digest = sha1(SAMPLE.content, usedforsecurity=False).hexdigest()
    sent = [each for each in pictures.messages if each.direction is Direction.OUTBOUND]
    assert [message.image_digests for message in sent] == [(digest,)] * len(sent)


@pytest.mark.parametrize("fault", [Fault.ERROR_BEFORE, Fault.HTML, Fault.EMPTY, Fault.NOT_AN_OBJECT])
async def test_a_digest_that_cannot_be_read_is_empty(box: Sandbox, fault: Fault) -> None:
    box.add_history(box.clock.now(), pictures=PICTURES)
    box.faults.inject(fault, method="GET", path="/images/*", times=None)
    [message] = (await ElksClient(api_of(box)).list_since(None, MMS)).messages
    assert message.image_digests == ("",)


# ── prices and pictures ──


async def test_a_price_is_that_of_the_latest_mms_that_was_sent(box: Sandbox) -> None:
    now = box.clock.now()
    box.add_history(now, direction="incoming", pictures=PICTURES, cost=9_000)
    box.add_history(now - MILLISECOND, pictures=PICTURES, cost=0)
    box.add_history(now - 2 * MILLISECOND, pictures=PICTURES, cost=13_000)
    box.add_history(now - 3 * MILLISECOND, pictures=PICTURES, cost=20_000)
    box.add_history(now, cost=5_200)
    draft = Draft(to=Number("+46701740605"), payload=Mms(text="Hej"), sender=Number("+46701740699"))
    estimate = await ElksClient(api_of(box)).get_estimate(draft)
    assert estimate.price == Money(13_000, "SEK")
    operator = ElksClient(api_of(box), kinds=KindsRead(prices={MMS: 0}))
    assert (await operator.get_estimate(draft)).price == Money(0, "SEK")


@pytest.mark.parametrize("image_id", ["", "m0-i0", "../me", "m" + "0" * 32, "m" + "0" * 32 + "-i0/../../me"])
async def test_an_id_that_is_not_a_picture_is_never_requested(box: Sandbox, image_id: str) -> None:
    images = ElksClient(api_of(box)).images
    for read in (images.get_facts, images.get_content):
        with pytest.raises(InvalidInput):
            await read(image_id)
    assert box.requests == []


async def test_a_picture_that_46elks_no_longer_has_is_not_found(box: Sandbox) -> None:
    with pytest.raises(NotFound):
        await ElksClient(api_of(box)).images.get_content("m" + "0" * 32 + "-i0")
