"""A STOP that arrives as an MMS at a server that offers no pictures: its webhook counts."""

import pytest

from tests.support.connecting import PHONE, call, posted, until, words
from tests.support.mms_cases import PNG
from tests.support.webhook_cases import tell_number, webhook_site

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("word", ["STOP", "Sluta skicka mms till mig"])
async def test_p6_a_stop_by_the_webhook_of_mms_counts_without_the_toolset(word: str) -> None:
    async with webhook_site() as (box, served), served.client() as client:
        await tell_number(box, await served.hook("mms"), "mms_url")
        await call(client, "send_sms", to=PHONE, message="Hej")
        box.receive(PHONE, word, pictures=[PNG])
        await until(lambda: [each.status for each in box.webhooks if each.kind == "incoming"] == [204])
        refused = await call(client, "send_sms", to=PHONE, message="Hej igen")
    assert "opted_out" in words(refused)
    assert len(posted(box)) == 1
