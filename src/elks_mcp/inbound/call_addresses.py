"""The addresses of one call: for its audio, and for the reports of digits and of its end.

They are derived from the server's key, so all replicas know them and none is stored. Each is for one call: a
stranger who learns one can use it for no other call, and cannot guess any. The address of audio also holds
the digest of the audio, because 46elks caches audio by its address (https://46elks.com/docs/voice-play), and
the time at which it expires.
"""

import hmac
import re
from datetime import UTC, datetime
from typing import Literal, NamedTuple, cast, get_args

from elks_mcp.store.db.hashes import Hasher

AUDIO = "/audio/"
"""The path prefix of what calls play."""

CallStep = Literal["pressed", "ended"]
"""A report of 46elks: digits were pressed, or the call ended."""


class AudioName(NamedTuple):
    """Which audio an address is about."""

    digest: str
    format: str


class CallHook(NamedTuple):
    """Which call, and which step of it, an address is about."""

    order_id: str
    step: CallStep


def build_audio_path(hasher: Hasher, audio: AudioName, until: datetime) -> str:
    """Return the path of audio that can be fetched until a moment."""
    end = f"{int(until.timestamp()):x}"
    return f"{AUDIO}{end}-{audio.digest}-{_sign_audio(hasher, audio, end)}.{audio.format}"


def read_audio_path(hasher: Hasher, path: str, now: datetime) -> AudioName | None:
    """Return which audio a path is about; None if the path is wrong, or its time is over."""
    found = re.fullmatch(
        rf"{AUDIO}([0-9a-f]{{1,12}})-([0-9a-f]{{64}})-([0-9a-f]{{64}})\.([a-z0-9]{{3}})", path
    )
    if found is None:
        return None
    end, digest, mark, audio_format = found.groups()
    audio = AudioName(digest, audio_format)
    if not hmac.compare_digest(mark, _sign_audio(hasher, audio, end)):
        return None
    return audio if now < datetime.fromtimestamp(int(end, 16), UTC) else None


def _sign_audio(hasher: Hasher, audio: AudioName, end: str) -> str:
    return hasher.of("secret", "audio", audio.digest, audio.format, end)


def build_call_path(hasher: Hasher, hook: CallHook) -> str:
    """Return the path of a webhook about a call, below that of all webhooks."""
    return f"{_sign_hook(hasher, hook)}/call/{hook.order_id}/{hook.step}"


def read_call_path(hasher: Hasher, path: str) -> CallHook | None:
    """Return which call a path is about; None if its form or its secret is wrong."""
    mark, *rest = path.split("/")
    if len(rest) != 3 or rest[0] != "call" or rest[2] not in get_args(CallStep):  # noqa: PLR2004
        return None
    if not re.fullmatch(r"O-[A-Z0-9]{8}", rest[1]):
        return None
    hook = CallHook(rest[1], cast("CallStep", rest[2]))
    is_ours = hmac.compare_digest(mark.encode(), _sign_hook(hasher, hook).encode())
    return hook if is_ours else None


def is_call_path(path: str) -> bool:
    """Return whether a path has the form of a webhook about a call, whatever its secret is."""
    return path.split("/")[1:2] == ["call"]


def _sign_hook(hasher: Hasher, hook: CallHook) -> str:
    return hasher.of("secret", "call webhook", hook.order_id, hook.step)
