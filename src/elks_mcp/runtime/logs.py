"""Logs: JSON lines on standard error, without phone numbers, texts and secrets.

Our own records contain none, and are masked in addition. Records of other libraries may contain anything (the
SDK logs the text of errors, httpx2 URLs), so only their warnings are kept, and of those only the origin and
the format string.
"""

import json
import logging
import re
import sys
import traceback
from datetime import UTC, datetime
from typing import Any

_OURS = "elks_mcp"
_JSON = json.JSONEncoder(ensure_ascii=False, default=str)
_PLAIN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Formats each record as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as JSON, masked."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
        }
        if _is_ours(record.name):
            line["message"] = mask(record.getMessage())
            line |= {key: _masked(value) for key, value in record.__dict__.items() if key not in _PLAIN}
        else:
            line["message"] = record.msg if record.args else "(withheld)"
            line["where"] = f"{record.pathname}:{record.lineno}"
        if record.exc_info and record.exc_info[1]:
            line["error"] = _frames(record.exc_info[1])
        return _escape(_JSON.encode(line))


def set_up(level: str) -> None:
    """Log to standard error from `level` on; records of other libraries from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(_OURS).setLevel(level)
    logging.captureWarnings(True)


def _escape(line: str) -> str:
    r"""Escape invisible and bidi characters, such as `\u202e`, so that the line reads as it is.

    Control characters (including U+0080 to U+009F) and line separators are escaped, too. The JSON has the
    same meaning.
    """
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() else _number(char) for char in line)


def _number(char: str) -> str:
    return json.dumps(char)[1:-1] if char > "\x7f" else f"\\u{ord(char):04x}"


_NUMBER = re.compile(r"\+?\d(?:[^\w\n]{0,3}\d){6,}")
"""Seven digits or more, with up to three other characters between two of them."""


def mask(text: str) -> str:
    """Hide the middle of everything that looks like a phone number."""
    return _NUMBER.sub(_stars, text)


def _stars(found: re.Match[str]) -> str:
    digits = "".join(char for char in found.group() if char.isdigit() or char == "+")
    return f"{digits[:3]}{'*' * max(0, len(digits) - 5)}{digits[-2:]}"


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {key: _masked(item) for key, item in value.items()}
    return [_masked(item) for item in value] if isinstance(value, list | tuple) else value


def _is_ours(name: str) -> bool:
    return name == _OURS or name.startswith(f"{_OURS}.")


def _frames(error: BaseException) -> list[str]:
    """Return the frames of an error and its type, without its message, which may hold anything."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return [*lines, type(error).__name__]
