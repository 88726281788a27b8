"""Keyed hashes: what remains of a number or a text once it is not needed.

They are pseudonymous, not anonymous: who has the key can try all phone numbers. The key therefore lies
beside the database, not in it.
"""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

KEY_FILE = "secret.key"
SHORTEST_KEY = 32
"""Bytes."""


class Hasher:
    """Makes hashes that only the same key makes again."""

    def __init__(self, key: bytes) -> None:
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
        OSError: it can be neither read nor made.
    """
    path = folder / KEY_FILE
    if not path.exists():
        _make_key(path)
    return path.read_bytes().strip()


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
