"""Keyed hashes: what remains of a number or a text once it is no longer needed.

They are pseudonymous, not anonymous: with the key, all phone numbers can be tried. Therefore the key is
stored beside the database and not in it.
"""

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
    """Makes hashes that only the same key can make again.

    Raises:
        Misconfigured: The key is shorter than `SHORTEST_KEY` bytes, so it could be guessed.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < SHORTEST_KEY:
            raise Misconfigured(
                f"The secret key has {len(key)} bytes and needs {SHORTEST_KEY} or more: it could be guessed.",
                hint="Make one with `openssl rand -hex 32`.",
            )
        self._key = key

    def of(self, kind: str, *values: str) -> str:
        """Return the hash of values, in hexadecimal. `kind` keeps hashes of different things apart."""
        sealed = "".join(f"{len(value)}:{value}" for value in (kind, *values))
        return hmac.digest(self._key, sealed.encode("utf-8", "surrogatepass"), "sha256").hex()

    def number(self, e164: str) -> str:
        """Return the hash of a phone number."""
        return self.of("number", e164)

    def __repr__(self) -> str:
        return "Hasher(***)"


def find_or_make_key(folder: Path) -> bytes:
    """Return the key of a state directory; create a missing one, the same for all processes.

    Raises:
        Misconfigured: The key is too short, or its file is a link or belongs to another user.
        OSError: The key can be neither read nor created.
    """
    if not os.path.lexists(folder / KEY_FILE):
        _make_key(folder / KEY_FILE)
    return read_key(folder)


def read_key(folder: Path) -> bytes:
    """Return the key of a state directory.

    Raises:
        Misconfigured: The key is too short, or its file is a link or belongs to another user.
        OSError: The key cannot be read.
    """
    key = read_private_file(folder / KEY_FILE).strip()
    if len(key) < SHORTEST_KEY:
        raise Misconfigured(
            f"The secret key in {folder / KEY_FILE} has {len(key)} bytes and needs {SHORTEST_KEY} or more: "
            "it could be guessed.",
            hint="Restore it from a backup. Without one, move the whole directory away: opt-outs, limits and "
            "keys then start from zero.",
        )
    return key


def _make_key(path: Path) -> None:
    """Write a key to a temporary file, then link it to its name: only one process can."""
    temporary = path.with_name(f"{KEY_FILE}.{secrets.token_hex(8)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(secrets.token_hex(SHORTEST_KEY).encode())
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass  # another process was first, and all use its key
    finally:
        temporary.unlink()
