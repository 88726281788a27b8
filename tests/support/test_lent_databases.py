"""A database that a test returns is lent again if it is like a new one."""

import psycopg

from tests.support.postgres import empty_database

INSERT = "insert into accounts (base_url, username) values ('u', 'n') returning id"


def test_a_database_is_emptied_like_a_new_one_and_a_changed_table_is_noticed(
    postgres_with_tables: str,
) -> None:
    with psycopg.connect(postgres_with_tables) as connection:
        assert connection.execute(INSERT).fetchall() == [(1,)]
    structure = empty_database(postgres_with_tables)
    with psycopg.connect(postgres_with_tables) as connection:
        assert connection.execute("select count(*) from accounts").fetchall() == [(0,)]
        assert connection.execute(INSERT).fetchall() == [(1,)]
    assert empty_database(postgres_with_tables) == structure
    with psycopg.connect(postgres_with_tables) as connection:
        connection.execute("alter table accounts alter username drop not null")
    assert empty_database(postgres_with_tables) != structure
