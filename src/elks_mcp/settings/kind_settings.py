"""The settings about pictures, calls and alerts."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from elks_mcp.domain.models import Frozen
from elks_mcp.domain.money import Money
from elks_mcp.domain.setting_declaration import Setting, Switch, write_amount
from elks_mcp.settings.parsers import read_budget, read_path
from elks_mcp.settings.problems import Unreadable


def read_speech_command(value: object) -> str:
    """Return a command line, or a preset, as it was written, after checking that it can be read."""
    from elks_mcp.speech.commands import PRESETS, UnreadableCommand, parse_speech_command  # noqa: PLC0415

    written = str(value).strip()
    try:
        parse_speech_command(written)
    except UnreadableCommand as error:
        raise Unreadable(f"use a command line or one of these: {PRESETS}", f"{error};") from None
    return written


class KindSettings(Frozen):
    """The settings about pictures, calls and alerts, which only their toolsets use."""

    mms_price: Annotated[
        int | None, BeforeValidator(read_budget), Setting("ELKS_MMS_PRICE", write=write_amount)
    ] = None
    """The price of one MMS in the account's currency, such as `1.25`: 46elks quotes none before it is sent.
    Default: the price of the latest MMS in the account's history; without one, no MMS is sent."""

    escalation: Annotated[Path | None, BeforeValidator(read_path), Setting("ELKS_ESCALATION")] = None
    """The YAML file that says whom an alert reaches, how, and in which order, for the toolset `escalation`.
    It is read for each alert. Default: none."""

    call_price_per_minute: Annotated[
        Annotated[int, Field(ge=0)] | None,
        BeforeValidator(read_budget),
        Setting("ELKS_CALL_PRICE_PER_MINUTE", write=lambda units: str(Money(units))),
    ] = None
    """The price of a started minute of a call at most, in the account's currency: `0.80`. 46elks does not
    price calls in advance, so this is reserved for the longest time that a call may take. Without it no call
    is made."""

    prompts_dir: Annotated[Path | None, BeforeValidator(read_path), Setting("ELKS_PROMPTS_DIR")] = None
    """The directory with recordings that calls may play by name: `.wav`, `.mp3` and `.ogg`. Links in it are
    not followed. Default: none."""

    tts_command: Annotated[
        str | None, BeforeValidator(read_speech_command), Setting("ELKS_TTS_COMMAND", is_private=True)
    ] = None
    """The command that reads a text aloud for calls. It gets the text on standard input and writes WAV to
    standard output; no shell is used. `espeak-ng`, `espeak-ng:VOICE` and `piper:MODEL` are short for the
    commands of these programs."""

    tts_46elks: Annotated[Switch, Setting("ELKS_TTS_46ELKS")] = False
    """Let 46elks itself read English texts of up to 180 characters aloud, if nothing else can. It is a beta
    that your account may lack; the call is then silent."""
