"""The users who may write the operator's contacts, by the permissions of this system."""

import os
import stat
import sys
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple


class Reach(IntEnum):
    """How many people may write a file, the fewest first."""

    OWNER = 0
    GROUP = 1
    EVERYBODY = 2


class Writers(NamedTuple):
    """The users of this machine who may write the contacts."""

    reach: Reach
    names: str
    """Names them, before "may write it": `the group staff`, `everybody on this machine`."""


def find_writers(path: Path) -> Writers | None:
    """Return who may write a file, or a folder and the .vcf files in it; None on Windows.

    Only the permissions of the file and of its folder are read, no access control lists.

    Raises:
        OSError: they cannot be examined.
    """
    if sys.platform == "win32":
        return None
    beside = path.glob("*.[vV][cC][fF]") if path.is_dir() else [path.parent, path.resolve().parent]
    places = [path, *beside]
    return max((_examine(each) for each in places), key=lambda writers: writers.reach)


def _examine(path: Path) -> Writers:
    found = path.stat()
    is_sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
    if found.st_mode & stat.S_IWOTH and not is_sticky:
        return Writers(Reach.EVERYBODY, "everybody on this machine")
    if found.st_mode & stat.S_IWGRP and not is_sticky and not _is_own_group(found):
        return Writers(Reach.GROUP, f"the group {_name_group(found.st_gid)}")
    if found.st_uid == os.geteuid():
        return Writers(Reach.OWNER, "only the user who runs elks-mcp")
    if found.st_uid == 0:
        return Writers(Reach.OWNER, "only the administrator")
    return Writers(Reach.GROUP, f"the user {_name_user(found.st_uid)}")


def _is_own_group(found: os.stat_result) -> bool:
    """Return whether a file's group is the one that many systems make for each user."""
    import grp  # noqa: PLC0415  (not on Windows)

    try:
        group = grp.getgrgid(found.st_gid)
    except KeyError:
        return False
    owner = _name_user(found.st_uid)
    return group.gr_name == owner and set(group.gr_mem) <= {owner}


def _name_group(gid: int) -> str:
    import grp  # noqa: PLC0415  (not on Windows)

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _name_user(uid: int) -> str:
    import pwd  # noqa: PLC0415  (not on Windows)

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
