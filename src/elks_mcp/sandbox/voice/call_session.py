"""One answered call: its voice actions, one after another, until one of both sides ends it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from elks_mcp.sandbox.call_behaviours import CallBehaviour
from elks_mcp.sandbox.event_queue import EventQueue
from elks_mcp.sandbox.messages import format_time
from elks_mcp.sandbox.network import Step, is_number
from elks_mcp.sandbox.prices_and_rules import Rules
from elks_mcp.sandbox.voice.call_log import ActionRun, ConnectedLeg, StoredCall, StoredCallState
from elks_mcp.sandbox.voice.recorder import Recorder
from elks_mcp.sandbox.voice.sounds import LOCAL, Sound, SoundLibrary
from elks_mcp.sandbox.voice.voice_actions import (
    Action,
    Menu,
    find_kind,
    find_own_part,
    find_target,
    parse_action,
    read_whole,
)
from elks_mcp.sandbox.webhooks import WebhookAnswer, Webhooks

_MOST_ACTIONS = 200
"""A call with more actions is ended, since a loop of failing actions would never end."""
_SILENCE = timedelta(seconds=3)
_REFUSED_AFTER = timedelta(seconds=2)
_TALKS_FOR = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class SessionParts:
    """The parts of the sandbox that a session uses; `find_behaviour` is for any number."""

    rules: Rules
    steps: EventQueue[Step]
    webhooks: Webhooks
    audio: SoundLibrary
    recorder: Recorder
    find_behaviour: Callable[[str], CallBehaviour]


class CallSession:
    """The actions of one answered call.

    Args:
        on_end: called once, when the actions end.
    """

    def __init__(self, call: StoredCall, parts: SessionParts, on_end: Step) -> None:
        self.call, self._parts, self._on_end = call, parts, on_end
        self._turn = 0
        self._action: Action = {}
        self._menu: Menu | None = None
        self._length = timedelta(0)
        self._skip: Step | None = None
        self._stop_recording: Step | None = None
        self._whole: list[tuple[str, datetime]] = []
        self._local: dict[str, timedelta] = {}
        self._leg: tuple[ConnectedLeg, datetime] | None = None

    def begin(self, at: datetime) -> None:
        """Carry out the first action of the call."""
        form = {"created": format_time(self.call.created_at)}
        if result := self._parts.rules.voice_start_result:
            form["result"] = result
        self._go(self.call.voice_start, form, at)

    def press(self, key: str, at: datetime) -> None:
        """Press one key of the phone."""
        self.call.keys += key
        if self._menu is not None:
            menu = self._menu
            if menu.take(key):
                self._complete(menu.pressed or "failed", at)
            else:
                self._listen(at)
        elif self._skip is not None:
            self._skip(at)
        elif key == "#" and self._stop_recording is not None:
            self._stop_recording(at)

    def close(self, at: datetime) -> None:
        """End what goes on, since the call has ended: recordings and connected calls."""
        self.abandon()
        if self._stop_recording is not None:
            self._stop_recording(at)
        if self._leg is not None:
            self._end_leg(at)
        for url, since in self._whole:
            self._parts.recorder.add(self.call, url, since, at)
        self._whole.clear()
        self.call.playing = ""

    def abandon(self) -> None:
        """Forget the call: an answer that still comes has no effect."""
        self._turn += 1
        self._menu = self._skip = None

    def _go(self, target: object, form: dict[str, str], at: datetime) -> None:
        """Carry out an action, or ask the web server at an address for it; otherwise end the call."""
        self._turn += 1
        self._menu = self._skip = None
        self.call.playing = ""
        if isinstance(target, str) and target.lstrip().startswith("{"):
            target = parse_action(target)
        if len(self.call.actions) >= _MOST_ACTIONS:
            target = None
        if isinstance(target, str) and target.strip():
            parties = {"direction": self.call.direction, "callid": self.call.id}
            parties |= {"from": self.call.sender, "to": self.call.to}
            turn = self._turn
            self._parts.webhooks.ask(
                target, parties | form, at, lambda answer, at: self._obey(answer, turn, at)
            )
        elif isinstance(target, dict):
            self._run(target, at)
        elif self._parts.rules.call_ends_with_actions or not self.call.actions:
            self._on_end(at)

    def _obey(self, answer: WebhookAnswer, turn: int, at: datetime) -> None:
        """Carry out the answer to a webhook; anything but an action with 200–204 ends the call."""
        if turn == self._turn:
            self._go(parse_action(answer.body) if answer.is_good else None, {}, at)

    def _run(self, action: Action, at: datetime) -> None:
        if isinstance(action.get("whenhangup"), str):
            self.call.whenhangup = action["whenhangup"]
        if isinstance(action.get("recordcall"), str):
            self._whole.append((action["recordcall"], at))
        kind = find_kind(action)
        if kind is None:
            self._on_end(at)
            return
        self.call.actions.append(ActionRun(find_own_part(action)))
        handlers = {
            "play": self._play,
            "ivr": self._ask,
            "record": self._record,
            "connect": self._connect,
            "hangup": self._hang_up,
        }
        handlers[kind](action, at)

    def _complete(self, result: str, at: datetime) -> None:
        """End the current action, and go on with what it has for this result, or with `next`."""
        self.call.actions[-1].result = result
        keys = [result, "next"] if result.isdigit() or "connect" in self._action else ["next"]
        self._go(find_target(self._action, *keys), {"result": result}, at)

    def _later(self, at: datetime, step: Step) -> None:
        """Take a step at `at`, unless the call has gone on or ended before."""
        turn = self._turn

        def take(at: datetime) -> None:
            if turn == self._turn:
                step(at)

        self._parts.steps.add(at, take)

    def _start_sound(self, source: str, at: datetime, then: Callable[[timedelta, datetime], None]) -> None:
        """Play a sound and call `then` with its length; without a sound, the action fails."""
        turn = self._turn

        def start(audio: Sound, at: datetime) -> None:
            if turn != self._turn:
                return
            if audio.problem:
                self._complete("failed", at)
                return
            self.call.playing = source
            then(audio.duration, at)

        if source.startswith(LOCAL) and source in self._local:
            start(Sound(source, duration=self._local[source]), at)
        else:
            self._parts.audio.load(source, at, start)

    def _play(self, action: Action, at: datetime) -> None:
        self._action = action

        def start(length: timedelta, at: datetime) -> None:
            if action.get("skippable") is not False:
                self._skip = lambda at: self._complete("success", at)
            self._later(at + length, lambda at: self._complete("success", at))

        self._start_sound(action["play"], at, start)

    def _ask(self, action: Action, at: datetime) -> None:
        """Play a menu and wait for digits (docs/voice-ivr)."""
        self._action = action
        self._start_sound(action["ivr"], at, lambda length, at: self._open_menu(Menu(action), length, at))

    def _open_menu(self, menu: Menu, length: timedelta, at: datetime) -> None:
        self._menu = menu
        behaviour = self._parts.find_behaviour(self.call.to)
        for key in behaviour.presses:

            def press(at: datetime, key: str = key) -> None:
                if self._menu is menu:
                    self.press(key, at)

            self._parts.steps.add(at + behaviour.pressed_after, press)
        self._play_menu(menu, length, at)

    def _play_menu(self, menu: Menu, length: timedelta, at: datetime) -> None:
        menu.played += 1
        self._length = length
        self._later(at + length, self._listen)

    def _listen(self, at: datetime) -> None:
        """Wait for input; the time starts again with each digit."""
        menu = self._menu
        if menu is None:
            return
        self._turn += 1
        self._later(at + timedelta(seconds=menu.timeout), lambda at: self._stop_listening(menu, at))

    def _stop_listening(self, menu: Menu, at: datetime) -> None:
        most = menu.repeat + self._parts.rules.menu_repeats_are_extra
        if not menu.pressed and menu.played < most:
            self._play_menu(menu, self._length, at)
        else:
            self._complete(menu.pressed or "failed", at)

    def _record(self, action: Action, at: datetime) -> None:
        """Record the phone until silence, `#` or the end of the time (docs/voice-record)."""
        self._action = action
        url, since = action["record"], at
        limit = timedelta(seconds=read_whole(action, "timelimit", 120))
        speaks_for = self._parts.find_behaviour(self.call.to).speaks_for
        detects = action.get("silencedetection") != "no"

        def store(at: datetime) -> None:
            self._stop_recording = None
            if url.startswith(LOCAL):
                self._local[url] = at - since
            else:
                self._parts.recorder.add(self.call, url, since, at)

        def stop(at: datetime) -> None:
            store(at)
            if self.call.state == "ongoing":
                self._complete("success", at)

        self._stop_recording = stop
        self._later(at + (min(limit, speaks_for + _SILENCE) if detects else limit), stop)

    def _connect(self, action: Action, at: datetime) -> None:
        """Call other numbers, of which the first that answers is connected (docs/voice-connect)."""
        self._action = action
        timeout = timedelta(seconds=read_whole(action, "timeout", 60))
        numbers = [number.strip() for number in action["connect"].split(",")]
        outcomes = sorted(self._try(number, timeout) for number in numbers)
        after, state, number = next((each for each in outcomes if each[1] == "success"), outcomes[-1])
        sender = action.get("callerid") if isinstance(action.get("callerid"), str) else self.call.sender
        leg = ConnectedLeg(str(sender), number, state)
        self.call.legs.append(leg)
        if state != "success":
            self._later(at + after, lambda at: self._complete(state, at))
            return

        def talk(at: datetime) -> None:
            self._leg = leg, at
            self._later(at + (self._parts.find_behaviour(number).hangs_up_after or _TALKS_FOR), finish)

        def finish(at: datetime) -> None:
            self._end_leg(at)
            self._complete("success", at)

        self._later(at + after, talk)

    def _try(self, number: str, timeout: timedelta) -> tuple[timedelta, StoredCallState, str]:
        """Return when and how calling `number` ends; nobody answers a second phone by hand."""
        if not is_number(number):
            return _REFUSED_AFTER, "failed", number
        behaviour = self._parts.find_behaviour(number)
        if behaviour.reachable != "reachable":
            return _REFUSED_AFTER, "busy" if behaviour.reachable == "busy" else "failed", number
        if behaviour.answered_after is None or behaviour.answered_after > timeout:
            return timeout, "failed", number
        return behaviour.answered_after, "success", number

    def _end_leg(self, at: datetime) -> None:
        if self._leg is not None:
            leg, since = self._leg
            leg.duration = ceil((at - since).total_seconds())
            self._leg = None

    def _hang_up(self, _action: Action, at: datetime) -> None:
        self.call.actions[-1].result = "success"
        self._on_end(at)
