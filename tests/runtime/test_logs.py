"""The content of the log, and what must not be in it."""

import json
import logging
from collections.abc import Callable, Iterator

import pytest

from elks_mcp.runtime import logs


@pytest.fixture(autouse=True)
def logging_put_back() -> Iterator[None]:
    """Put the logging of this process back as it was."""
    root, ours = logging.getLogger(), logging.getLogger("elks_mcp")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
    logging.captureWarnings(False)


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[dict[str, object]]]:
    """Read the lines that were logged; they must not contain any part of a text."""

    def read() -> list[dict[str, object]]:
        errors = capsys.readouterr().err
        assert "a text" not in errors
        return [json.loads(line) for line in errors.splitlines()]

    return read


def test_our_own_records_are_one_json_line_each_masked(
    written: Callable[[], list[dict[str, object]]],
) -> None:
    logs.set_up("INFO")
    logging.getLogger("elks_mcp.x").info(
        "text to %s", "+46701740605", extra={"to": ["070-174 06 05"], "n": 3}
    )
    (line,) = written()
    assert line["message"] == "text to +46*******05"
    assert (line["to"], line["n"], line["level"], line["logger"]) == (["070*****05"], 3, "INFO", "elks_mcp.x")


def test_records_of_other_packages_are_logged_by_their_place_only(
    written: Callable[[], list[dict[str, object]]],
) -> None:
    logs.set_up("DEBUG")
    other = logging.getLogger("httpx2.client")
    other.info("never: %s", "a text")
    other.warning("dropped %r: malformed", "a text")
    other.warning("a text")
    first, second = written()
    assert (first["message"], second["message"]) == ("dropped %r: malformed", "(withheld)")
    assert "test_logs.py:" in str(second["where"])


def test_an_exception_is_logged_by_type_and_place_without_its_message(
    written: Callable[[], list[dict[str, object]]],
) -> None:
    logs.set_up("INFO")
    try:
        int("+46701740605 said something")
    except ValueError:
        logging.getLogger("elks_mcp.x").exception("a fault")
    (line,) = written()
    frames = line["error"]
    assert isinstance(frames, list)
    assert frames[-1] == "ValueError"
    assert "test_logs.py" in frames[0]
    assert "said something" not in str(line)


def test_the_log_level_applies_to_our_records_only(written: Callable[[], list[dict[str, object]]]) -> None:
    logs.set_up("ERROR")
    logging.getLogger("elks_mcp").warning("no")
    assert written() == []


@pytest.mark.parametrize(
    "number",
    ["+46701740605", "0701740605", "070-174 06 05", "+46 (0)70 174 06 05", "070.174.06.05", "070‑174‑06‑05"],
)
def test_numbers_in_any_spelling_are_masked(number: str) -> None:
    masked = logs.mask(f"to {number}, now")
    assert "1740" not in "".join(char for char in masked if char.isdigit())
    assert logs.mask("12 of 345 in 6 s") == "12 of 345 in 6 s"


_UNSEEN = "\x7f\x80\x85\x9b\x9f\u061c\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069\ufeff\U000e0041"
"""Characters that move the cursor, end a line for some programs, or turn what follows around."""


def test_invisible_characters_are_written_as_their_code_points(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.set_up("INFO")
    message = f"Hej å ✈{_UNSEEN}"
    logging.getLogger("elks_mcp.x").info("said %s", message, extra={"to": {message: [message]}})
    logging.getLogger("httpx2").warning(f"{message}%s", "x")  # noqa: G004  (it stands in their source)
    errors = capsys.readouterr().err
    assert not set(errors) & set(_UNSEEN)
    first, second = (json.loads(line) for line in errors.split("\n")[:2])
    assert (first["message"], first["to"], second["message"]) == (
        f"said {message}",
        {message: [message]},
        f"{message}%s",
    )
    assert "Hej å ✈" in errors
