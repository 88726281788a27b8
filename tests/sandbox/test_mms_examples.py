"""The sandbox's lists and deletions of MMS and pictures against 46elks' documented ones."""

import httpx2
import pytest

from elks_mcp.sandbox import SAMPLE, Sandbox

from .test_wire_examples import example, shape

pytestmark = pytest.mark.anyio


async def test_the_pictures_have_the_fields_and_order_of_the_documented_page(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    for _ in range(2):
        box.receive("+46701740605", "", pictures=[SAMPLE.content])
    expected = example("images")
    answer = await client.get("images", params={"limit": "1"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, expected["content_type"])
    assert shape(answer.json()) == shape(expected["body"])
    assert "next" not in (await client.get("images")).json()


async def test_the_deletion_of_an_mms_has_its_time(box: Sandbox, client: httpx2.AsyncClient) -> None:
    message = box.receive("+46701740605", "", pictures=[SAMPLE.content])
    answer = await client.delete(f"mms/{message.id}")
    assert (answer.status_code, shape(answer.json())) == (200, shape(example("mms_deleted")["body"]))
    assert answer.json()["id"] == message.id
    assert (await client.get("mms")).json()["data"] == []
