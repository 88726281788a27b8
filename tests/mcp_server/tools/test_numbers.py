"""The tool `number_info`: what reaches this server, and how, with nothing secret."""

import pytest

from elks_mcp.sandbox import Sandbox
from elks_mcp.sandbox.account import SandboxNumber
from tests.support.connecting import call, connected, data, live, new_box, posted, words
from tests.support.web import site

pytestmark = pytest.mark.anyio
SECOND, THIRD = "+46701740698", "+46701740697"
SECRET = "s3cr3t"
ON = {"ELKS_TOOLSETS": "numbers"}


@pytest.fixture
def box() -> Sandbox:
    """A 46elks whose account has three numbers: a bare one, one with addresses, an ended one."""
    box = new_box()
    own, now = next(iter(box.numbers)), box.clock.now()
    own.capabilities = ("sms",)
    other = box.numbers.add(SandboxNumber(SECOND, now, capabilities=("sms", "voice", "mms"), name="Växel"))
    other.sms_url = f"https://u:{SECRET}@crm.example.com/{SECRET}?k={SECRET}"
    other.voice_start, other.mms_url = f'{{"connect": "{SECRET}"}}', f"https://mms.example.com/{SECRET}"
    box.numbers.add(SandboxNumber(THIRD, now)).deallocated_at = now
    return box


async def test_each_number_says_how_what_it_receives_reaches_the_server(box: Sandbox) -> None:
    async with connected(live(box, **ON), box=box) as client:
        answer = await call(client, "number_info")
    bare, other = data(answer)["numbers"]
    assert (bare["number"], bare["texts"]["way"]) == (box.number, "polling")
    assert (bare["calls"]["way"], bare["pictures"]["way"]) == ("cannot", "cannot")
    assert (other["number"], other["name"], other["capabilities"]) == (
        SECOND,
        "Växel",
        ["sms", "voice", "mms"],
    )
    assert other["texts"] == {"way": "polling", "postedTo": "https://crm.example.com/…"}
    assert other["calls"] == {"way": "not read", "postedTo": "46elks' action `connect`"}
    assert other["pictures"] == {"way": "not read", "postedTo": "https://mms.example.com/…"}
    assert SECRET not in answer.model_dump_json()
    assert "id" not in bare
    said = words(answer).splitlines()
    assert said[0] == "2 numbers."
    assert "texts are read from 46elks' history (46elks posts them to https://crm.example.com/…)" in said[2]


async def test_a_webhook_of_this_server_is_named_as_that_and_its_secret_is_not_shown() -> None:
    box = new_box()
    async with site(box, environ=ON) as served:
        hook = await served.hook("sms")
        next(iter(box.numbers)).sms_url = hook
        async with served.client() as client:
            answer = await call(client, "number_info")
    (number,) = data(answer)["numbers"]
    assert number["texts"] == {"way": "webhook", "postedTo": ""}
    assert "texts come to this server immediately" in words(answer)
    assert hook.split("/")[-2] not in answer.model_dump_json()


async def test_hidden_numbers_stay_hidden(box: Sandbox) -> None:
    async with connected(live(box, ELKS_SHOW_NUMBERS="false", **ON), box=box) as client:
        answer = await call(client, "number_info")
    shown = answer.model_dump_json()
    assert box.number not in shown
    assert SECOND not in shown
    own, second = (each["number"] for each in data(answer)["numbers"])
    assert ("99" in own, "98" in second) == (True, True)


async def test_it_changes_nothing_and_is_off_by_default(box: Sandbox) -> None:
    async with connected(live(box, **ON), box=box) as client:
        await call(client, "number_info")
    assert [request.method for request in box.requests] == ["GET"]
    assert posted(box, dry_run=True) == []
    async with connected(live(box), box=box) as client:
        assert (await call(client, "number_info")).is_error
