"""Snapshots of the answers of a server to the requests that begin a session.

The next start uses one if it would give the same answers: the name of a snapshot is a digest of everything
that they depend on. Only the user can read and write it.
"""

import json
import os
import stat
import sys
from _blake2 import blake2b  # that of `hashlib`, which also loads OpenSSL: 2 ms
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from errno import EACCES, ENOENT
from typing import NamedTuple
from zlib import crc32

from elks_mcp.runtime.validation import SWITCHES

Answers = Mapping[str, Mapping[str, str]]
"""By the version of the protocol, then by the method: the result, as JSON."""

_SECRET_WORDS = ("USER", "PASS", "DATABASE_URL", "SECRET", "KEY", "TOKEN")
"""Parts of the names of settings whose values are not part of a digest, also of mistaken names."""

_SWITCHES_WITHOUT_EFFECT = frozenset({"ELKS_SANDBOX_PAGE"})
"""Settings that change no answer as long as they are valid. `elks-mcp connect` sets this one for a trial."""


_FORMAT = "1"
_DRY_RUN = "DRY_RUN"
_MOST = 16
"""How many snapshots are kept: one for each combination of settings, the newest ones."""

_MAX_BYTES = 2**20
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Snapshot(NamedTuple):
    """The stored answers, and the name under which they are stored."""

    name: str
    answers: Answers
    """Empty if none are stored."""


def find_name(
    arguments: Sequence[str], environ: Mapping[str, str], env_file: str | None, program: str = _PACKAGE
) -> str | None:
    """Return the name of the snapshot for a start: a digest of all that the answers depend on.

    That is the program, the packages it uses, and the settings. None if a file of settings cannot be read.
    """
    try:
        facts = [_FORMAT, sys.version, sys.platform, *arguments]
        facts += [*_list_packages(), *_list_files(program), *_list_settings(environ)]
        if env_file is not None:
            facts += _list_lines(env_file)
    except OSError:
        return None
    return blake2b("\0".join(facts).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def _list_packages() -> Iterator[str]:
    """List the installed packages with their versions. `importlib.metadata` takes 30 ms."""
    for folder in sys.path:
        if folder.endswith("-packages") and os.path.isdir(folder):
            yield from sorted(name for name in os.listdir(folder) if name.endswith(".dist-info"))


def _list_files(program: str) -> Iterator[str]:
    """List our own files with their times, which tell a changed checkout."""
    for folder, subfolders, names in os.walk(program):
        subfolders.sort()
        for name in sorted(names):
            if name.endswith(".py"):
                found = os.stat(os.path.join(folder, name))
                yield f"{name} {found.st_mtime_ns} {found.st_size}"


def _list_settings(environ: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(environ):
        if name.startswith("ELKS_") or name == _DRY_RUN:
            yield from _describe(name, environ[name])


def _list_lines(env_file: str) -> Iterator[str]:
    for line in _read(env_file).removeprefix("\ufeff").split("\n"):
        name, _, value = line.partition("=")
        yield name  # a mistake in front of it, as in `exportELKS_SANDBOX`, hides the setting
        yield from _describe(name.strip().removeprefix("export").strip(" \t'"), value)


def _describe(name: str, value: str) -> Iterator[str]:
    """Describe a variable; a secret only with 16 bits of a checksum, which reveal most changes."""
    if name in _SWITCHES_WITHOUT_EFFECT and value.strip().lower() in {"", *SWITCHES}:
        return
    yield name
    yield value if _may_be_shown(name) else _checksum(value)
    if name.startswith("ELKS_") and name.endswith("_FILE") and (path := value.strip().strip("\"'")):
        yield from _describe(name.removesuffix("_FILE"), _read(path))


def _may_be_shown(name: str) -> bool:
    """Return whether a variable is a setting, and not secret. A file may have others."""
    is_setting = name.startswith("ELKS_") or name == _DRY_RUN
    return is_setting and not any(word in name for word in _SECRET_WORDS)


def _checksum(value: str) -> str:
    return str(crc32(value.encode("utf-8", "surrogateescape")) & 0xFFFF)


def _read(path: str) -> str:
    """Read a file.

    Raises:
        OSError: It cannot be read, or is a pipe, whose content could then not be read again.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return file.read(_MAX_BYTES)


def load(name: str) -> Snapshot:
    """Return the snapshot of a name; without answers unless only the user can write it."""
    try:
        with _open_folder() as folder:
            return Snapshot(name, _load(name, folder))
    except (OSError, ValueError, RecursionError):
        return Snapshot(name, {})


def _load(name: str, folder: int) -> Answers:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with open(descriptor, encoding="utf-8") as file:
        found = os.fstat(descriptor)
        is_ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_nlink == 1
        if not is_ours or found.st_mode & _OTHERS:
            return {}
        read = json.loads(file.read(_MAX_BYTES))
    return read if _is_snapshot(read) else {}


def _is_snapshot(read: object) -> bool:
    return isinstance(read, dict) and all(
        isinstance(each, dict) and all(isinstance(result, str) for result in each.values())
        for each in read.values()
    )


def save(snapshot: Snapshot) -> None:
    """Store a snapshot, and delete the oldest ones if there are many.

    Raises:
        OSError: It cannot be stored.
    """
    os.makedirs(os.path.dirname(find_folder()), exist_ok=True)
    with suppress(FileExistsError):
        os.mkdir(find_folder(), 0o700)
    with _open_folder() as folder:
        draft = f"{snapshot.name}.{os.getpid()}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with suppress(FileNotFoundError):  # left by a killed process; in a container all have the same number
            os.unlink(draft, dir_fd=folder)
        try:
            with open(os.open(draft, flags, 0o600, dir_fd=folder), "w", encoding="utf-8") as file:
                json.dump(snapshot.answers, file)
            os.replace(draft, snapshot.name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:  # as on a full disk
            with suppress(OSError):
                os.unlink(draft, dir_fd=folder)
            raise
        _delete_oldest(folder)


def delete(name: str) -> None:
    """Delete a snapshot, if there is one."""
    with suppress(OSError), _open_folder() as folder:
        os.unlink(name, dir_fd=folder)


def find_folder() -> str:
    """Return the directory of the snapshots.

    It is the one of `platformdirs.user_cache_dir`, which takes 20 ms to load.

    Raises:
        FileNotFoundError: The user has no home directory.
    """
    caches = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(caches):
        caches = os.path.expanduser("~/Library/Caches" if sys.platform == "darwin" else "~/.cache")
    if not os.path.isabs(caches):
        raise FileNotFoundError(ENOENT, "there is no home directory")
    return os.path.join(caches, "elks-mcp")


@contextmanager
def _open_folder() -> Iterator[int]:
    """Open the directory of the snapshots.

    Raises:
        OSError: There is none, it is not ours, or somebody else can write in it.
    """
    folder = os.open(find_folder(), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(folder)
        if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError(EACCES, "its directory is not only yours")
        yield folder
    finally:
        os.close(folder)


def _delete_oldest(folder: int) -> None:
    times = {}
    for name in os.listdir(folder):
        with suppress(OSError):  # another process deleted it
            times[name] = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime_ns
    for name in sorted(times, key=times.__getitem__)[:-_MOST]:
        with suppress(OSError):
            os.unlink(name, dir_fd=folder)
