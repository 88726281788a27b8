"""A quick look at a SQLite file with the standard library, so that nobody loads more for nothing."""

import os
from pathlib import Path

from elks_mcp.store.location import AccountKey

_ACCOUNTS = "SELECT id, base_url, username FROM accounts"
_WORK = """
SELECT EXISTS (
  SELECT 1 FROM orders
  WHERE orders.account_id = ?
  AND (orders.state IN ('waiting', 'queued', 'sending', 'in doubt') OR orders.content IS NOT NULL)
)
"""


def has_work(file: Path, account: AccountKey) -> bool:
    """Tell whether a file holds orders of this account that somebody must see to, or texts kept for a while.

    What a killed process left half written is undone by opening the file. One that cannot be read, or
    has other tables, is for those to judge who really open it.
    """
    import sqlite3  # noqa: PLC0415  (not wanted until a second after the start)

    try:
        if not os.path.lexists(file):
            return False
        connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=1)
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            rows = connection.execute(_ACCOUNTS).fetchall()
            # Compared here: an older version may have written the same account in another way.
            ours = [number for number, url, username in rows if AccountKey(url, username) == account]
            return any(connection.execute(_WORK, (number,)).fetchone()[0] for number in ours)
        finally:
            connection.close()
    except (sqlite3.Error, OSError):
        return True
