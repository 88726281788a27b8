"""docs/sandbox.md: its calls are made and its tables compared."""

import re
import shlex
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from elks_mcp.sandbox import FIRST_PHONE, MAGIC, Fault, Sandbox, views
from elks_mcp.sandbox.number_format import format_number

pytestmark = pytest.mark.anyio
PAGE = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")
CALLS = re.findall(r"^```sh\ncurl (.+)\n```\n\n```(?:json|text)\n(.+)\n```$", PAGE, flags=re.MULTILINE)
CHANGING = re.compile(r'"[cs][0-9a-f]{32}"|"\d{4}-\d\d-\d\dT[\d:.]+Z?"')


async def curl(client: httpx2.AsyncClient, box: Sandbox, command: str) -> str:
    """Do what curl would do with these arguments."""
    url, *options = shlex.split(command)
    given = list(zip(options[::2], options[1::2], strict=True))
    data = "&".join(value for name, value in given if name == "-d")
    headers = dict(value.split(": ") for name, value in given if name == "-H")
    form = {"content-type": "application/x-www-form-urlencoded"} if data else {}
    answer = await client.request(
        "POST" if data else "GET",
        url,
        content=data,
        headers=form | headers,
        auth=(box.username, box.password) if ("-u", "$ELKS") in given else None,
    )
    return answer.text


async def test_every_call_in_the_document_is_answered_as_documented(box: Sandbox) -> None:
    assert len(CALLS) == 7
    async with httpx2.AsyncClient(transport=box.transport()) as client:
        for command, printed in CALLS:
            answer = await curl(client, box, command)
            assert CHANGING.sub("…", answer) == CHANGING.sub("…", printed)
            box.clock.advance(timedelta(seconds=5))


def test_the_credentials_in_the_document_are_correct(box: Sandbox) -> None:
    assert f"\nexport ELKS={box.username}:$(elks-mcp sandbox --password)\n" in PAGE
    assert box.password not in PAGE


def test_the_tables_list_exactly_the_magic_numbers_and_faults() -> None:
    assert re.findall(r"^\| (\+\d+) \|", PAGE, flags=re.MULTILINE) == list(MAGIC)
    assert re.findall(r"^\| `([a-z_]+)` \|", PAGE, flags=re.MULTILINE) == [fault.value for fault in Fault]


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.STALE_HISTORY])
def test_the_document_says_for_each_fault_whether_the_text_is_sent(box: Sandbox, fault: Fault) -> None:
    row = re.search(rf"^\| `{fault.value}` \|.*\| (yes|no) \|$", PAGE, flags=re.MULTILINE)
    assert row is not None
    assert (row[1] == "yes") == box.faults.inject(fault).accepted


def test_every_call_of_the_control_api_is_in_the_table() -> None:
    source = (Path(__file__).parents[2] / "src/elks_mcp/sandbox").glob("*.py")
    routes = set(
        re.findall(r'Route\("(/_sandbox/[a-z-]+)"', "".join(file.read_text("utf-8") for file in source))
    )
    assert len(routes) >= 12
    assert routes == set(re.findall(r"^\| `[A-Z].*?(/_sandbox/[a-z-]+)`", PAGE, flags=re.MULTILINE))


def test_one_phone_is_the_first_to_try_everywhere() -> None:
    root = Path(__file__).parents[2]
    written = format_number(FIRST_PHONE, FIRST_PHONE)
    for name in ("README.md", "README.sv.md"):
        text = (root / name).read_text(encoding="utf-8")
        assert set(re.findall(r"070-174 06 \d\d", text)) == {written}
        assert set(re.findall(r"\+467017406\d\d", text)) <= {FIRST_PHONE}
    sends = [command for command, _ in CALLS if "/a1/sms" in command]
    assert {to for command in sends for to in re.findall(r"to=(\S+)", command)} == {FIRST_PHONE}
    assert views.choices()["first"] == FIRST_PHONE
