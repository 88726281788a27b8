"""Where state is kept: a file of this user, a PostgreSQL that many share, or nowhere."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

from elks_mcp.runtime.addresses import normalize_url

DATABASE_FILE = "outbox.sqlite3"


@dataclass(frozen=True, slots=True)
class StateLocation:
    """A state directory, or the URL of a PostgreSQL; with neither, state is gone when the process ends."""

    folder: Path | None = None
    url: SecretStr | None = None
    key: SecretStr | None = None
    """What hashes are made with; in a directory one is made where none is given."""

    retention: timedelta = timedelta()
    """How long texts are kept once they are not needed to send."""

    @property
    def is_durable(self) -> bool:
        """Whether anybody but this process ever sees it."""
        return self.folder is not None or self.url is not None

    @property
    def file(self) -> Path | None:
        """The SQLite file, where it is one."""
        return self.folder / DATABASE_FILE if self.folder and not self.url else None

    @property
    def exists(self) -> bool:
        """Whether there is a database; if that cannot be found out, there is one.

        "Not there" is said only if the file surely is not: opening what cannot be looked at tells why.
        """
        if self.url or self.file is None:
            return self.url is not None
        try:
            os.lstat(self.file)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return True


@dataclass(frozen=True, slots=True)
class AccountKey:
    """Whose state: 46elks' address and the API username. Nobody else's orders are seen or sent.

    The one place where both get their normal form: addresses that mean the same are one account.
    """

    base_url: str
    username: str
    """ "" if the server has no credentials."""

    def __post_init__(self) -> None:
        """Normalise address and username."""
        object.__setattr__(self, "base_url", normalize_url(self.base_url))
        object.__setattr__(self, "username", self.username.strip())

    @property
    def masked(self) -> str:
        """Address and enough of the username to recognise it, for logs and people."""
        return f"{self.base_url}, API username {self.username[:3]}… ({len(self.username)} characters)"


def explain_new_account(account: AccountKey, known: Collection[AccountKey]) -> str:
    """Say that a state knows other accounts, and not this one."""
    others = "; ".join(each.masked for each in known)
    return (
        f"This state does not know the account {account.masked}. It knows {others}. "
        "Daily budget and idempotency keys start from zero for the new account. If it is not meant to be "
        "new, check ELKS_API_USERNAME and ELKS_API_BASE_URL."
    )
