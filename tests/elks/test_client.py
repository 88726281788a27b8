"""Free requests: prices, history, one message, the account."""

from datetime import timedelta

import httpx2
import pytest
from pydantic import SecretStr

from elks_mcp.domain.models import Direction, HistoryFilter
from elks_mcp.domain.money import Money
from elks_mcp.elks.client import ElksClient
from elks_mcp.elks.credentials import Credentials
from elks_mcp.elks.transport import Api
from elks_mcp.errors import InvalidInput, NotFound, ProviderError, Rejected, Unauthorized
from elks_mcp.sandbox import Fault, ManualClock, Sandbox, StoredMessage
from tests.support.clocks import ManualClock as ManualHere
from tests.support.provider import a_draft, api_of, client_of, gets, posts

pytestmark = pytest.mark.anyio

MILLISECOND = timedelta(milliseconds=1)
INBOUND, OUTBOUND = (HistoryFilter(direction=each) for each in Direction)


@pytest.fixture
def box() -> Sandbox:
    return Sandbox(clock=ManualClock())


@pytest.fixture
def client(box: Sandbox) -> ElksClient:
    return client_of(box)


def fill(box: Sandbox, count: int, *, inbound_each: int = 0, same_time_each: int = 1) -> list[StoredMessage]:
    """Put `count` messages into history and list them newest first.

    Each `inbound_each`th is inbound; runs of `same_time_each` share a time.
    """
    now = box.clock.now()
    for number in range(count):
        box.add_history(
            now - MILLISECOND * (number // same_time_each),
            direction="incoming" if inbound_each and number % inbound_each == 0 else "outgoing",
            text=f"Text {number}",
        )
    return box.history[::-1]


def ids(messages: list[StoredMessage], direction: Direction | None = None) -> list[str]:
    words = {Direction.INBOUND: {"incoming"}, Direction.OUTBOUND: {"outgoing", "outgoing-reply"}}
    return [each.id for each in messages if direction is None or each.direction in words[direction]]


# ── prices ──


async def test_an_estimate_is_a_dry_run_and_nothing_else(box: Sandbox, client: ElksClient) -> None:
    estimate = await client.get_estimate(a_draft("Hej! " * 40))
    assert (estimate.price, estimate.parts) == (Money(10_400, "SEK"), 2)
    assert client.last_price == Money(5200, "SEK")
    assert [post.form["dryrun"] for post in posts(box, dry_run=True)] == ["yes"]
    assert (box.accepted, box.charges, posts(box)) == ([], [], [])


async def test_the_currency_is_asked_for_once(box: Sandbox, client: ElksClient) -> None:
    for _ in range(3):
        await client.get_estimate(a_draft())
        await client.list_messages(1)
    assert len(gets(box, "/me")) == 1


async def test_a_price_has_no_currency_if_the_account_has_none() -> None:
    box = Sandbox(currency="")
    estimate = await client_of(box).get_estimate(a_draft())
    assert estimate.price == Money(5200, "")


async def test_a_text_is_priced_even_if_the_account_cannot_be_read(box: Sandbox, client: ElksClient) -> None:
    box.faults.inject(Fault.FORBIDDEN, path="/me")
    assert (await client.get_estimate(a_draft())).price == Money(5200, "")
    assert (await client.get_estimate(a_draft())).price == Money(5200, "SEK")


async def test_wrong_credentials_are_reported_as_such(box: Sandbox, client: ElksClient) -> None:
    box.faults.inject(Fault.UNAUTHORIZED, path="/me")
    with pytest.raises(Unauthorized):
        await client.get_estimate(a_draft())
    assert posts(box, dry_run=True) == []


@pytest.mark.parametrize("fault", [Fault.DROP_BEFORE, Fault.DROP_AFTER])
async def test_a_price_request_is_repeated_once_if_its_answer_was_cut_off(
    box: Sandbox, client: ElksClient, fault: Fault
) -> None:
    box.faults.inject(fault, method="POST")
    assert (await client.get_estimate(a_draft())).price == Money(5200, "SEK")
    assert len(posts(box, dry_run=True)) == 2
    box.faults.inject(fault, method="POST", times=2)
    with pytest.raises(Exception, match="cut"):
        await client.get_estimate(a_draft())
    assert len(posts(box, dry_run=True)) == 4
    assert box.charges == []


async def test_a_price_request_that_46elks_refuses_is_not_repeated(box: Sandbox, client: ElksClient) -> None:
    box.faults.inject(Fault.ERROR_BEFORE, method="POST")
    with pytest.raises(ProviderError):
        await client.get_estimate(a_draft())
    assert len(posts(box, dry_run=True)) == 1


# ── the account ──


async def test_the_account_has_the_balance_without_the_holder(client: ElksClient) -> None:
    account = await client.get_account()
    assert account.balance == Money(1_000_000, "SEK")
    assert "sandbox@example.com" not in account.model_dump_json()


# ── one message ──


async def test_a_message_is_read_by_its_id(box: Sandbox, client: ElksClient) -> None:
    (sent,) = fill(box, 1)
    message = await client.get_message(sent.id)
    assert (message.id, message.text, message.status) == (sent.id, "Text 0", "delivered")


async def test_an_unknown_id_is_not_found(client: ElksClient) -> None:
    with pytest.raises(NotFound):
        await client.get_message("s" + "0" * 32)


async def test_another_refusal_is_not_taken_for_an_unknown_id(box: Sandbox, client: ElksClient) -> None:
    box.faults.inject(Fault.FORBIDDEN, path="/sms/*")
    with pytest.raises(Rejected):
        await client.get_message("s" + "0" * 32)


@pytest.mark.parametrize(
    "message_id",
    [
        "",
        "..",
        "../me",
        "s0000000/../../me",
        "s0000000%2e%2e%2fme",
        "s0000000?limit=1",
        "s0000000#x",
        "s0000000\n",
        "s0000000 ",
        "http://example.com",
        "s٠٠٠٠٠٠٠٠",
        "ſ0000000",
        pytest.param("s" * 5000, id="5 KB"),
    ],
)
async def test_an_invalid_id_never_reaches_46elks(box: Sandbox, client: ElksClient, message_id: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await client.get_message(message_id)
    assert len(caught.value.explain()) < 400
    assert box.requests == []


# ── history ──


async def test_the_newest_come_first_in_one_request(box: Sandbox, client: ElksClient) -> None:
    everything = fill(box, 30)
    listing = await client.list_messages(10)
    assert [message.id for message in listing.messages] == ids(everything)[:10]
    assert listing.complete
    assert [get.query for get in gets(box, "/sms")] == [{"limit": "11"}]


async def test_finding_20_inbound_of_500_messages_takes_only_the_needed_pages(
    box: Sandbox, client: ElksClient
) -> None:
    everything = fill(box, 500, inbound_each=12)
    listing = await client.list_messages(20, INBOUND)
    assert [message.id for message in listing.messages] == ids(everything, Direction.INBOUND)[:20]
    assert all(message.direction is Direction.INBOUND for message in listing.messages)
    # The twentieth inbound is message 229; 100, and 99 more from each further page, are three pages.
    assert len(gets(box, "/sms")) == 3


@pytest.mark.parametrize("same_time_each", [1, 2, 3, 7, 40, 99])
async def test_messages_with_the_same_time_are_neither_lost_nor_doubled(
    box: Sandbox, client: ElksClient, same_time_each: int
) -> None:
    everything = fill(box, 350, inbound_each=4, same_time_each=same_time_each)
    inbound = ids(everything, Direction.INBOUND)
    listing = await client.list_messages(len(inbound), INBOUND)
    assert [message.id for message in listing.messages] == inbound
    assert listing.complete


async def test_more_messages_with_one_time_than_fit_on_a_page_do_not_stop_the_search(
    box: Sandbox, client: ElksClient
) -> None:
    fill(box, 150, same_time_each=150)
    box.add_history(box.clock.now() - timedelta(days=1), direction="incoming", text="Older")
    listing = await client.list_messages(1, INBOUND)
    assert [message.text for message in listing.messages] == ["Older"]


async def test_replies_by_webhook_are_outbound(box: Sandbox, client: ElksClient) -> None:
    box.add_history(box.clock.now(), direction="outgoing-reply")
    assert (await client.list_messages(1, INBOUND)).messages == ()
    (reply,) = (await client.list_messages(1, OUTBOUND)).messages
    assert reply.is_reply


async def test_a_search_that_ends_at_the_end_of_history_is_complete(box: Sandbox, client: ElksClient) -> None:
    fill(box, 150)
    listing = await client.list_messages(5, INBOUND)
    assert (listing.messages, listing.complete) == ((), True)
    assert len(gets(box, "/sms")) == 2


async def test_an_empty_history_is_complete(client: ElksClient) -> None:
    listing = await client.list_messages(5)
    assert (listing.messages, listing.complete) == ((), True)


@pytest.mark.parametrize(("older", "complete"), [(0, True), (1, False)])
async def test_a_search_without_results_ends_and_says_whether_it_was_complete(
    box: Sandbox, client: ElksClient, older: int, complete: bool
) -> None:
    # Pages overlap by one message, so this is exactly as much as fits.
    fill(box, 100 + 99 * 4 + older)
    listing = await client.list_messages(1, INBOUND)
    assert (listing.messages, listing.complete) == ((), complete)
    assert len(gets(box, "/sms")) == 5


# ── all since a moment ──


@pytest.mark.parametrize(("count", "since", "pages"), [(30, 10, 1), (30, 0, 1), (350, 120, 2), (350, 349, 4)])
async def test_all_messages_since_a_time_are_found_with_little_extra_reading(
    box: Sandbox, client: ElksClient, count: int, since: int, pages: int
) -> None:
    everything = fill(box, count, inbound_each=4)
    listing = await client.list_since(box.clock.now() - MILLISECOND * since)
    assert listing.complete
    found = [message.id for message in listing.messages]
    assert found == ids(everything)[: len(found)]
    assert len(found) > since
    assert len(gets(box, "/sms")) == pages


@pytest.mark.parametrize("count", [0, 1, 100, 101, 250])
async def test_without_a_start_time_all_messages_are_read(
    box: Sandbox, client: ElksClient, count: int
) -> None:
    everything = fill(box, count, same_time_each=3)
    listing = await client.list_since(None)
    assert listing.complete
    assert [message.id for message in listing.messages] == ids(everything)


async def test_a_start_time_in_the_future_reads_one_page(box: Sandbox, client: ElksClient) -> None:
    fill(box, 150)
    listing = await client.list_since(box.clock.now() + timedelta(days=1))
    assert listing.complete
    assert len(gets(box, "/sms")) == 1


async def test_a_history_beyond_the_limit_is_not_reported_as_complete(
    box: Sandbox,
) -> None:
    client = ElksClient(api_of(box), most_pages=2).counted(lambda: None)
    fill(box, 300)
    assert not (await client.list_since(None)).complete
    assert not (await client.list_since(box.clock.now() - MILLISECOND * 250)).complete
    assert (await client.list_since(box.clock.now() - MILLISECOND * 150)).complete


async def test_only_the_pages_of_history_are_requested_in_order(box: Sandbox, client: ElksClient) -> None:
    fill(box, 150)
    await client.list_since(box.clock.now() - MILLISECOND * 140)
    assert [sorted(get.query) for get in gets(box, "/sms")] == [["limit"], ["limit", "start"]]


async def test_the_skew_is_how_far_46elks_clock_is_ahead(box: Sandbox) -> None:
    client = ElksClient(api_of(box, clock=ManualHere()))
    await client.get_account()
    ahead = box.clock.now().replace(microsecond=0) - ManualHere().now()
    assert client.skew == ahead


# ── should it be otherwise one day ──


class Deaf(httpx2.AsyncBaseTransport):
    """A 46elks that ignores `start`, so that each page is the first."""

    def __init__(self, box: Sandbox) -> None:
        self._inner = box.transport()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.url = request.url.copy_remove_param("start")
        return await self._inner.handle_async_request(request)


async def test_a_history_that_repeats_its_pages_ends_the_reading(box: Sandbox) -> None:
    fill(box, 150)
    credentials = Credentials(box.username, SecretStr(box.password))
    client = ElksClient(Api(credentials, base_url="http://localhost/a1", transport=Deaf(box)))
    listing = await client.list_messages(1, INBOUND)
    assert (listing.messages, listing.complete) == ((), False)
    assert len(gets(box, "/sms")) == 3
