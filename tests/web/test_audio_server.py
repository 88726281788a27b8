"""The audio of calls: addresses that cannot be guessed, hold the content's hash, and expire."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import anyio
import httpx2
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from elks_mcp.inbound.call_addresses import AudioName, build_audio_path
from elks_mcp.speech.audio_files import MOST_AUDIO_BYTES, AudioClip, read_wav
from elks_mcp.store.calls import StoredAudio
from elks_mcp.web.connections import LEAVES_WITHIN
from tests.support.audio import a_wav
from tests.support.call_cases import calling_site, making_call, rings
from tests.support.clocks import ManualClock
from tests.support.connecting import PHONE, new_box, until
from tests.support.stores import failing
from tests.support.web import Site, http_client, site
from tests.support.webhook_cases import webhook_site

pytestmark = pytest.mark.anyio
CLIP = read_wav(a_wav(0.2))


@asynccontextmanager
async def audio_site(clock: ManualClock | None = None) -> AsyncIterator[Site]:
    """Serve, with audio in the store."""
    async with webhook_site(clock) as (_, served):
        await keep(served, CLIP)
        yield served


async def keep(served: Site, clip: AudioClip) -> None:
    """Store audio, as planning a call does."""
    store = await served.app.storage.open()
    await store.calls.keep_audio(clip.digest, StoredAudio(clip.content, clip.format))


async def address(
    served: Site, time: timedelta = timedelta(minutes=5), audio_format: str = "wav", clip: AudioClip = CLIP
) -> str:
    """Return an address of the audio, as a call has one."""
    hasher = await served.app.storage.find_hasher()
    until_then = served.app.clock.now() + time
    return f"{served.url}{build_audio_path(hasher, AudioName(clip.digest, audio_format), until_then)}"


async def ask(url: str, method: str = "GET") -> httpx2.Response:
    """Make a request."""
    async with http_client() as client:
        return await client.request(method, url)


async def test_audio_is_served_to_whoever_has_its_address() -> None:
    async with audio_site() as served:
        url = await address(served)
        got, head = await ask(url), await ask(url, "HEAD")
        assert CLIP.digest in url
    assert (got.status_code, got.content, got.headers["content-type"]) == (200, CLIP.content, "audio/wav")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(CLIP.content))


async def test_guessed_and_changed_addresses_are_all_answered_alike() -> None:
    async with audio_site() as served:
        url = await address(served)
        end, digest, mark = re.findall(r"[0-9a-f]+(?=[-.])", url.rpartition("/")[2])
        base, other = f"{served.url}/audio", "0" * 64
        later = f"{int(end, 16) + 3600:x}"
        guesses = [
            f"{base}/",
            base,
            f"{base}/{digest}.wav",
            f"{base}/{end}-{digest}-{other}.wav",
            f"{base}/{later}-{digest}-{mark}.wav",
            f"{base}/{end}-{other}-{mark}.wav",
            f"{base}/{end}-{digest}-{mark}.mp3",
            f"{base}/{end}-{digest}-{mark}",
            f"{base}/{end}-{digest}-{mark.upper()}.wav",
            f"{base}/x/{end}-{digest}-{mark}.wav",
            f"{base}/..%2f{end}-{digest}-{mark}.wav",
            f"{url}/",
            await address(served, audio_format="mp3"),
        ]
        answers = [await ask(guess) for guess in guesses]
        metrics = served.app.counters.write()
    assert {(each.status_code, each.content) for each in answers} == {(404, b"")}
    assert 'elks_mcp_audio_requests_total{result="not_found"} 13' in "\n".join(metrics)


async def test_an_address_expires_although_its_audio_is_still_there() -> None:
    clock = ManualClock()
    async with audio_site(clock) as served:
        url = await address(served, timedelta(minutes=5))
        assert (await ask(url)).status_code == 200
        clock.advance(timedelta(minutes=5, seconds=1))
        gone = await ask(url)
        fresh = await ask(await address(served))
    assert (gone.status_code, gone.content) == (404, b"")
    assert fresh.status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_audio_can_only_be_read(method: str) -> None:
    async with audio_site() as served:
        answer = await ask(await address(served), method)
    assert (answer.status_code, answer.content, answer.headers["allow"]) == (405, b"", "GET, HEAD")


async def test_without_a_database_the_answer_is_empty_and_asks_to_try_again() -> None:
    async with audio_site() as served:
        url = await address(served)
        with failing(await served.app.storage.open()):
            answer = await ask(url)
    assert (answer.status_code, answer.content) == (503, b"")


async def test_an_address_needs_no_token_and_a_token_opens_no_other() -> None:
    async with audio_site() as served:
        token = await served.token("agent")
        async with http_client(headers={"authorization": f"Bearer {token}"}) as client:
            assert (await client.get(f"{served.url}/audio/")).status_code == 404
        assert (await ask(await address(served))).status_code == 200


async def test_a_phone_plays_exactly_what_was_spoken_at_an_address_of_its_own() -> None:
    async with calling_site() as (box, served), served.client() as client, making_call(client):
        made = await rings(box)
        box.calls.answer(made)
        await until(lambda: bool(made.playing))
        [sound] = box.calls.audio
        store = await served.app.storage.open()
        stored = await store.calls.find_audio(sound.sha256)
        assert stored is not None
        assert stored.content == sound.content
        assert sound.sha256 in sound.source
        assert sound.content_type == "audio/wav"
        box.calls.hang_up(made)
    assert made.to == PHONE


LONGEST = AudioClip(bytes(MOST_AUDIO_BYTES), "wav", 60)


@asynccontextmanager
async def slow_reader(clock: ManualClock) -> AsyncIterator[BufferedByteReceiveStream]:
    """Connect a client that has read the beginning of an answer, which the program has given whole."""
    async with site(new_box(), connection_clock=clock) as served:
        await keep(served, LONGEST)
        url = await address(served, clip=LONGEST)
        host, _, port = served.url.removeprefix("http://").partition(":")
        async with await anyio.connect_tcp(host, int(port)) as stream:
            await stream.send(f"GET {url.removeprefix(served.url)} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode())
            reader = BufferedByteReceiveStream(stream)
            assert (await reader.receive_until(b"\r\n\r\n", 1000)).startswith(b"HTTP/1.1 200 OK")
            await until(lambda: served.under_way == 0)
            yield reader


async def read_body(stream: BufferedByteReceiveStream) -> int:
    """Read until the answer is whole or the connection ends; return how many bytes came."""
    count = 0
    with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
        while count < MOST_AUDIO_BYTES:
            count += len(await stream.receive())
    return count


async def test_audio_that_is_fetched_slowly_arrives_whole() -> None:
    clock = ManualClock()
    async with slow_reader(clock) as stream:
        clock.advance(LEAVES_WITHIN - timedelta(seconds=1))
        assert await read_body(stream) == MOST_AUDIO_BYTES


async def test_a_reader_that_stands_still_loses_its_connection() -> None:
    clock = ManualClock()
    async with slow_reader(clock) as stream:
        clock.advance(LEAVES_WITHIN)
        assert await read_body(stream) < MOST_AUDIO_BYTES
