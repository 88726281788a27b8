"""Voice actions as clients write them: JSON whose values have any type (docs/call-actions)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Action = dict[str, Any]
ACTIONS = ("connect", "play", "ivr", "record", "hangup")
"""In the order in which they are looked for in an object."""
_DAY = 86_400


def parse_action(written: str) -> Action | None:
    """Return `written` as an action, or None if it is not a JSON object in valid Unicode."""
    try:
        action = json.loads(written)
        json.dumps(action, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return None
    return action if isinstance(action, dict) else None


def find_kind(action: Action) -> str | None:
    """Return which action an object is, or None if it is none."""
    return next((kind for kind in ACTIONS if isinstance(action.get(kind), str)), None)


def find_own_part(action: Action) -> Action:
    """Return an action without the actions inside it, as `actions` shows it."""
    return {key: value for key, value in action.items() if not isinstance(value, dict)}


def find_target(action: Action, *keys: str) -> object:
    """Return what follows an action: the first of `keys` that it has."""
    return next((action[key] for key in keys if key in action), None)


def read_whole(action: Mapping[str, Any], key: str, default: int, *, longest: int = _DAY) -> int:
    """Return a whole number from 1 to `longest`, or `default` if there is none."""
    try:
        value = int(action.get(key, default))
    except (TypeError, ValueError):
        return default
    return value if 1 <= value <= longest else default


@dataclass(slots=True)
class Menu:
    """An `ivr` that goes on: how many digits it wants, how long it waits, and what was pressed."""

    action: Action
    pressed: str = ""
    played: int = 0

    @property
    def wanted(self) -> int:
        """The number of digits that end the input, by default 1."""
        return read_whole(self.action, "digits", 1)

    @property
    def timeout(self) -> int:
        """How long it waits for input, in seconds: 1 to 30, otherwise 10 (docs/voice-ivr)."""
        return read_whole(self.action, "timeout", 10, longest=30)

    @property
    def repeat(self) -> int:
        """How often it is played."""
        return read_whole(self.action, "repeat", 3)

    def take(self, key: str) -> bool:
        """Take one pressed key, and return whether the input is complete."""
        if key == "#":
            return True
        self.pressed += key
        return len(self.pressed) >= self.wanted
