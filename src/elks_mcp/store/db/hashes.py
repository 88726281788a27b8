"""Keyed hashes: what remains of a number or a text once it is not needed.

They are pseudonymous, not anonymous: who has the key can try all phone numbers. The key therefore lies
beside the database, not in it.
"""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from elks_mcp.errors import Misconfigured
from elks_mcp.store.private_files import read_private_file

KEY_FILE = "secret.key"
SHORTEST_KEY = 32
"""Bytes."""


class Hasher:
    """Makes hashes that only the same key makes again.

    Raises:
        Misconfigured: the key is shorter than `SHORTEST_KEY` bytes, so it could be guessed.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < SHORTEST_KEY:
            raise Misconfigured(
                f"The secret key has {len(key)} bytes and needs {SHORTEST_KEY} or more: it could be guessed.",
                hint="Make one with `openssl rand -hex 32`.",
            )
        self._key = key

    def of(self, kind: str, *values: str) -> str:
        """Hash values; `kind` keeps hashes of different things apart."""
        sealed = "".join(f"{len(value)}:{value}" for value in (kind, *values))
        return hmac.new(self._key, sealed.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()

    def number(self, e164: str) -> str:
        """Hash a phone number."""
        return self.of("number", e164)

    def __repr__(self) -> str:
        return "Hasher(***)"


def find_or_make_key(folder: Path) -> bytes:
    """Read the key of a state directory, or make one, so that of several processes all get the same.

    Raises:
        Misconfigured: it is too short, a link, or another user's.
        OSError: it can be neither read nor made.
    """
    if not os.path.lexists(folder / KEY_FILE):
        _make_key(folder / KEY_FILE)
    return read_key(folder)


def read_key(folder: Path) -> bytes:
    """Read the key of a state directory.

    Raises:
        Misconfigured: it is too short, a link, or another user's.
        OSError: it cannot be read.
    """
    key = read_private_file(folder / KEY_FILE).strip()
    if len(key) < SHORTEST_KEY:
        raise Misconfigured(
            f"The secret key in {folder / KEY_FILE} has {len(key)} bytes and needs {SHORTEST_KEY} or more: "
            "it could be guessed.",
            hint="Restore it from a backup. Without one, move the whole folder away: opt-outs, limits and "
            "keys then start from zero.",
        )
    return key


def _make_key(path: Path) -> None:
    """Write a key under a name of its own, then give it the name that only one can have."""
    draft = path.with_name(f"{KEY_FILE}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(secrets.token_hex(SHORTEST_KEY).encode())
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was first; its key is everybody's
    finally:
        draft.unlink()
