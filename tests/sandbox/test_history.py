"""GET /a1/sms and /a1/sms/{id}: paging with inverted names, and its traps."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import httpx2
import pytest

from elks_mcp.sandbox import Sandbox

from .clients import PHONE, sms

pytestmark = pytest.mark.anyio
MORNING = datetime(2026, 1, 15, 8, 0, tzinfo=UTC)


async def read_pages(client: httpx2.AsyncClient, **query: str) -> list[list[dict[str, Any]]]:
    """Read page after page as 46elks' own samples do: feed ``next`` back as ``start``."""
    pages = []
    while True:
        page = (await client.get("sms", params=query)).json()
        pages.append(page["data"])
        if "next" not in page:
            return pages
        query["start"] = page["next"]


async def test_a_long_history_is_read_in_pages_of_a_hundred_newest_first(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    for minute in range(250):
        direction: Literal["incoming", "outgoing"] = "incoming" if minute % 2 else "outgoing"
        box.add_history(MORNING + timedelta(minutes=minute), direction=direction, text=str(minute))
    pages = await read_pages(client, limit="5000")
    assert [len(page) for page in pages] == [100, 100, 50]
    assert [item["message"] for page in pages for item in page] == [str(n) for n in reversed(range(250))]


async def test_start_is_the_newer_bound_end_the_older_one_and_both_are_exclusive(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    for second in range(5):
        box.add_history(MORNING + timedelta(seconds=second), text=str(second))
    query = {"start": "2026-01-15T08:00:03.000000", "end": "2026-01-15T08:00:00Z"}
    page = (await client.get("sms", params=query)).json()
    assert [item["message"] for item in page["data"]] == ["2", "1"]


async def test_a_client_whose_pages_do_not_overlap_misses_messages_of_one_millisecond(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    """A trap that follows from "strictly before"; the sandbox keeps it so that clients learn to overlap."""
    for name in "abc":
        box.add_history(MORNING, text=name)
    pages = await read_pages(client, limit="2")
    assert [[item["message"] for item in page] for page in pages] == [["c", "b"], []]
    overlapping = (await client.get("sms", params={"start": "2026-01-15T08:00:00.001000"})).json()
    assert [item["message"] for item in overlapping["data"]] == ["c", "b", "a"]


async def test_created_is_exact_in_the_answer_to_the_post_and_rounded_to_milliseconds_afterwards(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    box.clock.advance(timedelta(microseconds=300))
    sent = (await client.post("sms", data=sms(box))).json()
    shown = (await client.get(f"sms/{sent['id']}")).json()
    assert (sent["created"], shown["created"]) == ("2026-01-15T12:00:00.429689", "2026-01-15T12:00:00.430000")


async def test_history_can_be_filtered_by_recipient_but_not_by_direction(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    box.add_history(MORNING, to=PHONE, text="out")
    box.add_history(MORNING, direction="incoming", text="in")
    by_direction = (await client.get("sms", params={"direction": "incoming"})).json()
    by_recipient = (await client.get("sms", params={"to": PHONE})).json()
    assert [item["message"] for item in by_direction["data"]] == ["in", "out"]
    assert [item["message"] for item in by_recipient["data"]] == ["out"]


@pytest.mark.parametrize("query", [{"start": "yesterday"}, {"end": "x"}, {"limit": "many"}])
async def test_an_invalid_time_or_number_is_refused(
    client: httpx2.AsyncClient, query: dict[str, str]
) -> None:
    assert (await client.get("sms", params=query)).status_code == 403


async def test_a_deleted_message_is_gone(box: Sandbox, client: httpx2.AsyncClient) -> None:
    message = box.add_history(MORNING)
    assert (await client.delete(f"SMS/{message.id}")).json()["id"] == message.id
    assert (await client.get(f"sms/{message.id}")).status_code == 404
    assert box.history == []
