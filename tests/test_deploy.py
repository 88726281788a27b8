"""The files of docs/deploy.md and docs/long-running.md: what no container engine is needed for to see."""

import os
import plistlib
import re
import shlex
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address, ip_network
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import click
import httpx2
import psycopg
import pytest
import yaml
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from sqlalchemy import make_url

from elks_mcp.cli import commands
from elks_mcp.cli.exit_codes import ExitCode
from elks_mcp.cli.sandbox import PASSWORD_FILE
from elks_mcp.sandbox import account
from elks_mcp.settings import ALSO_AS_FILE, NAMES, Settings, load
from tests.support.connecting import call, come_true, data
from tests.support.process import PROGRAM

DEPLOY = Path(__file__).parents[1] / "deploy"
PRODUCTION, SANDBOX = ("compose.yaml",), ("compose.yaml", "compose.sandbox.yaml")
_OURS = ("sandbox", "one", "two")


_RESET = "removed by a later file"


def read_example() -> dict[str, str]:
    """Read the values of `.env.example`."""
    lines = (DEPLOY / ".env.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and line[0] != "#")


def compose(files: tuple[str, ...] = SANDBOX, /, **filled: str) -> dict[str, Any]:
    """Read the services as Compose would, with a filled `.env`."""
    values = read_example() | filled

    def value(found: re.Match[str]) -> str:
        return values.get(found[1]) or found[2] or ""

    def fill(part: Any) -> Any:
        if isinstance(part, dict):
            return {name: fill(each) for name, each in part.items()}
        if isinstance(part, list):
            return [fill(each) for each in part]
        return re.sub(r"\$\{(\w+)(?::[-?]([^}]*))?\}", value, part) if isinstance(part, str) else part

    merged: dict[str, Any] = {}
    for file in files:
        text = (DEPLOY / file).read_text(encoding="utf-8")
        merged = _merge(merged, fill(yaml.safe_load(text.replace("!reset null", _RESET))))
    return merged


def _merge(one: Any, other: Any) -> Any:
    """Merge what two files say, as Compose does: objects by key, lists one after the other."""
    if isinstance(one, dict) and isinstance(other, dict):
        both = one | {name: _merge(one.get(name), each) for name, each in other.items()}
        return {name: each for name, each in both.items() if each != _RESET}
    if isinstance(one, list) and isinstance(other, list):
        return [*one, *other]
    return other


SECRETS = {"DATABASE_PASSWORD": "d" * 64, "ELKS_SECRET_KEY": "k" * 64}
LIVE = {
    "ELKS_API_USERNAME": "u0123456789abcdef",
    "ELKS_API_PASSWORD": "a real one",
    "ELKS_PUBLIC_URL": "https://sms.example.com",
}
"""The values that docs/deploy.md names for a real account."""


def test_nothing_of_the_sandbox_is_in_the_production_network() -> None:
    """The second file is read only while `COMPOSE_FILE` names it, and going live removes that line."""
    live = compose(PRODUCTION, **SECRETS, **LIVE)
    assert live["services"].keys() == {"database", "one", "two", "proxy"}
    assert "sandbox" not in re.sub(r"#.*", "", (DEPLOY / "compose.yaml").read_text("utf-8"))
    for name in ("one", "two"):
        replica = live["services"][name]
        assert replica["depends_on"].keys() == {"database"}
        assert replica["networks"] == ["inside"]
        assert not {"network_mode", "volumes"} & replica.keys()
    example = read_example()
    assert tuple(example["COMPOSE_FILE"].split(example["COMPOSE_PATH_SEPARATOR"])) == SANDBOX
    for file in ("Caddyfile", "prometheus.yml"):
        assert "sandbox" not in (DEPLOY / file).read_text("utf-8")


def test_the_sandbox_takes_the_names_of_the_replicas_whose_network_it_shares() -> None:
    services = compose(**SECRETS)["services"]
    assert services["sandbox"]["networks"]["inside"]["aliases"] == ["one", "two"]
    for name in ("one", "two"):
        assert services[name]["network_mode"] == "service:sandbox"
        assert "networks" not in services[name], "Compose refuses both"
        assert services[name]["depends_on"].keys() == {"database", "sandbox"}


def test_the_real_password_does_not_reach_a_replica_that_uses_the_sandbox() -> None:
    environment = compose(**SECRETS, **LIVE)["services"]["one"]["environment"]
    assert not set(LIVE.values()) & set(environment.values())


def test_only_the_proxy_is_exposed_and_our_services_run_without_privileges() -> None:
    services = compose(**SECRETS)["services"]
    assert {name for name, each in services.items() if "ports" in each} == {"proxy"}
    for name in _OURS:
        each = services[name]
        assert each["read_only"]
        assert each["cap_drop"] == ["ALL"]
        assert each["security_opt"] == ["no-new-privileges:true"]
    assert services["database"]["image"] == "postgres:18"
    pinned = compose(**SECRETS, POSTGRES_IMAGE="postgres@sha256:0", CADDY_IMAGE="caddy@sha256:1")["services"]
    assert [pinned[each]["image"] for each in ("database", "proxy")] == [
        "postgres@sha256:0",
        "caddy@sha256:1",
    ]


def test_the_replicas_have_existing_settings_and_all_the_same(tmp_path: Path) -> None:
    (tmp_path / PASSWORD_FILE).write_text("0" * 32, encoding="ascii")
    services = compose(**SECRETS)["services"]
    mounted = services["one"]["environment"]["ELKS_API_PASSWORD_FILE"]
    assert (services["sandbox"]["volumes"], mounted) == (["sandbox:/data"], f"/sandbox/{PASSWORD_FILE}")
    assert services["one"]["volumes"] == ["sandbox:/sandbox:ro"]
    one, two = (services[name]["environment"] for name in ("one", "two"))
    assert one == two
    one |= {"ELKS_API_PASSWORD_FILE": str(tmp_path / PASSWORD_FILE)}
    assert set(one) <= {*NAMES, *(f"{name}_FILE" for name in ALSO_AS_FILE)}
    settings = load(one).settings
    assert settings.credentials
    assert (settings.credentials.username, settings.api_base_url) == (
        account.DEFAULT_USERNAME,
        "http://localhost:4646/a1",
    )
    live = load(compose(PRODUCTION, **SECRETS, **LIVE)["services"]["one"]["environment"])
    assert live.settings.base_url == "https://api.46elks.com/a1"


def test_the_example_sends_nothing_until_the_operator_says_so() -> None:
    environment = compose(PRODUCTION, **SECRETS, **LIVE)["services"]["one"]["environment"]
    assert load(environment).settings.policy().dry_run
    assert environment["DRY_RUN"] == "true"


def test_forwarding_headers_are_used_only_from_the_address_of_the_proxy() -> None:
    read = compose(PRODUCTION, **SECRETS, **LIVE)
    settings = load(read["services"]["one"]["environment"]).settings
    proxy = ip_address(read["services"]["proxy"]["networks"]["inside"]["ipv4_address"])
    assert settings.trusted_proxies == (ip_network(proxy),)
    [network] = read["networks"]["inside"]["ipam"]["config"]
    assert proxy in ip_network(network["subnet"])
    assert proxy not in ip_network(network["ip_range"]), "Docker could give it to another container"


def test_the_logs_of_every_service_are_rotated() -> None:
    for name, each in compose(**SECRETS)["services"].items():
        assert each["logging"]["options"] == {"max-size": "10m", "max-file": "5"}, name


def test_every_image_can_be_pinned_by_its_digest() -> None:
    example = (DEPLOY / ".env.example").read_text(encoding="utf-8")
    dockerfile = (DEPLOY.parent / "Dockerfile").read_text(encoding="utf-8")
    assert "RepoDigests" in example
    assert set(re.findall("^([A-Z]+_IMAGE)=", example, re.MULTILINE)) == {
        "POSTGRES_IMAGE",
        "CADDY_IMAGE",
        "PYTHON_IMAGE",
    }
    assert set(re.findall("^FROM (\\S+)", dockerfile, re.MULTILINE)) == {"${PYTHON_IMAGE}"}
    built = compose(**SECRETS, PYTHON_IMAGE="python@sha256:2")["services"]["one"]["build"]
    assert built["args"] == {"PYTHON_IMAGE": "python@sha256:2"}


def test_the_document_says_how_to_encrypt_the_connection_to_the_database() -> None:
    document = (DEPLOY.parent / "docs" / "deploy.md").read_text(encoding="utf-8")
    [ending] = re.findall(r"^\?sslmode=verify-full\S*$", document, re.MULTILINE)
    url = load({"ELKS_DATABASE_URL": f"postgresql://elks:x@192.0.2.7/elks{ending}"}).settings.database_url
    assert url
    assert make_url(url.get_secret_value()).query["sslmode"] == "verify-full"


@pytest.mark.parametrize("name", _OURS)
def test_the_commands_of_the_services_exist(name: str) -> None:
    command = compose(**SECRETS)["services"][name]["command"]
    with commands.make_context("elks-mcp", list(command)) as context:
        found = commands.get_command(context, command[0])
        assert found
        found.make_context(command[0], list(command[1:]), parent=context)


def test_every_command_in_the_document_exists() -> None:
    document = (DEPLOY.parent / "docs" / "deploy.md").read_text(encoding="utf-8")
    written = re.findall(r"^docker compose run --rm one (.*)$", document, re.MULTILINE)
    assert len(written) >= 5
    for line in written:
        words = shlex.split(line)
        context = commands.make_context("elks-mcp", words)
        group: Any = commands
        while words and isinstance(group, click.Group):
            group, words = group.get_command(context, words[0]), words[1:]
            assert group, line
        group.make_context(line, words, parent=context)


def test_the_image_runs_without_root_and_has_a_health_check() -> None:
    lines = (DEPLOY.parent / "Dockerfile").read_text(encoding="utf-8").splitlines()
    last_stage = lines[max(number for number, line in enumerate(lines) if line.startswith("FROM")) :]
    assert "USER 10001:10001" in last_stage
    assert "VOLUME /data" in last_stage
    assert any("/healthz" in line for line in last_stage)
    assert not any("PYTHONDONTWRITEBYTECODE" in line for line in lines)
    copied = {
        word
        for line in lines
        if line.startswith("COPY") and "--from" not in line
        for word in line.split()[1:-1]
    }
    ignored = (DEPLOY.parent / ".dockerignore").read_text(encoding="utf-8")
    assert all(f"!{each}" in ignored for each in copied)
    assert all((DEPLOY.parent / each).exists() for each in copied)


def test_the_proxy_publishes_the_protocol_webhooks_and_audio_only() -> None:
    text = (DEPLOY / "Caddyfile").read_text(encoding="utf-8")
    assert re.search(r"path /mcp /hooks/\* /audio/\*\n", text)
    assert "respond 404" in text
    services = compose(**SECRETS)["services"]
    replicas = {f"{name}:{services[name]['command'][-1]}" for name in ("one", "two")}
    assert set(re.findall(r"\w+:80[0-9]+", text)) == replicas
    scraped = yaml.safe_load((DEPLOY / "prometheus.yml").read_text("utf-8"))["scrape_configs"]
    assert {
        each for config in scraped for where in config["static_configs"] for each in where["targets"]
    } == (replicas)
    assert replicas <= set(services["one"]["environment"]["ELKS_ALLOWED_HOSTS"].split(","))


# ── the units of docs/long-running.md ──

_UNITS = ("elks-mcp.service", "elks-mcp.plist", "elks-mcp-task.xml")
_TASK = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"


def read_unit(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="ascii")


def read_service() -> dict[str, str]:
    """Read what the systemd unit says about its process."""
    unit = ConfigParser(interpolation=None)
    unit.read_string(read_unit("elks-mcp.service"))
    return dict(unit["Service"])


def read_agent() -> dict[str, Any]:
    """Read the launch agent."""
    agent: dict[str, Any] = plistlib.loads(read_unit("elks-mcp.plist").encode())
    return agent


def read_task(name: str) -> str:
    """Read one element of the Windows task."""
    text = ET.fromstring(read_unit("elks-mcp-task.xml")).findtext(f".//{_TASK}{name}")  # noqa: S314
    assert text, name
    return text


_COMMANDS: list[Callable[[], str]] = [
    lambda: read_service()["execstart"].replace("%h", "/home/you"),
    lambda: read_agent()["ProgramArguments"][2].removeprefix("exec ").partition(" 2>>")[0],
    lambda: f"{read_task('Command')} {read_task('Arguments')}".replace("\\", "/"),
]


@pytest.mark.parametrize("read", _COMMANDS, ids=_UNITS)
def test_each_unit_runs_an_existing_command_with_a_file_of_settings(read: Callable[[], str]) -> None:
    program, *words = shlex.split(read())
    assert re.search(r"/\.local/bin/elks-mcp(\.exe)?$", program)
    assert words[:2] == ["serve", "--env-file"]
    assert words[2].endswith("/elks.env")
    with commands.make_context("elks-mcp", list(words)) as context:
        found = commands.get_command(context, words[0])
        assert found
        found.make_context(words[0], words[1:], parent=context)


@pytest.mark.parametrize("name", _UNITS)
def test_no_unit_has_a_setting_or_a_secret(name: str) -> None:
    assert set(re.findall(r"\b(?:ELKS_\w+|DRY_RUN)\b", read_unit(name))) <= {"ELKS_TIMEOUT"}


def test_each_unit_restarts_a_server_that_failed() -> None:
    service = read_service()
    assert (service["restart"], service["restartpreventexitstatus"]) == (
        "on-failure",
        str(int(ExitCode.WRONG_USE)),
    )
    assert read_agent()["KeepAlive"] == {"SuccessfulExit": False}
    assert (read_task("Interval"), read_task("MultipleInstancesPolicy")) == ("PT5M", "IgnoreNew")
    assert read_task("ExecutionTimeLimit") == "PT0S", "Windows ends a task after three days otherwise"


def test_a_stop_leaves_time_for_the_longest_request() -> None:
    [longest] = [each.le for each in Settings.model_fields["timeout"].metadata if hasattr(each, "le")]
    assert longest < int(service_seconds := read_service()["timeoutstopsec"])
    assert read_agent()["ExitTimeOut"] == int(service_seconds)


_SYSTEMD_ANALYZE = shutil.which("systemd-analyze")


@pytest.mark.skipif(_SYSTEMD_ANALYZE is None, reason="systemd is not installed")
def test_systemd_accepts_its_unit(tmp_path: Path) -> None:
    program = tmp_path / ".local" / "bin" / "elks-mcp"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    assert _SYSTEMD_ANALYZE
    done = subprocess.run(
        [_SYSTEMD_ANALYZE, "--user", "verify", str(DEPLOY / "elks-mcp.service")],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no shell")
def test_the_launch_agent_finds_the_home_folder_and_keeps_a_log(tmp_path: Path) -> None:
    home = tmp_path / "a home"
    program = home / ".local" / "bin" / "elks-mcp"
    for folder in (program.parent, home / "Library" / "Logs"):
        folder.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "$@" >&2\n', encoding="ascii")
    program.chmod(0o755)
    environ = {"PATH": os.environ["PATH"], "HOME": str(home)}
    for _ in range(2):
        subprocess.run(read_agent()["ProgramArguments"], env=environ, check=True)
    log = (home / "Library" / "Logs" / "elks-mcp.log").read_text(encoding="utf-8")
    assert log == f"serve --env-file {home}/elks.env\n" * 2


# ── the same processes, without containers ──


@contextmanager
def running(command: list[str], environ: dict[str, str]) -> Iterator[str]:
    """Run one of the services, at a port of the machine's choice; give its address."""
    command = ["0" if before == "--port" else word for before, word in pairwise(["", *command])]
    environ = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", **environ}
    with subprocess.Popen(
        [*PROGRAM, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environ, encoding="utf-8"
    ) as process:
        try:
            assert process.stdout
            for line in process.stdout:
                if found := re.search(r"http://(?:localhost|[0-9.]+):([0-9]+)", line):
                    break
            else:
                raise AssertionError("it does not start")
            yield f"http://127.0.0.1:{found[1]}"
        finally:
            process.kill()


@pytest.mark.anyio
@pytest.mark.long
async def test_the_services_work_together_without_containers(postgres_database: str, tmp_path: Path) -> None:
    services, state = compose(**SECRETS, DRY_RUN="false")["services"], {"ELKS_STATE_DIR": str(tmp_path)}
    with ExitStack() as stack:
        phones = stack.enter_context(running(services["sandbox"]["command"], state))
        environ = services["one"]["environment"] | {
            "ELKS_API_PASSWORD_FILE": str(tmp_path / PASSWORD_FILE),
            "ELKS_DATABASE_URL": postgres_database,
            "ELKS_API_BASE_URL": f"{phones}/a1",
            "ELKS_PUBLIC_URL": "",
            **state,
        }
        making = [*PROGRAM, "token", "new", "assistant", "--scope", "read", "--scope", "send"]
        made = await anyio.run_process(making, env=environ | {"PATH": os.environ["PATH"]})
        token = made.stdout.decode().strip()
        one, two = (
            stack.enter_context(running(services[name]["command"], environ)) for name in ("one", "two")
        )

        async def ask(where: str, tool: str, **arguments: Any) -> dict[str, Any]:
            shown = {"authorization": f"Bearer {token}", "host": "localhost"}
            async with (
                httpx2.AsyncClient(trust_env=False, headers=shown, timeout=60) as http,
                Client(streamable_http_client(f"{where}/mcp", http_client=http)) as client,
            ):
                return data(await call(client, tool, **arguments))

        sent = await ask(one, "send_sms", to="+46701740613", message="Kommer du?")
        assert sent["status"] == "sent"
        reply = await ask(two, "wait_for_reply", after=sent["orderId"], timeout=30)
        assert reply["status"] == "received"

        async def is_known() -> bool:
            status = await ask(two, "check_sms_status", messageId=sent["orderId"])
            return str(status["status"]) == "delivered"

        await come_true(is_known)
    with psycopg.connect(postgres_database) as connection:
        assert connection.execute("select count(*), min(caller) from orders").fetchone() == (1, "assistant")
