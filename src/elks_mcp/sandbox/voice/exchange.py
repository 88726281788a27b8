"""The telephone exchange: phones ring and are answered, and calls are charged and reported."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from math import ceil

from elks_mcp.sandbox.account import SandboxAccount
from elks_mcp.sandbox.call_behaviours import CallBehaviour
from elks_mcp.sandbox.event_queue import EventQueue
from elks_mcp.sandbox.messages import format_time
from elks_mcp.sandbox.network import Step
from elks_mcp.sandbox.prices_and_rules import Rules
from elks_mcp.sandbox.subaccounts import SandboxSubaccounts
from elks_mcp.sandbox.voice.call_answers import show_actions, show_legs
from elks_mcp.sandbox.voice.call_log import Log, StoredCall, StoredCallState
from elks_mcp.sandbox.voice.call_session import CallSession, SessionParts
from elks_mcp.sandbox.voice.recorder import Recorder
from elks_mcp.sandbox.voice.sounds import SoundLibrary
from elks_mcp.sandbox.webhooks import Webhooks

_KEYS = frozenset("0123456789#*")
_REFUSED_AFTER = timedelta(seconds=2)


class PhoneError(ValueError):
    """A phone cannot do that with a call; the message says why."""


class Exchange:
    """Every call of the account, from the request to its end.

    Each step happens at the time it was due, even if it is carried out later.
    """

    def __init__(
        self,
        account: SandboxAccount,
        subaccounts: SandboxSubaccounts,
        steps: EventQueue[Step],
        webhooks: Webhooks,
        find_behaviour: Callable[[str], CallBehaviour],
    ) -> None:
        self.rules: Rules = webhooks.rules
        self.account, self.subaccounts, self.webhooks = account, subaccounts, webhooks
        self.log: Log[StoredCall] = Log()
        self.audio = SoundLibrary(self.rules, webhooks)
        self.recorder = Recorder(self.rules, webhooks)
        self._parts = SessionParts(self.rules, steps, webhooks, self.audio, self.recorder, find_behaviour)
        self._sessions: dict[str, CallSession] = {}

    def place(self, call: StoredCall, *, fails: bool = False) -> None:
        """Let the phone ring that `call` goes to, unless the call `fails` immediately."""
        self.log.add(call)
        at, behaviour = call.created_at, self._parts.find_behaviour(call.to)
        if fails:
            self._end(call, "failed", at)
        elif behaviour.reachable != "reachable":
            state: StoredCallState = "busy" if behaviour.reachable == "busy" else "failed"
            self._later(at + _REFUSED_AFTER, call, lambda at: self._end(call, state, at))
        else:
            self._later(at + timedelta(seconds=call.timeout), call, lambda at: self._end(call, "failed", at))
            if behaviour.answered_after is not None:
                self._later(at + behaviour.answered_after, call, partial(self._pick_up, call, behaviour))

    def answer(self, call: StoredCall, at: datetime) -> None:
        """Answer the phone that rings."""
        self._check(call, is_ringing=True)
        call.is_let_ring = False
        self._pick_up(call, CallBehaviour("A person answers"), at)

    def decline(self, call: StoredCall, at: datetime) -> None:
        """Decline a call, which 46elks sees as busy."""
        self._check(call, is_ringing=True)
        self._end(call, "busy", at)

    def let_ring(self, call: StoredCall) -> None:
        """Decide not to answer: the phone rings until the time is up."""
        self._check(call, is_ringing=True)
        call.is_let_ring = True

    def press(self, call: StoredCall, keys: str, at: datetime) -> None:
        """Press keys of the phone during a call: digits, `*` and `#`."""
        self._check(call, is_ringing=False)
        if not keys or set(keys) - _KEYS:
            raise PhoneError("A phone has the keys 0 to 9, * and #.")
        for key in keys:
            if call.is_answered:
                self._sessions[call.id].press(key, at)

    def hang_up(self, call: StoredCall, at: datetime) -> None:
        """End a call from the phone."""
        self._check(call, is_ringing=False)
        self._end(call, "success", at)

    def clear(self) -> None:
        """Forget all calls, sounds and recordings."""
        self.log.clear()
        self.audio.clear()
        self.recorder.log.clear()
        for session in self._sessions.values():
            session.abandon()
        self._sessions.clear()

    def _check(self, call: StoredCall, *, is_ringing: bool) -> None:
        if is_ringing and not call.is_ringing:
            raise PhoneError("This call does not ring any more.")
        if not is_ringing and not call.is_answered:
            raise PhoneError("This call was not answered, or has ended.")

    def _later(self, at: datetime, call: StoredCall, step: Step) -> None:
        """Take a step at `at` if the phone still rings then."""

        def take(at: datetime) -> None:
            if call.is_ringing:
                step(at)

        self._parts.steps.add(at, take)

    def _pick_up(self, call: StoredCall, behaviour: CallBehaviour, at: datetime) -> None:
        if call.is_let_ring:
            return
        call.started_at = at
        call.is_by_voicemail = behaviour.is_voicemail
        session = CallSession(call, self._parts, lambda at: self._end(call, "success", at))
        self._sessions[call.id] = session
        if behaviour.hangs_up_after is not None:
            self._parts.steps.add(at + behaviour.hangs_up_after, lambda at: self._end(call, "success", at))
        session.begin(at)

    def _end(self, call: StoredCall, state: StoredCallState, at: datetime) -> None:
        """End a call once: charge it, finish its recordings, and report it."""
        if call.state != "ongoing":
            return
        if call.is_by_voicemail and not self.rules.voicemail_is_success:
            state = "failed"
        call.state, call.ended_at = state, at
        if session := self._sessions.pop(call.id, None):
            session.close(at)
        if call.started_at is not None:
            call.duration = ceil((at - call.started_at).total_seconds())
            legs = [leg.duration for leg in call.legs if leg.duration]
            minutes = sum(max(1, ceil(seconds / 60)) for seconds in (call.duration, *legs))
            call.cost = minutes * self.rules.call_price(call.to)
            self.account.charge_call(call.id, call.cost, minutes, at)
            self.subaccounts.charge(call.subaccount, call.cost)
        if call.whenhangup:
            self.webhooks.post("hangup", call.whenhangup, self._report(call), at)

    def _report(self, call: StoredCall) -> dict[str, str]:
        """Return the form of `whenhangup`; the fields of the pick-up only if somebody answered."""
        form = {
            self.rules.whenhangup_id_key: call.id,
            "direction": call.direction,
            "from": call.sender,
            "to": call.to,
            "created": format_time(call.created_at),
            "state": call.state,
            "actions": json.dumps(show_actions(call, with_results=self.rules.actions_carry_results)),
            "legs": json.dumps(show_legs(call)),
        }
        if call.started_at is not None:
            form["start"] = format_time(call.started_at)
            form["duration"], form["cost"] = str(call.duration), str(call.cost)
        return form
