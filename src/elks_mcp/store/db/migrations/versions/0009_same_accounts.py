"""Merge accounts whose address and username mean the same.

Revision ID: 0009
Revises: 0008

Rows are merged by the names of their columns, so that other steps may add columns and tables before this
one. Only duplicates are dropped, never an order or its charge.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from elks_mcp.store.db.schema import metadata
from elks_mcp.store.location import AccountKey

revision = "0009"
down_revision = "0008"

Values = dict[str, Any]
_NEVER_SENT = {"rejected", "cancelled", "expired"}
_END_BY_THEMSELVES = {"throttled", "unreachable"}
_RENAMED_LATER = {"contacts", "shown"}
_LAST_WORDS = {"delivered": 2, "failed": 1}


def upgrade() -> None:
    """Merge accounts that are the same, and store each in its normal form."""
    tables = _read_tables()
    accounts, groups = tables["accounts"], defaultdict(list)
    for row in _all(sa.select(accounts).order_by(accounts.c.id)):
        groups[AccountKey(row["base_url"], row["username"])].append(row)
    for account, rows in groups.items():
        kept, *doubles = [row["id"] for row in rows]
        form: Values = {"base_url": account.base_url, "username": account.username}
        if doubles:
            form |= _merge_standing(rows)
            form["last_arrival"] = _merge_arrivals(tables["arrivals"], rows, kept)
            _merge_orders(tables["orders"], kept, doubles)
            _merge_rows(tables["contacts"], kept, doubles, ("number_hash",), _merge_times)
            _merge_rows(tables["shown"], kept, doubles, ("caller", "sender_hash"), _merge_times)
            _merge_rows(tables["parked"], kept, doubles, ("message_id",), _merge_parked)
            _move_the_rest(tables, kept, doubles)
            op.execute(sa.delete(accounts).where(accounts.c.id.in_(doubles)))
        op.execute(sa.update(accounts).where(accounts.c.id == kept).values(form))


def _read_tables() -> Mapping[str, sa.Table]:
    found = sa.MetaData()
    found.reflect(
        op.get_bind(), only=lambda name, _: name in {*metadata.tables, *_RENAMED_LATER}
    )  # the database may hold other tables too
    return found.tables


def _all(statement: sa.Select[Any]) -> list[Values]:
    return [dict(row) for row in op.get_bind().execute(statement).mappings()]


def _insert(table: sa.Table, rows: Sequence[Values]) -> None:
    if rows:
        op.get_bind().execute(sa.insert(table), rows)


def _merge_standing(rows: Sequence[Values]) -> Values:
    """Merge pace, pauses, and how far history was read, each to the safe side.

    History is read again from where the account that is behind stopped. A pause that needs a free request to
    end is kept.
    """
    paused = [row for row in rows if row["pause_reason"] is not None]
    paused.sort(key=lambda row: (row["pause_reason"] not in _END_BY_THEMSELVES, row["paused_until"] or 0))
    return {
        "next_send_at": _latest(row["next_send_at"] for row in rows),
        "pause_reason": paused[-1]["pause_reason"] if paused else None,
        "paused_until": _latest(row["paused_until"] for row in paused),
        "heard_until": min(
            (row["heard_until"] for row in rows if row["heard_until"] is not None), default=None
        ),
        "looked_at": None,
        "unread_at": _latest(row["unread_at"] for row in rows),
    }


def _merge_arrivals(table: sa.Table, accounts: Sequence[Values], kept: int) -> int | None:
    """Merge received texts, each once; return the last position.

    A client holds a position, which means that it has seen everything up to there. So no text gets a lower
    position than it had, and a text that an account did not know comes after all that the account knew.
    """
    last = {row["id"]: row["last_arrival"] or 0 for row in accounts}
    texts: dict[str, dict[int, Values]] = defaultdict(dict)
    for row in _all(sa.select(table).where(table.c.account_id.in_(last))):
        texts[row["message_id"]][row["account_id"]] = row

    def at_least(known: Mapping[int, Values]) -> int:
        return max(known[each]["position"] if each in known else last[each] + 1 for each in last)

    merged: list[Values] = []
    for known in sorted(texts.values(), key=lambda known: (at_least(known), *_first_seen(known))):
        position = max(at_least(known), merged[-1]["position"] + 1 if merged else 0)
        first = min(known.values(), key=lambda row: int(row["heard_at"]))
        merged.append(first | {"account_id": kept, "position": position})
    op.execute(sa.delete(table).where(table.c.account_id.in_(last)))
    _insert(table, merged)
    return max([*last.values(), *(row["position"] for row in merged)]) or None


def _first_seen(known: Mapping[int, Values]) -> tuple[int, str]:
    return min((row["heard_at"], row["message_id"]) for row in known.values())


def _merge_orders(table: sa.Table, kept: int, doubles: Sequence[int]) -> None:
    """Merge orders. If two have the same key or message, only one keeps it. Both stay.

    The key goes to one that was or may be sent, otherwise to the first. The message goes to the first that
    was attempted. The other one becomes unknown, as whenever a message turns out to be another order's.
    """
    ours = table.c.account_id.in_([kept, *doubles])
    facts = (table.c.id, table.c.state, table.c.key_hash, table.c.message_id)
    rows = _all(sa.select(*facts, table.c.placed_at, table.c.attempted_at).where(ours))
    rows.sort(key=lambda row: (row["state"] in _NEVER_SENT, row["placed_at"], row["id"]))
    for row in _find_later(rows, "key_hash"):
        op.execute(sa.update(table).where(table.c.id == row["id"]).values(key_hash=None))
    rows.sort(key=lambda row: (row["attempted_at"] or row["placed_at"], row["id"]))
    unknown = {"state": "unknown", "message_id": None, "fault": _ANOTHERS}
    for row in _find_later(rows, "message_id"):
        op.execute(sa.update(table).where(table.c.id == row["id"]).values(unknown))
    op.execute(sa.update(table).where(ours).values(account_id=kept))


_ANOTHERS = "The message found in history belongs to another order."


def _find_later(rows: Iterable[Values], column: str) -> list[Values]:
    """Find the rows whose value in a column an earlier row has."""
    seen: set[Any] = set()
    later = []
    for row in rows:
        if row[column] is not None and row[column] in seen:
            later.append(row)
        seen.add(row[column])
    return later


def _merge_rows(
    table: sa.Table,
    kept: int,
    doubles: Sequence[int],
    key: Sequence[str],
    merge: Callable[[Values, Values], Values],
) -> None:
    """Merge the rows of a table that has one for each account and key."""
    ours = table.c.account_id.in_([kept, *doubles])
    merged: dict[tuple[Any, ...], Values] = {}
    for row in _all(sa.select(table).where(ours).order_by(table.c.account_id)):
        its = tuple(row[column] for column in key)
        merged[its] = merge(merged[its], row) if its in merged else row
    op.execute(sa.delete(table).where(ours))
    _insert(table, [row | {"account_id": kept} for row in merged.values()])


def _merge_times(one: Values, other: Values) -> Values:
    """Merge two rows.

    The earlier of first times stays, and the later of other times, with the value recorded at that time.
    """
    merged = {**one}
    for column, value in other.items():
        if column.startswith("first_") or column == "created_at":
            merged[column] = min((each for each in (one[column], value) if each is not None), default=None)
        elif column.endswith("_at"):
            merged[column] = _latest((one[column], value))
    for time, words in (("word_at", "opted_out"), ("maybe_at", "maybe_message_id")):
        if words in one:
            merged[words] = max(one, other, key=lambda row: (row[time] or 0, row[words] is True))[words]
    return merged


def _merge_parked(one: Values, other: Values) -> Values:
    """Merge two reports about one message: the more final status, and the later time."""
    said = max(one["status"], other["status"], key=lambda status: _LAST_WORDS.get(status, 0))
    return one | {"status": said, "parked_at": max(one["parked_at"], other["parked_at"])}


def _move_the_rest(tables: Mapping[str, sa.Table], kept: int, doubles: Sequence[int]) -> None:
    """Give the rows of all other tables to the account that is kept: tokens, and later tables."""
    for table in tables.values():
        if "account_id" in table.c:
            column = table.c.account_id
            op.execute(sa.update(table).where(column.in_(doubles)).values(account_id=kept))


def _latest(times: Iterable[int | None]) -> int | None:
    return max((each for each in times if each is not None), default=None)
