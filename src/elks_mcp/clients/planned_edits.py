"""Plan a change of a client's file, and make it with a backup and in one step."""

from typing import NamedTuple

from elks_mcp.clients import files
from elks_mcp.clients.catalog import Client
from elks_mcp.clients.editing import Unprovable, add, cut, find_entry
from elks_mcp.clients.files import ClientFile
from elks_mcp.clients.jsonc import Broken
from elks_mcp.clients.snippets import Entry


class PlannedEdit(NamedTuple):
    """A change that is proven and not made yet.

    `content` is what the file will have, with this mode; None: it will be deleted. `backs_up` says whether
    the old content is kept in a backup, and `ends_backup` whether an older backup is not needed any more.
    """

    file: ClientFile
    content: bytes | None
    mode: int
    backs_up: bool = False
    ends_backup: bool = False

    def make(self) -> None:
        """Make the change.

        Raises:
            FileProblem: nothing was changed, for the reason in its message.
        """
        if self.backs_up:
            files.back_up(self.file)
        if self.content is None:
            files.delete(self.file.path)
        else:
            files.replace(self.file, self.content, self.mode)
        if self.ends_backup:
            files.delete(self.file.backup)


def plan_addition(client: Client, file: ClientFile, entry: Entry, *, private: bool) -> PlannedEdit | None:
    """Return the change that gives a file our entry, or None if it has it already.

    `private`: the entry has a secret, so that other users must not read the file any more. A backup from
    before our entry stays the backup for as long as only our entry is new in the file.

    Raises:
        Broken: the file cannot be read.
        Unprovable: the change would change something else, too.
    """
    if find_entry(client, file.text) == entry:
        return None
    content = file.encode(add(client, file.text, entry))
    backs_up = file.content is not None and _find_original(client, file, content, entry) is None
    return PlannedEdit(file, content, file.private_mode if private else file.mode, backs_up=backs_up)


def plan_removal(client: Client, file: ClientFile) -> PlannedEdit | None:
    """Return the change that takes our entry out of a file, or None if it has none.

    If only our entry is new in the file, it becomes what it was to the byte, with its former mode. A file
    that `connect` created is deleted.

    Raises:
        Broken: the file cannot be read.
        Unprovable: the change would change something else, too.
    """
    entry = find_entry(client, file.text)
    if entry is None or file.content is None:
        return None
    original = _find_original(client, file, file.content, entry)
    if original is not None:
        return PlannedEdit(file, original.content, original.mode, ends_backup=True)
    if file.content == add(client, "", entry).encode():
        return PlannedEdit(file, None, file.mode)
    return PlannedEdit(file, file.encode(cut(client, file.text)), file.mode, backs_up=True)


def _find_original(client: Client, file: ClientFile, content: bytes, entry: Entry) -> ClientFile | None:
    """Return the backup if adding our entry to it gives exactly this content, else None."""
    try:
        backup = files.read(file.backup)
        if backup.content is None or find_entry(client, backup.text):
            return None
        is_original = backup.encode(add(client, backup.text, entry)) == content
    except (files.FileProblem, Broken, Unprovable):
        return None
    return backup if is_original else None
