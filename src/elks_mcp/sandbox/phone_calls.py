"""Phone calls from the side of the phones: what rings, and what the owner of a phone does."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypedDict, Unpack

from elks_mcp.sandbox.call_behaviours import CallBehaviour
from elks_mcp.sandbox.simulation import Simulation
from elks_mcp.sandbox.voice.call_log import (
    ActionRun,
    ConnectedLeg,
    StoredCall,
    StoredCallDirection,
    StoredCallState,
    StoredRecording,
)
from elks_mcp.sandbox.voice.exchange import PhoneError
from elks_mcp.sandbox.voice.sounds import Sound


class PastCall(TypedDict, total=False):
    """The fields of a call that `PhoneCalls.add_history` adds; all are optional."""

    direction: StoredCallDirection
    """By default `outgoing`."""
    sender: str
    """By default the account's number."""
    to: str
    """By default a phone without magic."""
    state: StoredCallState
    """By default `success`."""
    started_at: datetime | None
    """By default the time of creation, unless the call failed or was busy."""
    duration: int
    """In seconds, by default 15."""
    cost: int
    """In ten-thousandths, by default 0."""
    timeout: int
    """In seconds, by default 60."""
    actions: Sequence[ActionRun]
    legs: Sequence[ConnectedLeg]


_OTHER_PARTY = "+46701740605"


class PhoneCalls:
    """The calls of a sandbox. A call is named by itself or by its id.

    Raises:
        PhoneError: a phone cannot do that, for example because the call has ended, or there is no such call.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    @property
    def history(self) -> list[StoredCall]:
        """Every call in the account's log, oldest first."""
        self._simulation.catch_up()
        return list(self._simulation.exchange.log)

    @property
    def ringing(self) -> list[StoredCall]:
        """The calls that ring now, oldest first."""
        return [call for call in self.history if call.is_ringing]

    @property
    def audio(self) -> list[Sound]:
        """Every attempt to fetch the sound of a client, in order."""
        return self._simulation.exchange.audio.fetched

    @property
    def recordings(self) -> list[StoredRecording]:
        """Every recording, oldest first."""
        self._simulation.catch_up()
        return list(self._simulation.exchange.recorder.log)

    def set_behaviour(self, number: str, behaviour: CallBehaviour) -> None:
        """Change how the phone with this `number` reacts to calls from now on."""
        self._simulation.network.handset(number).calls = behaviour
        self._simulation.notify()

    def answer(self, call: StoredCall | str) -> StoredCall:
        """Answer the phone that rings."""
        found, at = self._find(call), self._simulation.clock.now()
        self._simulation.exchange.answer(found, at)
        return found

    def press(self, call: StoredCall | str, keys: str) -> StoredCall:
        """Press keys of the phone during a call: digits, `*` and `#`."""
        found, at = self._find(call), self._simulation.clock.now()
        self._simulation.exchange.press(found, keys, at)
        return found

    def hang_up(self, call: StoredCall | str) -> StoredCall:
        """End a call from the phone."""
        found, at = self._find(call), self._simulation.clock.now()
        self._simulation.exchange.hang_up(found, at)
        return found

    def decline(self, call: StoredCall | str) -> StoredCall:
        """Decline a call that rings, so that 46elks sees a busy phone."""
        found, at = self._find(call), self._simulation.clock.now()
        self._simulation.exchange.decline(found, at)
        return found

    def let_ring(self, call: StoredCall | str) -> StoredCall:
        """Do not answer: the phone rings until the time is up."""
        found = self._find(call)
        self._simulation.exchange.let_ring(found)
        return found

    def add_history(self, created_at: datetime, **fields: Unpack[PastCall]) -> StoredCall:
        """Add a past call to history; nothing rings, is charged or reported. `created_at` is aware."""
        state = fields.get("state", "success")
        was_answered = state in {"success", "ongoing"}
        started_at = fields.get("started_at", created_at if was_answered else None)
        duration = fields.get("duration", 15)
        ended_at = (started_at or created_at) + timedelta(seconds=duration)
        call = StoredCall(
            fields.get("sender", self._simulation.own.number),
            fields.get("to", _OTHER_PARTY),
            created_at,
            fields.get("timeout", 60),
            "",
            direction=fields.get("direction", "outgoing"),
            state=state,
            started_at=started_at,
            ended_at=None if state == "ongoing" else ended_at,
            duration=duration if started_at else 0,
            cost=fields.get("cost", 0),
            actions=list(fields.get("actions", ())),
            legs=list(fields.get("legs", ())),
        )
        self._simulation.exchange.log.add(call)
        return call

    def _find(self, call: StoredCall | str) -> StoredCall:
        """Return the call, up to date."""
        self._simulation.catch_up()
        self._simulation.notify()
        call_id = call if isinstance(call, str) else call.id
        found = self._simulation.exchange.log.find(call_id)
        if found is None:
            raise PhoneError("There is no such call.")
        return found
