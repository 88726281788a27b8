"""The operator's own number, in a file that `elks-mcp send --to-me` writes."""

import os
from pathlib import Path

from elks_mcp.domain.phone import is_e164
from elks_mcp.errors import Misconfigured
from elks_mcp.store.private_files import close_to_others, make_private_folder, read_private_file

NUMBER_FILE = "my-number"


def read_my_number(folder: Path) -> str | None:
    """Return the operator's own number in E.164; None if it is not stored.

    Raises:
        Misconfigured: the file cannot be read, or holds something else.
    """
    number = _read(folder / NUMBER_FILE)
    if number and not is_e164(number):
        raise explain_unusable(folder / NUMBER_FILE, "it contains no phone number")
    return number or None


def has_my_number(folder: Path, number: str) -> bool:
    """Return whether a number, in E.164, is stored as the operator's own.

    Raises:
        Misconfigured: the file cannot be read.
    """
    return _read(folder / NUMBER_FILE) == number


def forget_my_number(folder: Path) -> None:
    """Delete the operator's own number, if it is stored."""
    (folder / NUMBER_FILE).unlink(missing_ok=True)


def _read(file: Path) -> str:
    try:
        return read_private_file(file).decode("utf-8").strip() if os.path.lexists(file) else ""
    except (OSError, UnicodeDecodeError) as error:
        raise explain_unusable(file, error) from None


def store_my_number(folder: Path, number: str) -> None:
    """Store the operator's own number, in E.164, in a new file that only its owner may read.

    Raises:
        Misconfigured: the file cannot be written.
    """
    file = folder / NUMBER_FILE
    try:
        make_private_folder(folder)
        close_to_others(file)
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as written:
            written.write(f"{number}\n")
    except OSError as error:
        raise explain_unusable(file, error) from None


def explain_unusable(file: Path, why: object) -> Misconfigured:
    """Return the error for a file that cannot be used."""
    return Misconfigured(
        f"Your number cannot be stored in {file}: {why}.", hint="Name another directory with --state-dir."
    )
