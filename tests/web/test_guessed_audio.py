"""Attacks on the addresses of audio: no answer tells why there is nothing, and the log stays short."""

import logging
from datetime import timedelta

import anyio
import pytest

from elks_mcp.inbound.call_addresses import AudioName, build_audio_path
from elks_mcp.speech.audio_files import read_wav
from tests.support.audio import a_wav
from tests.support.clocks import ManualClock
from tests.support.web import Site, http_client
from tests.web.test_audio_server import CLIP, address, ask, audio_site, keep

pytestmark = pytest.mark.anyio

OTHER_CLIP = read_wav(a_wav(0.3))


async def send_raw(served: Site, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """Request a path exactly as it is; return the status, the headers without the date, and the body."""
    host, _, port = served.url.removeprefix("http://").partition(":")
    request = f"{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"
    answer = b""
    async with await anyio.connect_tcp(host, int(port)) as stream:
        await stream.send(request.encode())
        async for part in stream:
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    headers.pop("date", None)
    return int(first.split(" ")[1]), headers, body


async def list_wrong(served: Site) -> list[str]:
    """List paths that are guessed, of other audio, of another format, or lead elsewhere."""
    path = (await address(served)).removeprefix(served.url)
    end, _, mark = path.removeprefix("/audio/").removesuffix(".wav").split("-")
    stored, absent = OTHER_CLIP.digest, "ab" * 32
    hasher = await served.app.storage.find_hasher()
    soon = served.app.clock.now() + timedelta(minutes=5)
    return [
        f"/audio/{end}-{stored}-{mark}.wav",
        f"/audio/{end}-{CLIP.digest}-{'0' * 64}.wav",
        f"/audio/{'f' * 12}-{CLIP.digest}-{mark}.wav",
        f"/audio/{end}-{CLIP.digest}-{mark}.mp3",
        build_audio_path(hasher, AudioName(absent, "wav"), soon),
        build_audio_path(hasher, AudioName(CLIP.digest, "ogg"), soon),
        build_audio_path(hasher, AudioName(CLIP.digest, "wav"), soon - timedelta(minutes=6)),
        "/audio/../../../etc/passwd",
        "/audio/..%2f..%2fetc%2fpasswd",
        "/audio/%00",
        f"/audio//{path.removeprefix('/audio/')}",
        f"/audio/%2e/{path.removeprefix('/audio/')}",
        f"{path}%0a",
        f"{path};.mp3",
        "/audio/" + "a" * 5000,
    ]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_all_addresses_without_audio_are_answered_with_the_same_bytes(method: str) -> None:
    async with audio_site() as served:
        await keep(served, OTHER_CLIP)
        path = (await address(served)).removeprefix(served.url)
        assert (await send_raw(served, path))[::2] == (200, CLIP.content)
        answers = [await send_raw(served, wrong, method) for wrong in await list_wrong(served)]
    assert answers == [answers[0]] * len(answers)
    status, headers, body = answers[0]
    assert (status, headers["content-length"], body) == (404, "0", b"")


async def test_a_guess_that_is_fetched_often_is_logged_once_and_without_its_address(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with audio_site(ManualClock()) as served:
            url = await address(served)
            for _ in range(50):
                await ask(f"{url}x")
            assert (await ask(url)).status_code == 200
    about = [each.getMessage() for each in caplog.records if "udio" in each.getMessage()]
    ours = [each.getMessage() for each in caplog.records if each.name.startswith(("elks_mcp", "uvicorn"))]
    assert len([each for each in about if "Audio was requested at an address" in each]) <= 2
    assert [each for each in ours if url.rpartition("/")[2] in each or CLIP.digest in each] == []


async def test_a_range_of_audio_is_answered_with_the_whole() -> None:
    async with audio_site() as served, http_client() as client:
        answer = await client.get(await address(served), headers={"range": "bytes=0-9"})
    assert (answer.status_code, answer.content) == (200, CLIP.content)
    assert "content-range" not in answer.headers
