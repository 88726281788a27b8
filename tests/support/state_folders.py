"""State directories that have our tables already."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from elks_mcp.store import StateLocation
from elks_mcp.store.db.engines import make_private, open_engine
from elks_mcp.store.db.migrate import migrate


def with_tables(folder: Path) -> StateLocation:
    """Return a state directory whose file has our tables, which are copied to save time."""
    location = StateLocation(folder=folder)
    assert location.file
    if not location.file.exists():
        make_private(location.file)
        location.file.write_bytes(_empty_file())
    return location


@cache
def _empty_file() -> bytes:
    """Return a SQLite file as a server creates it, with nothing in its tables."""
    with TemporaryDirectory() as folder:
        location = StateLocation(folder=Path(folder))
        engine = open_engine(location)
        with engine.begin() as connection:
            migrate(connection)
        engine.dispose()
        assert location.file
        return location.file.read_bytes()
