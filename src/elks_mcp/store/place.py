"""Where state is kept: a file of this user, a PostgreSQL that many share, or nowhere."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

DATABASE_FILE = "outbox.sqlite3"


@dataclass(frozen=True, slots=True)
class Place:
    """A state directory, or the URL of a PostgreSQL; with neither, state is gone when the process ends."""

    folder: Path | None = None
    url: SecretStr | None = None
    key: SecretStr | None = None
    """What hashes are made with; in a directory one is made where none is given."""

    retention: timedelta = timedelta()
    """How long texts are kept once they are not needed to send."""

    @property
    def outlives_us(self) -> bool:
        """Whether anybody but this process ever sees it."""
        return self.folder is not None or self.url is not None

    @property
    def file(self) -> Path | None:
        """The SQLite file, where it is one."""
        return self.folder / DATABASE_FILE if self.folder and not self.url else None


@dataclass(frozen=True, slots=True)
class Account:
    """Whose state: 46elks' address and the API username. Nobody else's orders are seen or sent."""

    base_url: str
    username: str
