"""Hostile pictures, by every road: in the call, as a file, and from a stranger."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from mcp import Client
from mcp_types import CallToolResult

from elks_mcp.sandbox import Sandbox
from tests.images.drawing import (
    SECRET,
    draw,
    draw_with_secrets,
    gif_of,
    jpeg_claiming,
    open_result,
    png_claiming,
)
from tests.support.connecting import PHONE, call, connected, posted, words
from tests.support.mms_cases import PNG, STRANGER, data_url, sent_picture, shown_picture, with_mms

pytestmark = pytest.mark.anyio

Road = Callable[[Client, Sandbox, Path, bytes], Awaitable[CallToolResult]]


async def in_the_call(client: Client, box: Sandbox, folder: Path, content: bytes) -> CallToolResult:
    return await call(client, "send_mms", to=PHONE, image=data_url(content))


async def as_a_file(client: Client, box: Sandbox, folder: Path, content: bytes) -> CallToolResult:
    (folder / "x.png").write_bytes(content)
    return await call(client, "send_mms", to=PHONE, image="x.png")


async def from_a_stranger(client: Client, box: Sandbox, folder: Path, content: bytes) -> CallToolResult:
    message = box.receive(STRANGER, "", pictures=[content])
    return await call(client, "get_image", messageId=message.id)


by_every_road = pytest.mark.parametrize(
    "road", [in_the_call, as_a_file, from_a_stranger], ids=lambda road: road.__name__
)

HOSTILE = {
    "too many pixels": png_claiming(90_000, 90_000),
    "too many pixels of a JPEG": jpeg_claiming(65_500, 65_500),
    "too many frames": gif_of(300),
    "a frame that is larger than the screen": gif_of(1, (65_000, 65_000)),
    "no pixels": png_claiming(0, 0),
    "fewer pixels than it says": png_claiming(300, 300, b"\0" * 10),
    "cut off": PNG[: len(PNG) // 2],
    "only a signature": PNG[:8],
}


def result_of(answer: CallToolResult, box: Sandbox) -> bytes:
    """Return the picture that left this server, to a phone or to the model."""
    return sent_picture(posted(box)[-1]) if posted(box) else shown_picture(answer)


@by_every_road
@pytest.mark.parametrize("name", HOSTILE)
async def test_a_picture_that_is_a_bomb_or_broken_goes_nowhere_and_the_next_one_does(
    box: Sandbox, tmp_path: Path, road: Road, name: str
) -> None:
    async with connected(with_mms(box, tmp_path), box=box) as client:
        refused = await road(client, box, tmp_path, HOSTILE[name])
        assert refused.is_error
        assert len(refused.content) == 1
        assert str(tmp_path) not in words(refused)
        assert not re.search(r"[A-Za-z0-9+/]{60}", words(refused))
        assert posted(box) == []
        assert not (await road(client, box, tmp_path, PNG)).is_error


@by_every_road
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF"])
async def test_nothing_but_the_picture_arrives(box: Sandbox, tmp_path: Path, road: Road, kind: str) -> None:
    """Neither a position, nor a comment, nor the other file of a polyglot."""
    other = b"PK\x03\x04<script>alert(1)</script>" + SECRET
    async with connected(with_mms(box, tmp_path), box=box) as client:
        answer = await road(client, box, tmp_path, draw_with_secrets(kind) + other)
    arrived = result_of(answer, box)
    assert open_result(arrived).size == (60, 40)
    assert dict(open_result(arrived).getexif()) == {}
    assert [each for each in (SECRET, b"script", b"PK\x03\x04") if each in arrived] == []


NAMES = ["NUL", "con.png", "COM1.png", "\\\\server\\share\\cat.png", "//server/share/cat.png"]
NAMES += ["\\\\?\\C:\\cat.png", "\\\\.\\pipe\\cat.png", "cat.png::$DATA", "cat.png.", "~/cat.png"]


@pytest.mark.parametrize("name", NAMES)
async def test_no_name_of_another_system_leads_out_of_the_directory(
    box: Sandbox, tmp_path: Path, name: str
) -> None:
    (tmp_path / "cat.png").write_bytes(draw("PNG"))
    async with connected(with_mms(box, tmp_path), box=box) as client:
        refused = await call(client, "send_mms", to=PHONE, image=name)
    assert refused.is_error
    assert posted(box) == []
