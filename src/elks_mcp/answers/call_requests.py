"""Wait for the outcome of a call, list calls, and fetch a recording, for every interface."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta

from elks_mcp.answers.call_lists import CallListAnswer, RecordingAnswer, report_calls
from elks_mcp.answers.calls import CallAnswer, report_call, report_call_quote
from elks_mcp.answers.lookups import RecordShown
from elks_mcp.answers.schedule import SendForecast, find_forecast
from elks_mcp.app import App
from elks_mcp.domain.call_payload import Call
from elks_mcp.domain.calls import CallOutcome, CallRecord
from elks_mcp.domain.models import Direction, Message, Scope
from elks_mcp.domain.orders import ACCEPTED, Order
from elks_mcp.domain.payloads import Payload
from elks_mcp.errors import InvalidInput, NotFound, StateUnavailable
from elks_mcp.inbound.calls import is_settled
from elks_mcp.sending.outcomes import SendOutcome
from elks_mcp.sending.plan import DryRunOnly, Ready

ReportProgress = Callable[[float], Awaitable[None]]
"""Called every few seconds with the seconds waited."""

CALL_WAIT = timedelta(seconds=45)
"""How long a request waits for its call to end: many clients end one after a minute."""

_REPORTED_WITHIN = timedelta(seconds=30)
"""How long after its end 46elks reports a call at most, or shows that it has ended."""

_BETWEEN_PROGRESS = timedelta(seconds=5)
MOST_SOUND = 700_000
"""Bytes of a recording in an answer: Claude Desktop cuts answers at a million characters."""


async def prepare_call(app: App, say: str, prompt: str, *, digits: int, dry_run: bool | None) -> Call:
    """Return the payload of a call; a dry run stores nothing.

    Raises the errors of `CallPreparer.prepare`.
    """
    may_call = app.policy.live or dry_run is False
    return await app.calls.preparer.prepare(say, prompt, digits=digits, keep=may_call and dry_run is not True)


async def report_call_outcome(
    app: App,
    outcome: DryRunOnly | SendOutcome,
    report_progress: ReportProgress,
    *,
    until_it_ends: bool = False,
) -> CallAnswer:
    """Wait for the end of a call, for a while, and return the answer about it.

    Args:
        app: the app.
        outcome: a dry run, or the call that was requested.
        report_progress: called while the call goes on.
        until_it_ends: wait as long as the call may last, and not only as long as clients wait.
    """
    if isinstance(outcome, DryRunOnly):
        return report_call_quote(app, outcome.quote)
    order, planned = outcome.order, outcome.planned
    known, forecast = None, SendForecast()
    with suppress(StateUnavailable):
        if order.state in ACCEPTED:
            most = find_longest_wait(order.payload) if until_it_ends else CALL_WAIT
            known = await _wait(app, order, most, report_progress)
            order = await app.orders.find_order(order.id) or order
        forecast = await find_forecast(app, order)
    if isinstance(planned, Ready) and not outcome.is_repeat:  # stored findings lack the quoted texts
        order = order.model_copy(update={"findings": planned.quote.findings})
    return report_call(app, order, known, forecast, repeated=outcome.is_repeat)


def find_longest_wait(payload: Payload) -> timedelta:
    """Return how long a call may take from the request on, until 46elks has reported its end."""
    if not isinstance(payload, Call):
        return CALL_WAIT
    return timedelta(seconds=payload.ring + payload.longest) + _REPORTED_WITHIN


async def _wait(
    app: App, order: Order, most: timedelta, report_progress: ReportProgress
) -> CallOutcome | None:
    """Wait until a call has ended, at most for a while, and report progress meanwhile."""
    began = app.clock.now()
    until = began + most
    while True:
        step = min(until, app.clock.now() + _BETWEEN_PROGRESS)
        known = await app.calls.outcomes.wait(order.id, step, ended=True)
        if (known and is_settled(known, ended=True)) or app.clock.now() >= until:
            return known
        await report_progress((app.clock.now() - began).total_seconds())


async def list_calls(app: App, limit: int, before: datetime | None = None) -> CallListAnswer:
    """List the account's latest calls, and the caller's calls with an unknown outcome."""
    app.require_account()
    page = await app.client.calls.list_page(limit, before)
    shown = [call for call in page.calls if not await _is_hidden(app, call)]
    if not app.storage.exists:
        return await report_calls(app, shown, (), (), page.unread)
    store = await app.storage.open()
    own = await store.calls.list_own([call.id for call in shown], app.caller.agent)
    unknown = await store.calls.list_unknown(app.caller.agent)
    return await report_calls(app, shown, own, unknown, page.unread)


async def get_recording(
    app: App, recording_id: str, record_shown: RecordShown | None = None, *, most: int | None = MOST_SOUND
) -> RecordingAnswer:
    """Return a recording, with its sound.

    Args:
        app: the app.
        recording_id: 46elks' id of it.
        record_shown: called before the words of others are passed to a model; None if a person gets them.
        most: the most bytes; None for any number.

    Raises:
        NotFound: there is none, or it may not be read.
        InvalidInput: that is not an id, or the recording is too large for an answer.
    """
    app.require_account()
    if Scope.READ not in app.caller.scopes:
        raise NotFound("46elks has no recording with that id.", hint=_CHECK_ID)
    recording_id = recording_id.strip()
    call = await app.client.calls.get(recording_id.partition("-")[0])
    if await _is_hidden(app, call):
        raise NotFound("46elks has no recording with that id.", hint=_CHECK_ID)
    sound = await app.client.calls.get_recording(recording_id)
    if most is not None and len(sound) > most:
        raise InvalidInput(
            f"The recording has {len(sound):,} bytes, and {most:,} is the most in an answer.",
            hint=f"A person can save it in a terminal: {app.command(f'recording {recording_id} FILE')}",
        )
    if record_shown:
        await record_shown(app, [_as_message(call)])
    party = call.sender if call.direction is Direction.INBOUND else call.to
    return RecordingAnswer(
        recording_id=recording_id, call_id=call.id, other_party=party, size=len(sound)
    ).with_sound(sound)


async def _is_hidden(app: App, call: CallRecord) -> bool:
    """Return whether a call came from a number that was never texted, and such texts are hidden."""
    if call.direction is Direction.OUTBOUND:
        return False
    return not await app.history.without_hidden([_as_message(call)])


def _as_message(call: CallRecord) -> Message:
    """Return a call as a text of its other party, for rules about what strangers say."""
    party = call.to if call.direction is Direction.OUTBOUND else call.sender
    return Message(
        id=call.id,
        direction=Direction.INBOUND,
        sender=party,
        to=call.sender if call.direction is Direction.OUTBOUND else call.to,
        created_at=call.created_at,
        status="received",
    )


_CHECK_ID = "Check the id; the list of calls has the latest."
