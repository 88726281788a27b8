"""The location of state: a file of this user, a shared PostgreSQL, or only memory."""

import os
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

from elks_mcp.runtime.addresses import normalize_url

DATABASE_FILE = "outbox.sqlite3"


@dataclass(frozen=True, slots=True)
class StateLocation:
    """A state directory or a PostgreSQL. With neither, state is lost when the process ends."""

    folder: Path | None = None
    url: SecretStr | None = None
    key: SecretStr | None = None
    """The key for hashes. In a state directory, one is created if none is given."""

    retention: timedelta = timedelta()
    """How long texts are kept after they are no longer needed for sending."""

    @property
    def is_durable(self) -> bool:
        """Whether state outlives the process."""
        return self.folder is not None or self.url is not None

    @property
    def file(self) -> Path | None:
        """The SQLite file, if the location is a state directory."""
        return self.folder / DATABASE_FILE if self.folder and not self.url else None

    @property
    def exists(self) -> bool:
        """Whether there is a database.

        It is False only if the file certainly does not exist. If that cannot be found out, it is True:
        opening the database will then say why.
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
    """The account whose rows are read and written: 46elks' address and the API username.

    Both get their normal form here, so that addresses that mean the same are one account.
    """

    base_url: str
    username: str
    """ "" if the server has no credentials."""

    sends_as: str = field(default="", compare=False)
    """The API username of the requests: that of the account, or of a subaccount of it. It is not part of the
    key, so that the rows of an account stay its own whichever credentials a server has."""

    def __post_init__(self) -> None:
        """Normalize address and usernames."""
        object.__setattr__(self, "base_url", normalize_url(self.base_url))
        object.__setattr__(self, "username", self.username.strip())
        object.__setattr__(self, "sends_as", self.sends_as.strip() or self.username)

    @property
    def masked(self) -> str:
        """Address and enough of the username to recognize it, for logs and people."""
        return f"{self.base_url}, API username {self.username[:3]}… ({len(self.username)} characters)"


def explain_new_account(account: AccountKey, known: Collection[AccountKey]) -> str:
    """Return a warning that a database knows other accounts, and not this one."""
    others = "; ".join(each.masked for each in known)
    return (
        f"This state does not know the account {account.masked}. It knows {others}. "
        "Daily budget and idempotency keys start from zero for the new account. If it is not meant to be "
        "new, check ELKS_API_USERNAME and ELKS_API_BASE_URL. If it is a subaccount of one of them, set "
        "ELKS_ACCOUNT to the username of that account."
    )
