"""The proxy of docs/deploy.md, as a real Caddy, and the sandbox in a network of its own."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import anyio
import httpx2
import pytest

from elks_mcp.sandbox import Sandbox
from tests.support.clocks import ManualClock
from tests.support.connecting import ERAS, PHONE, Era, Person, call, come_true, data, until
from tests.support.web import Site, http_client
from tests.test_deploy import DEPLOY
from tests.web.test_replicas import replicas

pytestmark = pytest.mark.long


@contextmanager
def caddy(folder: Path, *sites: Site) -> Iterator[str]:
    """Run Caddy with our file in front of these replicas, without TLS, and return its address."""
    program = shutil.which("caddy")
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("caddy is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"http://localhost:{free.getsockname()[1]}"
    text = (DEPLOY / "Caddyfile").read_text("utf-8")
    upstreams = " ".join(urlsplit(each.url).netloc for each in sites)
    assert text.count("one:8046 two:8047") == 1
    (folder / "Caddyfile").write_text("{\n\tadmin off\n}\n" + text.replace("one:8046 two:8047", upstreams))
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "SITE": address}
    command = [program, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    with (
        (folder / "caddy.log").open("w") as log,
        subprocess.Popen(command, env=environ, stdout=log, stderr=log) as process,
    ):
        try:
            yield address
        finally:
            process.kill()


async def status_of(http: httpx2.AsyncClient, url: str, **headers: str) -> int:
    """Ask for a page; return the status, or 0 if nobody answers yet."""
    try:
        return (await http.get(url, headers=headers)).status_code
    except httpx2.TransportError:
        return 0


class Proxied(NamedTuple):
    """Two replicas behind Caddy; `outside` is the first of them by Caddy's address."""

    box: Sandbox
    one: Site
    two: Site
    outside: Site
    token: str

    @property
    def waiting_count(self) -> int:
        """The number of calls that wait for a text."""
        return self.one.app.replies.waiting_count + self.two.app.replies.waiting_count


@asynccontextmanager
async def behind_caddy(database: str, folder: Path) -> AsyncIterator[Proxied]:
    """Run two replicas, whose clock stands still, and Caddy in front of them."""
    async with replicas(database, ManualClock()) as (box, one, two), http_client() as http:
        token = await one.token("assistant")
        with caddy(folder, one, two) as address:

            async def is_ready() -> bool:
                has_started = "serving initial configuration" in (folder / "caddy.log").read_text("utf-8")
                return has_started and await status_of(http, f"{address}/mcp") == 401

            await come_true(is_ready)
            yield Proxied(box, one, two, replace(one, url=address), token)


@pytest.mark.anyio
async def test_caddy_publishes_the_protocol_and_keeps_the_rest_inside(
    postgres_database: str, tmp_path: Path
) -> None:
    async with behind_caddy(postgres_database, tmp_path) as proxied, http_client() as http:
        address, bearer = proxied.outside.url, f"Bearer {proxied.token}"
        for path in ("metrics", "healthz", "readyz", "readyz?verbose", ""):
            assert await status_of(http, f"{address}/{path}", authorization=bearer) == 404, path
        audio = await http.get(f"{address}/audio/x")
        assert (audio.status_code, audio.headers["cache-control"]) == (404, "private"), "from a replica"


@pytest.mark.anyio
@pytest.mark.parametrize("era", ERAS)
async def test_a_person_at_a_client_behind_caddy_is_asked_while_the_call_goes_on(
    postgres_database: str, tmp_path: Path, era: Era
) -> None:
    """In the older era the question is an event in the stream of the answer, which has not ended then."""
    person = Person("accept")
    async with (
        behind_caddy(postgres_database, tmp_path) as proxied,
        proxied.outside.client(era, person, token=proxied.token) as client,
    ):
        sent = await call(client, "send_sms", to=PHONE, message="Hej från Växjö 🎉", dryRun=False)
        assert data(sent)["status"] == "sent"
        assert len(person.questions) == len(proxied.box.accepted) == 1


@pytest.mark.anyio
async def test_a_client_behind_caddy_that_leaves_cancels_its_call(
    postgres_database: str, tmp_path: Path
) -> None:
    async with behind_caddy(postgres_database, tmp_path) as proxied:
        with anyio.CancelScope() as stay:
            async with (
                proxied.outside.client(token=proxied.token) as client,
                anyio.create_task_group() as calls,
            ):
                calls.start_soon(partial(call, client, "wait_for_reply"))
                await until(lambda: proxied.waiting_count == 1)
                stay.cancel()
        await until(lambda: proxied.waiting_count == 0)


def test_caddy_accepts_its_file() -> None:
    program = shutil.which("caddy")
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("caddy is not installed")
    done = subprocess.run(
        [program, "validate", "--config", "Caddyfile", "--adapter", "caddyfile"],
        cwd=DEPLOY,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (done.returncode, "Valid configuration" in done.stdout + done.stderr) == (0, True), done.stderr


_IN_A_NETWORK_OF_ITS_OWN = """
import fcntl, os, pathlib, socket, struct, subprocess, sys, time
loopback = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
fcntl.ioctl(loopback, 0x8914, struct.pack("16sh14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
assert [name for _, name in socket.if_nameindex()] == ["lo"]
state = pathlib.Path(os.environ["ELKS_STATE_DIR"])
command = [sys.executable, "-m", "elks_mcp"]
box = subprocess.Popen([*command, "sandbox", "--port", "4646"], stdout=subprocess.PIPE)
while b"4646" not in box.stdout.readline():
    assert box.poll() is None
sent = subprocess.run([*command, "send", sys.argv[1], "Hej", "--yes"], capture_output=True, text=True)
print(sent.stdout, sent.stderr)
box.kill()
"""


def test_the_sandbox_and_a_server_need_no_network_but_their_own(tmp_path: Path) -> None:
    """Both are in one network namespace, as in compose.sandbox.yaml; it has no other network."""
    unshare = [shutil.which("unshare") or "", "--net"]
    if os.name != "posix" or os.geteuid() != 0:
        unshare.append("--map-root-user")
    if not unshare[0] or subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this user may not create a network namespace")
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONUNBUFFERED": "1",
        "ELKS_STATE_DIR": str(tmp_path),
        "ELKS_API_BASE_URL": "http://localhost:4646/a1",
        "ELKS_API_USERNAME": "u000000000000000000000000005a4db0",
        "ELKS_API_PASSWORD_FILE": str(tmp_path / "sandbox.password"),
        "ELKS_PHONE_NUMBER": "+46701740699",
        "DRY_RUN": "false",
    }
    done = subprocess.run(
        [*unshare, sys.executable, "-c", _IN_A_NETWORK_OF_ITS_OWN, PHONE],
        env=environ,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert "Sent" in done.stdout, done.stdout + done.stderr
