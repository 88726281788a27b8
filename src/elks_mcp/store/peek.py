"""A quick look at a SQLite file with the standard library, so that nobody loads more for nothing."""

from pathlib import Path

from elks_mcp.store.place import Account

_WORK = """
SELECT EXISTS (
  SELECT 1 FROM orders JOIN accounts ON accounts.id = orders.account_id
  WHERE accounts.base_url = ? AND accounts.username = ?
  AND (orders.state IN ('waiting', 'queued', 'sending', 'in doubt') OR orders.text IS NOT NULL)
)
"""


def has_work(file: Path, account: Account) -> bool:
    """Tell whether a file holds orders of this account that somebody must see to, or texts kept for a while.

    What a killed process left half written is undone by opening the file. One that cannot be read, or
    has other tables, is for those to judge who really open it.
    """
    import sqlite3  # noqa: PLC0415  (not wanted until a second after the start)

    try:
        if not file.exists():
            return False
        connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=1)
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            found = connection.execute(_WORK, (account.base_url, account.username)).fetchone()
        finally:
            connection.close()
    except (sqlite3.Error, OSError):
        return True
    return bool(found[0])
