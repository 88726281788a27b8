"""`elks-mcp serve` without `--http`: it sends due texts, receives, and does nothing else."""

import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from elks_mcp.domain.orders import OrderState
from elks_mcp.sandbox import Fault, Sandbox
from elks_mcp.store import AccountKey, ServerKind, StateLocation
from elks_mcp.store.store import Store
from tests.sandbox.serving import serve
from tests.support.connecting import come_true, live, new_box, posted, until
from tests.support.process import PROGRAM, Process, invoke, running
from tests.support.stores import MINUTE, opened, place_one, read_rows

STRANGER = "+46701740690"
ACCOUNT = {"ELKS_API_USERNAME": "u", "ELKS_API_PASSWORD": "p"}
LIVE = {**ACCOUNT, "DRY_RUN": "false"}


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"ELKS_SANDBOX": "true"}, "With ELKS_SANDBOX, each process has its own simulated 46elks"),
        ({}, "ELKS_API_USERNAME and ELKS_API_PASSWORD are not both set"),
        ({"ELKS_API_USERNAME": "u", "DRY_RUN": "false"}, "ELKS_API_PASSWORD are not both set"),
        (ACCOUNT, "DRY_RUN is on, as it is by default, so this server would send nothing."),
        ({**LIVE, "ELKS_READ_ONLY": "true"}, "ELKS_READ_ONLY is on, so this server would send nothing."),
        ({**LIVE, "ELKS_DAILY_LIMIT": "10"}, "Until that is fixed, this server would send nothing."),
        ({**LIVE, "ELKS_MAX_PARTS": "many"}, "cannot start"),
    ],
    ids=["sandbox", "no account", "half an account", "dry run", "read-only", "wrong name", "wrong value"],
)
def test_a_server_that_would_send_nothing_does_not_start(
    environ: dict[str, str], said: str, tmp_path: Path
) -> None:
    done = invoke(["serve"], {"ELKS_STATE_DIR": str(tmp_path / "state"), **environ})
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("elks-mcp: ")
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--host=127.0.0.1", "--port=0"])
def test_an_address_to_listen_on_is_for_http_only(option: str) -> None:
    done = invoke(["serve", option], LIVE)
    assert (done.exit_code, "needs --http. Without --http, no port is opened." in done.stderr) == (2, True)


@asynccontextmanager
async def held(location: StateLocation) -> AsyncIterator[tuple[Sandbox, AccountKey, Store]]:
    """Return a 46elks that holds the first text until its clock is advanced by a minute, and a state."""
    box = new_box()
    box.receive(STRANGER, "Hej")
    box.faults.inject(Fault.LATENCY, method="POST", path="/sms", dryrun=False, duration=MINUTE)
    async with serve(box) as url:
        account = AccountKey(f"{url}/a1", box.username)
        async with opened(location, account=account) as store:
            yield box, account, store


async def end(process: Process, number: signal.Signals, box: Sandbox) -> int:
    """Send a signal while a text is being sent, let 46elks answer, and return the exit code."""
    codes: list[int] = []

    async def wait() -> None:
        codes.append(await anyio.to_thread.run_sync(process.end, number))

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await until(lambda: "stopping" in process.stderr)
        box.clock.advance(MINUTE)
    return codes[0]


@pytest.mark.usefixtures("fresh_start")
@pytest.mark.anyio
@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be sent these signals there")
@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGTERM, id="SIGTERM"),
        pytest.param(signal.SIGINT, id="SIGINT", marks=pytest.mark.long),
    ],
)
async def test_the_server_sends_due_texts_and_receives_until_a_signal_ends_it(
    tmp_path: Path, number: signal.Signals
) -> None:
    location = StateLocation(folder=tmp_path / "state")
    async with held(location) as (box, account, store):
        order = await place_one(store, send_at=datetime.now(UTC) + timedelta(seconds=3))
        environ = live(box, ELKS_API_BASE_URL=account.base_url, ELKS_POLL_SECONDS="1", ELKS_TIMEOUT="60")
        with running(environ, tmp_path, command=(*PROGRAM, "serve")) as process:
            await until(lambda: bool(posted(box)))
            assert await store.heartbeats.find_alive() is ServerKind.SERVE
            box.receive(STRANGER, "STOP")

            async def is_recorded() -> bool:
                return bool(await store.opt_outs.list_all())

            await come_true(is_recorded)
            assert await end(process, number, box) == 0
            said = process.stderr
        assert (await store.orders.get(order.id)).state is OrderState.SENT
        assert await store.heartbeats.find_alive() is None
    assert len(box.accepted) == 1
    [(attempted_at, send_at)] = read_rows(location, "SELECT attempted_at, send_at FROM orders")
    assert attempted_at >= send_at
    scheduled = "1 text is scheduled, the next for "
    for words in ("No port is open.", scheduled, str(location.folder), account.masked):
        assert words in said
    assert box.username not in said
