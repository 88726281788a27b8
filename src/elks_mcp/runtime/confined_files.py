"""Read files of one directory by names that a stranger may have chosen.

A file is opened from a handle of the directory, one step of its name at a time, and no step may be a link.
So no name leads out of the directory, even if its content changes meanwhile. Windows cannot open files that
way: there the whole path is resolved and compared, before and after the file is opened.
"""

import os
import re
import stat
from pathlib import Path

CAN_OPEN_IN = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
"""Whether this system opens files from a handle of their directory."""

_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_DIRECTORY = getattr(os, "O_DIRECTORY", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)
"""Opening a named pipe would wait for a writer otherwise."""

_BINARY = getattr(os, "O_BINARY", 0)

_DEVICE = re.compile(r"(?:con|prn|aux|nul|(?:com|lpt)[0-9¹²³]|conin\$|conout\$) *(?:\..*)?", re.IGNORECASE)
"""A name that Windows reads as that of a device, whatever its directory and its ending."""


class FileNotAllowed(Exception):
    """A file may not be read, or cannot be. The text says why, without any path of this machine."""


class FileMissing(FileNotAllowed):
    """There is no file of that name."""


_ADVICE = "Name a file in the operator's directory, as in customers.csv."


def read_confined(
    folder: Path, name: str, most: int, *, advice: str = _ADVICE, by_handle: bool = CAN_OPEN_IN
) -> bytes:
    """Return the content of a file in a directory, at most `most` bytes and one more.

    Args:
        folder: the directory.
        name: relative to the directory, with `/` between its steps.
        most: bytes.
        advice: what to name instead of an address, or a path that leads elsewhere.
        by_handle: whether to open it from a handle of the directory.

    Raises:
        FileNotAllowed: the name leads elsewhere, a step of it is a link, or the file cannot be read.
    """
    steps = _split(name, advice)
    try:
        handle = _open_in(folder, steps) if by_handle else _open_resolved(folder, steps)
        return _read(handle, most + 1)
    except FileNotFoundError:
        if not folder.is_dir():
            raise FileNotAllowed("The operator's directory does not exist.") from None
        raise FileMissing("The directory has no such file.") from None
    except (OSError, ValueError):
        raise FileNotAllowed("It is a link, or a file that cannot be read.") from None


def list_confined(folder: Path, endings: tuple[str, ...], most: int) -> list[str]:
    """List the first `most` regular files in a directory with one of these endings."""
    try:
        with os.scandir(folder) as found:
            names = [
                each.name
                for each in found
                if each.name.lower().endswith(endings) and each.is_file(follow_symlinks=False)
            ]
    except OSError:
        return []
    return sorted(names)[:most]


def _read(handle: int, most: int) -> bytes:
    """Return the first bytes of an open file, and close it."""
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise FileNotAllowed("It is not a regular file.")
    with os.fdopen(handle, "rb") as content:
        return content.read(most)


def _split(name: str, advice: str) -> list[str]:
    """Return the steps of a relative name.

    Raises:
        FileNotAllowed: it is absolute, names a drive or a stream, or goes up.
    """
    steps = name.replace("\\", "/").split("/")
    if "\0" in name or ":" in name or not all(step and step.strip(". ") for step in steps):
        raise FileNotAllowed(advice)
    return steps


def _open_in(folder: Path, steps: list[str]) -> int:
    *folders, file = steps
    at = os.open(folder, os.O_RDONLY | _DIRECTORY)  # the operator's own directory may be a link
    try:
        for step in folders:
            inner = os.open(step, os.O_RDONLY | _DIRECTORY | _NO_LINK, dir_fd=at)
            os.close(at)
            at = inner
        return os.open(file, os.O_RDONLY | _NO_LINK | _NO_WAIT, dir_fd=at)
    finally:
        os.close(at)


def _open_resolved(folder: Path, steps: list[str]) -> int:
    """Open a file by its path, which must be the same with all links followed."""
    if any(_DEVICE.fullmatch(step) for step in steps):
        raise FileNotAllowed("It is the name of a device.")
    base = folder.resolve(strict=True)
    path = base.joinpath(*steps)
    if path.resolve(strict=True) != path:
        raise FileNotAllowed("It is a link, or a step of its name is.")
    handle = os.open(path, os.O_RDONLY | _BINARY)
    if path.resolve(strict=True) == path and os.path.samestat(path.stat(), os.fstat(handle)):
        return handle
    os.close(handle)
    raise FileNotAllowed("It was changed in the meantime.")
