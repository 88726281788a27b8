"""A server that is pointed at an `elks-mcp sandbox` says so, and allows no more than before."""

from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from elks_mcp.app import open_app
from elks_mcp.sandbox import MAGIC, Sandbox
from elks_mcp.settings import load
from tests.sandbox.serving import serve
from tests.support.connecting import ERAS, PHONE, Era, Person, call, connected, data, live, words

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("era", ERAS)
async def test_answers_say_that_a_sandbox_on_this_machine_is_one(era: Era) -> None:
    box = Sandbox()
    async with serve(box) as url, connected(live(box, ELKS_API_BASE_URL=f"{url}/a1"), way=era) as client:
        report = await call(client, "explain_policy")
        assert words(report).startswith(
            "Sandbox: texts only go to simulated phones, and nothing costs money.\n"
        )
        assert f"see and answer: {url}\n" in words(report)
        shown = data(report)["sandbox"]
        assert (data(report)["mode"], shown["page"]) == ("sandbox", url)
        assert shown["numbers"].keys() == {*MAGIC, "any other number"}
        sent = await call(client, "send_sms", to=PHONE, message="Hej")
        assert (data(sent)["mode"], data(sent)["status"]) == ("sandbox", "sent")
        assert words(sent).startswith("Sandbox: Sent: ")
        assert words(sent).endswith(f"\nSee it arrive: {url}")


async def test_recognizing_a_sandbox_changes_no_rule() -> None:
    box = Sandbox()
    async with serve(box) as url:
        environ = live(box, ELKS_API_BASE_URL=f"{url}/a1", DRY_RUN="")
        async with connected(environ) as client:
            for _ in range(2):
                answer = await call(client, "send_sms", to=PHONE, message="Hej")
                assert (data(answer)["status"], data(answer)["mode"]) == ("dry_run", "sandbox")
    assert box.accepted == []


async def test_the_phones_of_a_recognized_sandbox_are_not_reported_as_fictitious() -> None:
    box, person = Sandbox(), Person("decline")
    async with serve(box) as url, connected(live(box, ELKS_API_BASE_URL=f"{url}/a1")) as client:
        sent = await call(client, "send_sms", to=PHONE, message="Hej")
        priced = await call(client, "estimate_sms_cost", to=PHONE, message="Hej")
    async with serve(box) as url:
        environ = live(box, ELKS_API_BASE_URL=f"{url}/a1", DRY_RUN="true")
        async with connected(environ, person=person) as client:
            await call(client, "send_sms", to=PHONE, message="Hej", dryRun=False)
    (question,) = person.questions
    assert "this text would go to a simulated phone." in question
    for said in (words(sent), words(priced), question):
        assert "fiction" not in said
        assert "charges" not in said


async def test_46elks_itself_is_never_taken_for_a_sandbox() -> None:
    box = Sandbox()  # its account claims to be one, and the address is not of this machine
    async with connected(live(box), box=box) as client:
        sent = await call(client, "send_sms", to=PHONE, message="Hej")
        report = await call(client, "explain_policy")
    assert (data(sent)["mode"], data(report)["mode"], data(report)["sandbox"]) == ("live", "live", None)
    assert words(sent).startswith("Sent: ")
    assert "See it arrive" not in words(sent)


@pytest.mark.parametrize(("set_to", "seconds"), [("", 1), ("7", 7)])
async def test_a_sandbox_on_this_machine_is_polled_for_replies_every_second(
    set_to: str, seconds: int
) -> None:
    box = Sandbox()
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serve(box))
        environ = live(box, ELKS_API_BASE_URL=f"{url}/a1", ELKS_POLL_SECONDS=set_to)
        app = await stack.enter_async_context(open_app(load(environ)))
        if not set_to:
            assert app.replies.poll == timedelta(seconds=10), "it is not known yet"
        await app.client.get_currency()
        assert app.replies.poll == timedelta(seconds=seconds)
