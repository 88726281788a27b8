"""Plan a change of a client's file, and make it with a backup and in one step.

The backup is the file from before our first change. It is never overwritten, and `--remove` restores it. If a
change would replace text that is in no backup, the old content is kept in a file of its own.
"""

from pathlib import Path
from typing import NamedTuple

from elks_mcp.clients import files
from elks_mcp.clients.catalog import Client
from elks_mcp.clients.editing import Unprovable, add, check_readable, cut, find_entry
from elks_mcp.clients.files import ClientFile
from elks_mcp.clients.jsonc import Broken
from elks_mcp.clients.snippets import Entry


class PlannedEdit(NamedTuple):
    """A change that is proven and not made yet.

    `content` is what the file will have, with this mode; None: it will be deleted. `copy` is where the old
    content is kept (None: it is in a backup already), and `ends_backup` says that the backup is not needed
    any more.
    """

    file: ClientFile
    content: bytes | None
    mode: int
    copy: Path | None = None
    ends_backup: bool = False

    def make(self) -> None:
        """Make the change.

        Raises:
            FileProblem: nothing was changed, for the reason in its message.
        """
        if self.copy:
            files.back_up(self.file, self.copy)
        if self.content is None:
            files.delete(self.file.path)
        else:
            files.replace(self.file, self.content, self.mode)
        if self.ends_backup:
            files.delete(self.file.backup)


def plan_addition(client: Client, file: ClientFile, entry: Entry, *, private: bool) -> PlannedEdit | None:
    """Return the change that gives a file our entry, or None if it has it already.

    `private`: the entry has a secret, so that other users must not read the file any more. If only our entry
    is new in the file, the content from before it gets the entry, so that nothing of an older one stays.

    Raises:
        Broken: the file cannot be read, by us or by the client.
        Unprovable: the change would change something else, too.
        FileProblem: the backup cannot be read.
    """
    check_readable(client, file)
    present = find_entry(client, file.text)
    if present == entry:
        return None
    base = _find_original(client, file) or file
    content = base.encode(add(client, base.text, entry))
    return PlannedEdit(
        file, content, file.private_mode if private else file.mode, _find_place_for_copy(file, base, present)
    )


def _find_place_for_copy(file: ClientFile, base: ClientFile, present: Entry | None) -> Path | None:
    """Return where the content of a file is kept before the entry in it is added or replaced."""
    backup = files.read_backup(file)
    if backup and (base is not file or backup.content == file.content):
        return None
    return files.find_free_backup(file) if backup and present else file.backup


def plan_removal(client: Client, file: ClientFile) -> PlannedEdit | None:
    """Return the change that takes our entry out of a file, or None if it has none.

    If only our entry is new in the file, it becomes what it was to the byte, with its former mode: also with
    the entry that ours has replaced. A file that `connect` created is deleted.

    Raises:
        Broken: the file cannot be read.
        Unprovable: the change would change something else, too.
        FileProblem: the backup cannot be read.
    """
    entry = find_entry(client, file.text)
    if entry is None:
        return None
    original = _find_original(client, file)
    if original and original.content != file.content:
        return PlannedEdit(file, original.content, original.mode, ends_backup=True)
    former = _find_former_entry(client, file)
    text = add(client, file.text, former) if former and former != entry else cut(client, file.text)
    return PlannedEdit(file, file.encode(text), file.mode, files.find_free_backup(file))


def _find_original(client: Client, file: ClientFile) -> ClientFile | None:
    """Return the backup if the file is the backup and our entry, to the byte, else None."""
    backup, entry = files.read_backup(file), find_entry(client, file.text)
    if backup is None or entry is None:
        return None
    try:
        is_original = backup.encode(add(client, backup.text, entry)) == file.content
    except (Broken, Unprovable):
        return None
    return backup if is_original else None


def _find_former_entry(client: Client, file: ClientFile) -> Entry | None:
    """Return the entry that ours has replaced, or None if there was none."""
    backup = files.read_backup(file)
    try:
        return find_entry(client, backup.text) if backup else None
    except Broken:
        return None
