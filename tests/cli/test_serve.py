"""`elks-mcp serve` without `--http`: it sends what is due, receives, and does nothing else."""

import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from elks_mcp.domain.orders import OrderState
from elks_mcp.sandbox import Fault
from elks_mcp.store import AccountKey, ServerKind, StateLocation
from tests.sandbox.serving import serve
from tests.support.connecting import come_true, live, new_box, posted, until
from tests.support.process import PROGRAM, invoke, running
from tests.support.stores import opened, place_one, read_rows

ACCOUNT = {"ELKS_API_USERNAME": "u", "ELKS_API_PASSWORD": "p"}
LIVE = {**ACCOUNT, "DRY_RUN": "false"}


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"ELKS_SANDBOX": "true"}, "With ELKS_SANDBOX, each process has a simulated 46elks"),
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


@pytest.mark.anyio
@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be sent these signals there")
@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
async def test_it_sends_what_is_due_and_receives_until_a_signal_ends_it(
    tmp_path: Path, number: signal.Signals
) -> None:
    box, location = new_box(), StateLocation(folder=tmp_path / "state")
    box.receive("+46701740690", "Hej")
    box.faults.inject(Fault.LATENCY, method="POST", path="/sms", dryrun=False, duration=timedelta(minutes=1))
    async with serve(box) as url, opened(location, account=AccountKey(f"{url}/a1", box.username)) as store:
        order = await place_one(store, send_at=datetime.now(UTC) + timedelta(seconds=3))
        environ = live(box, ELKS_API_BASE_URL=f"{url}/a1", ELKS_POLL_SECONDS="1", ELKS_TIMEOUT="120")
        with running(environ, tmp_path, command=(*PROGRAM, "serve")) as process:
            await until(lambda: bool(posted(box)))
            assert await store.heartbeats.find_alive() is ServerKind.SERVE
            box.receive("+46701740690", "STOP")

            async def is_recorded() -> bool:
                return bool(await store.opt_outs.list_all())

            await come_true(is_recorded)
            codes: list[int] = []

            async def end() -> None:
                codes.append(await anyio.to_thread.run_sync(process.end, number))

            async with anyio.create_task_group() as group:
                group.start_soon(end)
                await until(lambda: "stopping" in process.stderr)
                box.clock.advance(timedelta(minutes=1))  # 46elks answers
            said = process.stderr
        assert codes == [0]
        assert (await store.orders.get(order.id)).state is OrderState.SENT
        assert await store.heartbeats.find_alive() is None
    assert len(box.accepted) == 1
    [(attempted_at, send_at)] = read_rows(location, "SELECT attempted_at, send_at FROM orders")
    assert attempted_at >= send_at
    for words in (
        "No port is open.",
        "1 text is scheduled, the next for ",
        str(location.folder),
        f"{url}/a1",
    ):
        assert words in said
    assert box.username not in said
