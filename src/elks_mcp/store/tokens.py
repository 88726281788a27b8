"""Bearer tokens for callers over HTTP. Each token is for one account."""

import secrets

from sqlalchemy import Row, insert, or_, select, update

from elks_mcp.domain.models import Caller, Scope
from elks_mcp.errors import NotFound
from elks_mcp.runtime.launcher import show_command
from elks_mcp.store.db.codes import make_code
from elks_mcp.store.db.database import Database, Tx
from elks_mcp.store.db.schema import accounts, tokens
from elks_mcp.store.db.transactions import reading, writing
from elks_mcp.store.location import AccountKey
from elks_mcp.store.values import Issued, KnownTokens

_MARK = "elks_mcp_"
"""The start of every token, so that people and secret scanners recognize one."""

_RANDOM = 32
"""Random bytes in a token."""


class Tokens:
    """Creates, lists and revokes tokens. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @writing
    def make(self, tx: Tx, name: str, scopes: frozenset[Scope], agent: str = "") -> str:
        """Create a token and return it. Only its hash is stored, so it cannot be shown again.

        `agent` is the assistant that the token is for; "" stands for an assistant named like the token.
        """
        token = f"{_MARK}{secrets.token_urlsafe(_RANDOM)}"
        row = {
            "id": f"T-{make_code(6)}",
            "account_id": tx.account_id,
            "name": name,
            "token_hash": tx.hasher.of("token", token),
            "scopes": " ".join(sorted(scopes)),
            "created_at": tx.now,
            "agent": agent or name,
        }
        tx.execute(insert(tokens).values(row))
        return token

    @reading
    def list_all(self, tx: Tx) -> list[Issued]:
        """List all tokens of the account, revoked ones included, in the order of their creation."""
        ours = select(tokens).filter_by(account_id=tx.account_id)
        return [_issued(row) for row in tx.all(ours.order_by(tokens.c.created_at, tokens.c.id))]

    @reading
    def list_valid(self, tx: Tx) -> KnownTokens:
        """Return the valid tokens: the account's own ones and, separately, those of other accounts.

        Once a token of any account was created, revoked or not, callers without a token are refused.
        """
        rows = tx.all(select(tokens, accounts.c.base_url, accounts.c.username).join(accounts))
        valid = [row for row in rows if row.revoked_at is None]
        return KnownTokens(
            valid={row.token_hash: _caller(row) for row in valid if row.account_id == tx.account_id},
            foreign={row.token_hash: _whose(row) for row in valid if row.account_id != tx.account_id},
            any_made=bool(rows),
        )

    @writing
    def revoke(self, tx: Tx, which: str) -> list[Issued]:
        """Revoke one token by its id, or all tokens of a name, and return them.

        Raises:
            NotFound: There is no such token, or it was revoked before.
        """
        valid = select(tokens).where(tokens.c.account_id == tx.account_id, tokens.c.revoked_at.is_(None))
        rows = tx.all(valid.where(or_(tokens.c.id == which, tokens.c.name == which)))
        if not rows:
            raise NotFound(
                f"There is no valid token {which}.", hint=f"To list them: {show_command('token list')}."
            )
        ids = [row.id for row in rows]
        tx.execute(update(tokens).where(tokens.c.id.in_(ids)).values(revoked_at=tx.now))
        return [_issued(row) for row in rows]


def _caller(row: Row[tuple[str, ...]]) -> Caller:
    # A newer version may know more scopes. A token with one of those works for its other scopes.
    scopes = frozenset(each for each in Scope if each in row.scopes.split())
    return Caller(name=row.name, scopes=scopes, agent=row.agent or row.name, token=row.id)


def _whose(row: Row[tuple[str, ...]]) -> str:
    return f"{row.name}, for {AccountKey(row.base_url, row.username).masked}"


def _issued(row: Row[tuple[str, ...]]) -> Issued:
    return Issued(row.id, _caller(row), row.created_at, row.revoked_at)
