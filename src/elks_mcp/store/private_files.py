"""Files and directories that only their owner may read, and that are not links.

On Windows, a user's directories are private by inheritance, so all of this is for POSIX systems.
"""

import logging
import os
import stat
import sys
from pathlib import Path

from elks_mcp.errors import Misconfigured

log = logging.getLogger(__name__)

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_NO_LINKS: int = getattr(os, "O_NOFOLLOW", 0)


def make_private_folder(folder: Path) -> None:
    """Create a directory that only its owner may enter, or restrict one that exists.

    Raises:
        Misconfigured: It is a link, belongs to another user, or cannot be restricted.
        OSError: It can be neither created nor examined.
    """
    if not os.path.lexists(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    close_to_others(folder)


def make_private_file(file: Path) -> None:
    """Create an empty file that only its owner may read, or restrict an existing one.

    Raises:
        Misconfigured: It is a link, belongs to another user, or cannot be restricted.
        OSError: It can be neither created nor examined.
    """
    close_to_others(file)
    os.close(os.open(file, os.O_RDWR | os.O_CREAT | _NO_LINKS, 0o600))


def read_private_file(file: Path) -> bytes:
    """Return the bytes of a file that only its owner may read.

    Raises:
        Misconfigured: It is a link, belongs to another user, or cannot be restricted.
        OSError: It cannot be read.
    """
    close_to_others(file)
    with os.fdopen(os.open(file, os.O_RDONLY | _NO_LINKS), "rb") as content:
        return content.read()


def close_to_others(path: Path) -> None:
    """Check that a path is the user's own and not a link, and remove other users' permissions.

    A path that does not exist is not an error.

    Raises:
        Misconfigured: It is a link, belongs to another user, or cannot be restricted.
        OSError: It cannot be examined.
    """
    if sys.platform == "win32":
        return
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if stat.S_ISLNK(found.st_mode):
        raise Misconfigured(
            f"{path} is a symbolic link, and a user who may change the link could put other state there.",
            hint="Set ELKS_STATE_DIR to the directory that it points to.",
        )
    if found.st_uid != os.geteuid():
        raise Misconfigured(
            f"{path} belongs to another user of this machine, who could read and change the state.",
            hint="Run elks-mcp as that user, or set ELKS_STATE_DIR to another directory.",
        )
    if found.st_mode & _OTHERS:
        _close(path, found.st_mode)


def _close(path: Path, mode: int) -> None:
    path.chmod(stat.S_IMODE(mode) & ~_OTHERS)
    if path.lstat().st_mode & _OTHERS:
        raise Misconfigured(
            f"Other users of this machine may read {path}, and this file system cannot make it private.",
            hint="Set ELKS_STATE_DIR to a directory on a disk of this machine.",
        )
    log.info(
        "other users of this machine could access %s (mode %o); it was made private",
        path,
        stat.S_IMODE(mode),
    )


def is_open_to_all(path: Path) -> bool:
    """Return whether every user of this machine may read a file. Links are followed."""
    if sys.platform == "win32":
        return False
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False
