"""The checks of `elks-mcp doctor` on calls."""

from elks_mcp.app import App
from elks_mcp.cli.doctor_settings import Check
from elks_mcp.domain.money import Money
from elks_mcp.domain.phone import Number
from elks_mcp.domain.toolsets import Toolset
from elks_mcp.sending.call_preparer import TRIAL_TEXT
from elks_mcp.speech.commands import parse_speech_command
from elks_mcp.speech.recordings import list_recordings
from elks_mcp.speech.synthesis import SpeechFailed, speak


async def check_calls(app: App) -> list[Check]:
    """Check what calls need, if the toolset `calls` is on. No call is made.

    Alerts and `elks-mcp call` use the program that speaks without the toolset, so it is always tried.
    """
    if Toolset.CALLS not in app.policy.toolsets:
        command = app.configuration.settings.tts_command
        return [await _try_program(app, command)] if command else []
    settings, checks = app.configuration.settings, []
    if settings.call_price_per_minute is None:
        checks.append(Check("fail", "No call is made: ELKS_CALL_PRICE_PER_MINUTE is not set."))
    else:
        price = Money(settings.call_price_per_minute)
        checks.append(Check("ok", f"A started minute of a call is reserved at {price}."))
    if app.policy.sender and not isinstance(app.policy.sender, Number):
        checks.append(Check("warn", "ELKS_PHONE_NUMBER is a name, so each call must name a number."))
    return [*checks, *await _check_speech(app), *_check_address(app)]


async def _check_speech(app: App) -> list[Check]:
    """Have the program speak, as a call would, and count the recordings."""
    settings, checks = app.configuration.settings, []
    if settings.prompts_dir:
        names = list_recordings(settings.prompts_dir)
        mark = "ok" if names else "warn"
        checks.append(Check(mark, f"Recordings for calls: {', '.join(names) or 'none'}."))
    if settings.tts_command:
        return [*checks, await _try_program(app, settings.tts_command)]
    if settings.tts_46elks:
        beta = "Only 46elks itself reads texts aloud: English, a beta that the account may lack."
        return [*checks, Check("note", beta)]
    if not checks:
        checks.append(Check("fail", "Calls have nothing to play: set ELKS_TTS_COMMAND or ELKS_PROMPTS_DIR."))
    return checks


async def _try_program(app: App, command: str) -> Check:
    try:
        clip = await speak(parse_speech_command(command), TRIAL_TEXT, app.clock)
    except SpeechFailed as error:
        return Check("fail", f"The program of ELKS_TTS_COMMAND does not speak: {error}.")
    return Check("ok", f"The program of ELKS_TTS_COMMAND speaks: {clip.seconds:.1f} s of a test.")


def _check_address(app: App) -> list[Check]:
    """Say whether there is an address, and what cannot be found out about it."""
    settings = app.configuration.settings
    if settings.public_url:
        return [
            Check(
                "note",
                f"46elks fetches the audio of calls from {settings.public_url}. Whether it can reach that "
                "address cannot be found out from inside: call yourself once.",
            )
        ]
    if settings.tts_command or settings.prompts_dir:
        if app.policy.simulated:
            return []
        return [Check("fail", "46elks cannot fetch what calls play: ELKS_PUBLIC_URL is not set.")]
    return []
