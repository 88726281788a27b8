"""A client's file: read it with its mode and marks, back it up, and replace it in one step."""

import contextlib
import os
import secrets
import stat
from itertools import count, takewhile
from pathlib import Path
from typing import NamedTuple

_BOM = "\ufeff"
_PRIVATE = 0o600

BACKUP = ".before-elks-mcp"
"""The end of the name of the backup from before our first change of a file."""

_NO_FILE = b"There was no such file before elks-mcp connect, so --remove deletes it.\n"
"""The content of a backup if there was no file: neither JSON nor TOML."""


class FileProblem(Exception):
    """A client's file cannot be read or changed. The message says why, and what to do."""


class ClientFile(NamedTuple):
    """A file as it was read. `content` is None if there is none."""

    path: Path
    content: bytes | None
    mode: int

    @property
    def text(self) -> str:
        """The text without its byte order mark."""
        return _decode(self.path, self.content or b"").removeprefix(_BOM)

    @property
    def has_mark(self) -> bool:
        """Whether it begins with a byte order mark."""
        return (self.content or b"").startswith(_BOM.encode())

    @property
    def private_mode(self) -> int:
        """Its mode without the permissions of other users."""
        return self.mode & ~(stat.S_IRWXG | stat.S_IRWXO)

    @property
    def backup(self) -> Path:
        """The file that has the content from before our first change."""
        return self.path.with_name(self.path.name + BACKUP)

    def encode(self, text: str) -> bytes:
        """Return a text as the content of this file, with its byte order mark."""
        return ((_BOM if self.has_mark else "") + text).encode()


def read(path: Path) -> ClientFile:
    """Read a file. A link is followed, so that its target is what is changed.

    Raises:
        FileProblem: it cannot be read, or is not a file of text.
    """
    try:
        target = path.resolve(strict=False)
        if not target.exists():
            return ClientFile(target, None, _PRIVATE)
        content = target.read_bytes()
        found = ClientFile(target, content, stat.S_IMODE(target.stat().st_mode))
    except (OSError, RuntimeError) as error:
        raise FileProblem(f"{path} cannot be read: {_reason(error)}.") from None
    _decode(target, content)
    return found


def read_backup(file: ClientFile) -> ClientFile | None:
    """Return the file as it was before our first change of it, or None if there is no backup.

    Raises:
        FileProblem: the backup cannot be read, or is not a file of text.
    """
    found = read(file.backup)
    if found.content is None:
        return None
    return ClientFile(file.path, None if found.content == _NO_FILE else found.content, found.mode)


def replace(file: ClientFile, content: bytes, mode: int) -> None:
    """Give a file other content and this mode in one step, so that it is never half written.

    Raises:
        FileProblem: it may not be written, or was changed since it was read.
    """
    _check_writable(file)
    if read(file.path).content != file.content:
        raise FileProblem(f"{file.path} was changed by another program in the meantime. Try again.")
    _write(file.path, content, mode)


def back_up(file: ClientFile, target: Path) -> None:
    """Write the content of a file to a backup, with the same mode.

    A backup is never overwritten: if the target exists, it first gets a name that is free.

    Raises:
        FileProblem: the backup cannot be written. The file itself is then not to be changed.
    """
    _check_writable(file)
    try:
        if target.exists() and target.read_bytes() != _NO_FILE:
            target.rename(find_free_backup(file))
    except OSError as error:
        raise FileProblem(f"{target} cannot be renamed: {_reason(error)}.") from None
    _write(target, _NO_FILE if file.content is None else file.content, file.mode)


def find_free_backup(file: ClientFile) -> Path:
    """Return a name for another backup of a file, which no file has yet."""
    names = (file.backup.with_name(f"{file.backup.name}.{number}") for number in count(1))
    return next(each for each in names if not each.exists())


def find_backup_of(content: bytes, file: ClientFile) -> Path | None:
    """Return a numbered backup of a file that has this content already, or None.

    Raises:
        FileProblem: a backup cannot be read.
    """
    names = (file.backup.with_name(f"{file.backup.name}.{number}") for number in count(1))
    backups = takewhile(Path.exists, names)
    return next((each for each in backups if read(each).content == content), None)


def delete(path: Path) -> None:
    """Delete a file, if it exists.

    Raises:
        FileProblem: it may not be deleted.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise FileProblem(f"{path} cannot be deleted: {_reason(error)}.") from None


def _check_writable(file: ClientFile) -> None:
    """Refuse a file that is marked read-only, which replacing it would not notice."""
    if file.content is not None and not (file.mode & stat.S_IWUSR and os.access(file.path, os.W_OK)):
        raise FileProblem(f"{file.path} is read-only. Make it writable, or change it by hand.")


def _write(path: Path, content: bytes, mode: int) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), _PRIVATE)
        with os.fdopen(handle, "wb") as written:
            written.write(content)
            written.flush()
            os.fsync(written.fileno())
        draft.chmod(mode)
        draft.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise FileProblem(f"{path} cannot be written: {_reason(error)}.") from None


def _decode(path: Path, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise FileProblem(f"{path} is not UTF-8 text.") from None


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
