"""A server in sandbox mode and its page: the content, and the decisions of people there."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import anyio
import anyio.to_thread
import pytest
from mcp import Client
from mcp.client import ClientRequestContext
from mcp_types import Implementation, ListRootsResult, Root

from elks_mcp.app import App, open_app
from elks_mcp.embedded_sandbox import EmbeddedSandbox
from elks_mcp.mcp_server.server import build_server
from elks_mcp.sandbox import SAMPLE, Fault
from elks_mcp.settings import load
from tests.support.browser import Browser
from tests.support.connecting import (
    ERAS,
    PHONE,
    Era,
    Person,
    SlowPerson,
    call,
    come_true,
    data,
    until,
    words,
)

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def with_page(
    *,
    era: Era = "auto",
    person: Person | None = None,
    name: str = "test",
    root: Root | None = None,
    **environ: str,
) -> AsyncIterator[tuple[Client, EmbeddedSandbox]]:
    """Connect a client to a server in this process that serves its page."""
    configuration = load({"ELKS_SANDBOX": "true", **environ})
    apps: list[App] = []

    @asynccontextmanager
    async def opened() -> AsyncIterator[App]:
        async with open_app(configuration, has_page=True) as app:
            apps.append(app)
            yield app

    async def list_roots(context: ClientRequestContext) -> ListRootsResult:
        return ListRootsResult(roots=[root] if root else [])

    client = Client(
        build_server(configuration.policy, opened),
        mode=era,
        client_info=Implementation(name="id", title=name, version="1"),
        elicitation_callback=person,
        list_roots_callback=list_roots if root else None,
    )
    async with client as connection:
        await connection.list_tools()
        sandbox = apps[0].sandbox
        assert sandbox
        yield connection, sandbox


async def approve(sandbox: EmbeddedSandbox, code: str, *, approved: bool = True) -> str:
    """Decide about a text, as the page does."""
    assert sandbox.box.page.approvals
    return await sandbox.box.page.approvals.decide(code, approved)


async def list_codes(sandbox: EmbeddedSandbox) -> list[str]:
    """List the codes of the texts that the page shows as waiting."""
    assert sandbox.box.page.approvals
    return [each.code for each in await sandbox.box.page.approvals.list_waiting()]


@pytest.mark.parametrize("era", ERAS)
async def test_a_text_that_needs_a_person_is_approved_on_the_page(era: Era) -> None:
    async with with_page(era=era, ELKS_CONFIRM="always") as (client, sandbox):
        assert await list_codes(sandbox) == []
        refused = await call(client, "send_sms", to=PHONE, message="Hej å")
        assert refused.is_error
        assert f"within 30 minutes on the sandbox's page, {sandbox.page_address}." in words(refused)
        assert sandbox.box.page.approvals
        (waiting,) = await sandbox.box.page.approvals.list_waiting()
        assert (waiting.to, waiting.sender, waiting.message) == (PHONE, sandbox.box.number, "Hej å")
        assert "The operator requires approval of every text." in waiting.reasons
        assert waiting.details["Price"] == "0.52 SEK"
        assert waiting.code in words(refused)
        pending = await call(client, "check_sms_status", messageId=waiting.details["Order"])
        assert f"approve it on {sandbox.page_address}" in words(pending)
        assert sandbox.box.accepted == []
        assert await approve(sandbox, waiting.code) == "Approved. It is sent now."
        await until(lambda: bool(sandbox.box.accepted))
        assert [each.text for each in sandbox.box.accepted] == ["Hej å"]
        assert await list_codes(sandbox) == []


async def test_p2_the_page_shows_the_picture_that_goes_out() -> None:
    image = f"data:image/png;base64,{b64encode(SAMPLE.content).decode()}"
    async with with_page(ELKS_CONFIRM="always", ELKS_TOOLSETS="mms") as (client, sandbox):
        await call(client, "send_mms", to=PHONE, image=image)
        assert sandbox.box.page.approvals
        (waiting,) = await sandbox.box.page.approvals.list_waiting()
        assert waiting.details["Picture"].startswith("given in the call (96 × 64 pixels")
        assert (waiting.details["Price"], "Size" in waiting.details) == ("1.25 SEK", False)
        await approve(sandbox, waiting.code)
        await until(lambda: bool(sandbox.box.accepted))
        [sent] = sandbox.box.accepted[0].pictures
    assert waiting.picture == f"data:image/png;base64,{b64encode(sent.content).decode()}"


async def test_p2_the_page_names_the_time_of_a_text_that_goes_out_later() -> None:
    async with with_page(ELKS_CONFIRM="always", ELKS_TIME_ZONE="Europe/Stockholm") as (client, sandbox):
        tomorrow = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(days=1)
        await call(client, "send_sms", to=PHONE, message="Hej", sendAt=tomorrow.isoformat())
        assert sandbox.box.page.approvals
        (waiting,) = await sandbox.box.page.approvals.list_waiting()
        when = f"{tomorrow.astimezone(ZoneInfo('Europe/Stockholm')):%A %Y-%m-%d %H:%M}"
        assert waiting.details["Goes out"].startswith(when)
        assert (await approve(sandbox, waiting.code)).startswith(f"Approved. It goes out on {when}")
        assert sandbox.box.accepted == []


async def test_p3_an_approval_on_the_page_works_once() -> None:
    async with with_page(ELKS_CONFIRM="always") as (client, sandbox):
        await call(client, "send_sms", to=PHONE, message="Hej")
        (code,) = await list_codes(sandbox)
        await approve(sandbox, code)
        await until(lambda: bool(sandbox.box.accepted))
        for again in (True, False):
            with pytest.raises(LookupError, match="no longer waits: it is sent"):
                await approve(sandbox, code, approved=again)
        with pytest.raises(LookupError, match="No text has that code"):
            await approve(sandbox, "A-0000")
        assert len(sandbox.box.accepted) == 1


@pytest.mark.parametrize("approved", [True, False])
async def test_a_batch_that_needs_a_person_is_decided_on_the_page_once(approved: bool) -> None:
    people = [f"+467017406{number}" for number in range(20, 31)]
    async with with_page() as (client, sandbox):
        planned = await call(client, "plan_batch", message="Hej på er!", recipients=people)
        plan = data(planned)
        assert "waits for a person's approval on the sandbox's page" in words(planned)
        refused = await call(client, "start_batch", batchId=plan["batchId"])
        assert f"on the sandbox's page, {sandbox.page_address}." in words(refused)
        assert sandbox.box.page.approvals
        (waiting,) = await sandbox.box.page.approvals.list_batches()
        assert (waiting.title, waiting.id) == ("11 texts to 11 recipients", plan["batchId"])
        assert (f"Row 1, to {people[0]}, 1 part", "Hej på er!") in waiting.samples
        outcome = await approve(sandbox, waiting.code, approved=approved)
        assert outcome == ("Approved. It is started now." if approved else "Declined. It is not started.")
        with pytest.raises(LookupError, match="no longer waits"):
            await approve(sandbox, waiting.code)
        states = {"running", "finished"} if approved else {"cancelled"}  # at night it waits for the morning

        async def has_ended() -> bool:
            return data(await call(client, "check_batch", batchId=plan["batchId"]))["status"] in states

        await come_true(has_ended)


async def test_a_person_sees_a_batch_approves_it_and_follows_it_to_its_end(browser: Browser) -> None:
    pasted = "namn;telefon\n<b>Åsa</b>;070-174 06 05\nBo;070-174 06 06\nKim;08-123 456 78\n"
    async with with_page(ELKS_CONFIRM="always", ELKS_GUARDS_OFF="night") as (client, sandbox):
        plan = data(await call(client, "plan_batch", message="Hej {namn}!", csv=pasted))
        await call(client, "start_batch", batchId=plan["batchId"])
        sandbox.box.faults.inject(Fault.FORBIDDEN, method="POST", dryrun=False, skip=1, text="Not this one")

        def use(address: str) -> None:
            words_of = "(document.querySelector('{}')?.textContent ?? '')".format
            browser.open(f"{address}/", width=360, height=740)
            browser.wait_for(f"{words_of('#waiting h3')} === '2 texts to 2 recipients'")
            shown = browser.evaluate(words_of("#waiting-list"))
            assert "Hej <b>Åsa</b>!" in shown
            assert "(row 4)" in shown
            browser.evaluate("document.querySelector('#waiting .main').click()")
            browser.wait_for(f"{words_of('#batches .status')} === 'Finished: 1 of 2 sent, 1 not sent.'")
            assert "Not this one" in browser.evaluate(words_of("#batches-list"))
            assert browser.evaluate("document.querySelector('#batches progress').position") == 1

        assert sandbox.page_address
        await anyio.to_thread.run_sync(use, sandbox.page_address)
    assert [each.text for each in sandbox.box.accepted] == ["Hej <b>Åsa</b>!"]


async def test_a_text_that_is_declined_on_the_page_is_not_sent() -> None:
    async with with_page(ELKS_CONFIRM="always") as (client, sandbox):
        await call(client, "send_sms", to=PHONE, message="Hej")
        assert sandbox.box.page.approvals
        (waiting,) = await sandbox.box.page.approvals.list_waiting()
        assert await approve(sandbox, waiting.code, approved=False) == "Declined. It is not sent."
        status = data(await call(client, "check_sms_status", messageId=waiting.details["Order"]))
        assert (status["status"], status["meaning"]) == (
            "cancelled",
            "Declined by a person on the sandbox's page.",
        )
        assert sandbox.box.accepted == []


@pytest.mark.parametrize("era", ERAS)
async def test_p1_in_dry_run_a_person_on_the_page_can_release_one_text(era: Era) -> None:
    async with with_page(era=era, DRY_RUN="true") as (client, sandbox):
        assert data(await call(client, "send_sms", to=PHONE, message="Hej"))["status"] == "dry_run"
        refused = await call(client, "send_sms", to=PHONE, message="Hej", dryRun=False)
        assert "The server is in dry run; this text would go to a simulated phone." in words(refused)
        assert sandbox.box.accepted == []
        (code,) = await list_codes(sandbox)
        await approve(sandbox, code)
        await until(lambda: bool(sandbox.box.accepted))


async def test_without_a_person_to_ask_the_dry_run_stays() -> None:
    for confirm, read_only in (("never", "false"), ("always", "true")):
        opened = with_page(DRY_RUN="true", ELKS_CONFIRM=confirm, ELKS_READ_ONLY=read_only)
        async with opened as (client, sandbox):
            assert (await call(client, "send_sms", to=PHONE, message="Hej", dryRun=False)).is_error
            assert (await list_codes(sandbox), sandbox.box.accepted) == ([], [])


async def test_p6_a_recipient_who_opts_out_while_a_text_waits_gets_nothing_when_it_is_approved() -> None:
    async with with_page(ELKS_CONFIRM="always", ELKS_POLL_SECONDS="1") as (client, sandbox):
        await call(client, "send_sms", to=PHONE, message="Hej")
        (code,) = await list_codes(sandbox)
        sandbox.box.receive(PHONE, "STOP")
        await call(client, "get_sms_messages")
        assert "Not sent: " in await approve(sandbox, code)
        assert sandbox.box.accepted == []


async def test_a_text_approved_on_the_page_is_not_reported_as_declined_in_the_client() -> None:
    person = SlowPerson()
    person.action = "decline"
    async with with_page(era="legacy", person=person, ELKS_CONFIRM="always") as (client, sandbox):
        answers = []

        async def send() -> None:
            answers.append(await call(client, "send_sms", to=PHONE, message="Hej"))

        async with anyio.create_task_group() as calls:
            calls.start_soon(send)
            await until(lambda: bool(person.questions))
            (code,) = await list_codes(sandbox)
            await approve(sandbox, code)
            await until(lambda: bool(sandbox.box.accepted))
            person.answers.set()
        assert not answers[0].is_error
        assert "Sent: " in words(answers[0])


async def test_the_page_says_how_another_client_gets_a_sandbox() -> None:
    async with with_page() as (_, sandbox):
        await until(lambda: bool(sandbox.box.page.snippets))
        text, place = sandbox.box.page.snippets["Cursor"]
        (server,) = json.loads(text)["mcpServers"].values()
        assert server["env"] == {"ELKS_SANDBOX": "true"}
        assert Path(server["command"]).is_absolute()
        command = f"{server['command']} connect cursor --sandbox"
        assert f"Add it to {Path.home() / '.cursor' / 'mcp.json'}. " in place
        assert place.endswith(f": `{command}`")


# ── the title ──


@pytest.mark.parametrize("era", ERAS)
async def test_the_title_names_client_and_folder(
    era: Era, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my-shop").mkdir()
    monkeypatch.chdir(tmp_path / "my-shop")
    async with with_page(era=era, name="Claude\u202e\n Code") as (_, sandbox):
        assert sandbox.box.page.title == "Claude Code · my-shop"


@pytest.mark.parametrize(
    ("root", "folder"),
    [
        (Root(uri="file:///home/me/my%20shop/"), "my shop"),
        (Root(uri="file:///home/me/shop", name="The \u202eshop"), "The shop"),
    ],
)
async def test_the_folder_that_a_client_names_is_used(root: Root, folder: str) -> None:
    async with with_page(era="legacy", root=root) as (_, sandbox):
        await until(lambda: sandbox.box.page.title == f"test · {folder}")
