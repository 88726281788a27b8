"""Prepare a call: find or make what it plays, and measure it.

The audio comes from the first of these that is there: a recording of the operator's, a program that reads the
text aloud, and 46elks itself, for short English texts.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import anyio
import anyio.to_thread

from elks_mcp.domain.call_payload import Call
from elks_mcp.domain.calls import LONGEST_CALL, LONGEST_SPOKEN, MOST_DIGITS, find_longest
from elks_mcp.domain.contacts import shorten
from elks_mcp.domain.payloads import read_text
from elks_mcp.elks.wire import LONGEST_ENGLISH
from elks_mcp.errors import InvalidInput, Misconfigured, SpeechUnavailable
from elks_mcp.runtime.clock import Clock
from elks_mcp.runtime.launcher import show_command
from elks_mcp.store import Storage

if TYPE_CHECKING:
    from elks_mcp.speech.audio_files import AudioClip

_ENGLISH_A_SECOND = 10
"""Characters that 46elks speaks in a second, at least."""

TRIAL_TEXT = "Detta är ett test."
"""The text that the program reads aloud to see whether it works. It is not stored."""

_MOST_SPEAKING = 2
"""Programs that run at the same time, at most."""


class SpeechOptions(Protocol):
    """The operator's settings for calls; `Settings` has them."""

    @property
    def call_price_per_minute(self) -> int | None:
        """The price of a started minute at most, in ten-thousandths of the account's currency."""
        ...

    @property
    def prompts_dir(self) -> Path | None:
        """The directory with recordings."""
        ...

    @property
    def tts_command(self) -> str | None:
        """The command that reads a text aloud, as it was written."""
        ...

    @property
    def tts_46elks(self) -> bool:
        """Whether 46elks itself may read English texts aloud."""
        ...


class CallPreparer:
    """Prepares calls for all callers.

    `is_reachable`: whether 46elks can fetch audio from this server.
    """

    def __init__(self, storage: Storage, clock: Clock, options: SpeechOptions, *, is_reachable: bool) -> None:
        self._storage = storage
        self._clock = clock
        self._options = options
        self._is_reachable = is_reachable
        self._speaking = anyio.CapacityLimiter(_MOST_SPEAKING)

    async def prepare(self, say: str, prompt: str, *, digits: int, keep: bool = True) -> Call:
        """Return the payload of a call, whose audio is stored for a while.

        Args:
            say: the text to read aloud; "" for a recording.
            prompt: the name of the recording to play; "" for a text.
            digits: how many digits to ask for; 0 for none.
            keep: whether to store the audio. A dry run does not.

        Raises:
            InvalidInput: the text or the digits cannot be used, or there is no such recording.
            SpeechUnavailable: the program that speaks fails. It is a Misconfigured.
            Misconfigured: a setting is missing.
            StateUnavailable: the audio cannot be stored.
        """
        per_minute = self._check(say, prompt, digits)
        text = _read_spoken(say) if say.strip() else ""
        clip = await self._find_clip(text, prompt.strip())
        seconds = clip.seconds if clip else len(text) / _ENGLISH_A_SECOND
        longest = find_longest(seconds, digits)
        if longest > LONGEST_CALL:
            raise InvalidInput(
                f"The call could last {longest} seconds, and {LONGEST_CALL} is the most.",
                hint="It is played twice. Make it shorter, or ask for fewer digits.",
            )
        if clip and keep:
            await self._keep(clip)
        return Call(
            text=text,
            prompt=prompt.strip(),
            audio=clip.digest if clip else "",
            digits=digits,
            longest=longest,
            per_minute=per_minute,
        )

    def list_obstacles(self, say: str) -> list[Misconfigured]:
        """List the settings that are missing for calls that read a text aloud. Nothing is spoken."""
        options = self._options
        found = [] if options.call_price_per_minute is not None else [_no_price()]
        if options.tts_46elks and not (options.tts_command and self._is_reachable):
            return found if _can_46elks_read(say) else [*found, _not_english()]
        if not options.tts_command:
            found.append(_no_speech())
        return found if self._is_reachable else [*found, _no_address("Speech")]

    async def find_speech_failure(self) -> SpeechUnavailable | None:
        """Have the program that calls use read a short text, and return the error if it fails.

        None if it speaks, or if calls use no program. Nothing is stored.
        """
        command = self._options.tts_command
        if command and self._is_reachable:
            try:
                await self._speak(command, TRIAL_TEXT)
            except SpeechUnavailable as error:
                return error
        return None

    def _check(self, say: str, prompt: str, digits: int) -> int:
        """Check the arguments of `prepare`, and return the price of a minute."""
        if bool(say.strip()) == bool(prompt.strip()):
            raise InvalidInput(
                "Give either a text to say or the name of a recording.",
                hint="A text is read aloud. A recording, as in alarm, is played instead of it.",
            )
        if not 0 <= digits <= MOST_DIGITS:
            raise InvalidInput(f"A call can ask for {MOST_DIGITS} digits at most.")
        per_minute = self._options.call_price_per_minute
        if per_minute is None:
            raise _no_price()
        return per_minute

    async def _find_clip(self, text: str, prompt: str) -> "AudioClip | None":
        """Return what is played; None if 46elks speaks the text itself."""
        options = self._options
        if prompt:
            self._require_reachable("A recording")
            return await anyio.to_thread.run_sync(_read_prompt, options.prompts_dir, prompt)
        if options.tts_command and self._is_reachable:
            return await self._speak(options.tts_command, text)
        if options.tts_46elks:
            if _can_46elks_read(text):
                return None
            raise _not_english()
        raise _no_address("Speech") if options.tts_command else _no_speech()

    def _require_reachable(self, what: str) -> None:
        if not self._is_reachable:
            raise _no_address(what)

    async def _speak(self, command: str, text: str) -> "AudioClip":
        from elks_mcp.speech.commands import parse_speech_command  # noqa: PLC0415  (only calls need it)
        from elks_mcp.speech.synthesis import SpeechFailed, speak  # noqa: PLC0415

        words = parse_speech_command(command)
        try:
            async with self._speaking:
                return await speak(words, text, self._clock)
        except SpeechFailed as error:
            raise SpeechUnavailable(
                f"The program of ELKS_TTS_COMMAND did not speak: {error}.",
                hint=f"The operator can try it: {show_command('doctor')}.",
            ) from None

    async def _keep(self, clip: "AudioClip") -> None:
        from elks_mcp.store.calls import StoredAudio  # noqa: PLC0415  (loads the database)

        store = await self._storage.open()
        await store.calls.keep_audio(clip.digest, StoredAudio(clip.content, clip.format))


_INSTALL = (
    "The operator can install espeak-ng (`apt install espeak-ng`) and set ELKS_TTS_COMMAND=espeak-ng, or put "
    "recordings into ELKS_PROMPTS_DIR."
)


def _can_46elks_read(text: str) -> bool:
    return text.isascii() and len(text) <= LONGEST_ENGLISH


def _no_price() -> Misconfigured:
    return Misconfigured(
        "No price of a minute is set, so the cost of a call cannot be limited.",
        hint="Set ELKS_CALL_PRICE_PER_MINUTE to what 46elks charges for a started minute at most.",
    )


def _not_english() -> Misconfigured:
    most = f"46elks itself reads only English texts of up to {LONGEST_ENGLISH} characters aloud."
    return Misconfigured(most, hint=_INSTALL)


def _no_speech() -> Misconfigured:
    return Misconfigured("Nothing is installed that reads a text aloud.", hint=_INSTALL)


def _no_address(what: str) -> Misconfigured:
    return Misconfigured(
        f"{what} is fetched by 46elks from this server, whose public address is not known.",
        hint="Set ELKS_PUBLIC_URL to the public address of the server that this starts: "
        f"{show_command('serve --http')}.",
    )


def _read_spoken(say: str) -> str:
    text = read_text(say)
    if len(text) > LONGEST_SPOKEN:
        raise InvalidInput(
            f"The text to say has {len(text):,} characters; {LONGEST_SPOKEN:,} is the most.",
            hint="Say it in fewer words.",
        )
    return text


def _read_prompt(folder: Path | None, name: str) -> "AudioClip":
    from elks_mcp.speech.recordings import NoRecording, list_recordings, read_recording  # noqa: PLC0415

    if folder is None:
        raise Misconfigured(
            "No recordings are configured.", hint="The operator can set ELKS_PROMPTS_DIR to their directory."
        )
    try:
        return read_recording(folder, name)
    except NoRecording as error:
        names = ", ".join(map(shorten, list_recordings(folder)))
        hint = f"The recordings are: {names}." if names else "ELKS_PROMPTS_DIR has no recordings."
        raise InvalidInput(f'The recording "{shorten(name)}" cannot be used. {error}', hint=hint) from None
