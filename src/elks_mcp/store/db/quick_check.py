"""A quick look at a SQLite file, which avoids loading SQLAlchemy for nothing."""

import os
from pathlib import Path

from elks_mcp.store.location import AccountKey

_ACCOUNTS = "SELECT id, base_url, username FROM accounts"
_WORK = """
SELECT EXISTS (
  SELECT 1 FROM orders
  WHERE orders.account_id = :account
  AND (
    orders.state IN ('waiting', 'scheduled', 'queued', 'sending', 'in doubt') OR orders.content IS NOT NULL
  )
) OR EXISTS (SELECT 1 FROM batches WHERE batches.account_id = :account AND batches.plan IS NOT NULL)
OR EXISTS (SELECT 1 FROM alerts WHERE alerts.account_id = :account AND alerts.plan IS NOT NULL)
"""


def has_work(file: Path, account: AccountKey) -> bool:
    """Return whether a file has unfinished orders, content or plans of an account.

    Opening the file undoes what a killed process left half-written. A file that cannot be read, or that has
    other tables, counts as having work: opening the store will then say what is wrong.
    """
    import sqlite3  # noqa: PLC0415  (not needed in the first second after the start)

    try:
        if not os.path.lexists(file):
            return False
        connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=1)
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            rows = connection.execute(_ACCOUNTS).fetchall()
            # Compared here, because an older version may have stored the same account in another form.
            ours = [number for number, url, username in rows if AccountKey(url, username) == account]
            return any(connection.execute(_WORK, {"account": number}).fetchone()[0] for number in ours)
        finally:
            connection.close()
    except (sqlite3.Error, OSError):
        return True
