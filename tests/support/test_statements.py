"""Databases of one test process share the statements that they compiled."""

from pathlib import Path

from sqlalchemy import Engine, select
from sqlalchemy.engine.interfaces import CacheStats

from elks_mcp.store.db.engines import open_engine
from elks_mcp.store.db.schema import accounts
from tests.support.state_folders import with_tables

_OF_THIS_TEST = select(accounts.c.username, accounts.c.id, accounts.c.username.label("again"))


def _run(engine: Engine) -> CacheStats:
    with engine.begin() as connection:
        hit: CacheStats = connection.execute(_OF_THIS_TEST).context.cache_hit
    engine.dispose()
    return hit


def test_a_database_uses_the_statements_that_another_one_compiled(tmp_path: Path) -> None:
    first, second = (open_engine(with_tables(tmp_path / name)) for name in ("first", "second"))
    assert first.dialect is not second.dialect  # or they would share it without our help
    assert _run(first) is CacheStats.CACHE_MISS
    assert _run(second) is CacheStats.CACHE_HIT
