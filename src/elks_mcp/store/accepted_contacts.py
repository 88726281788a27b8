"""The contacts that a person accepted, as keyed hashes: names and numbers are not stored."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Insert, Select, select
from sqlalchemy.dialects import postgresql, sqlite

from elks_mcp.domain.contacts import Contact, Contacts, fold_name
from elks_mcp.store.db.database import Database, Tx
from elks_mcp.store.db.hashes import Hasher
from elks_mcp.store.db.schema import accepted_contacts
from elks_mcp.store.db.transactions import reading, writing


class ContactChanges(NamedTuple):
    """The changes in contacts compared with those that a person accepted last."""

    accepted_at: datetime | None
    """When contacts were accepted last; None if they never were, so that every contact is added."""

    is_same: bool
    added: tuple[Contact, ...]
    changed: tuple[Contact, ...]
    """All contacts of each name of which one changed."""

    removed: int
    """How many names are gone. They cannot be named, because only hashes are stored."""


class ContactAcceptances:
    """The contacts that a person accepted for an account. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @reading
    def is_accepted(self, tx: Tx, digest: str) -> bool:
        """Return whether the contacts with this digest are those that were accepted last."""
        row = tx.first(_find(tx))
        return row is not None and row.digest_hash == _hash_digest(tx.hasher, digest)

    @reading
    def compare(self, tx: Tx, contacts: Contacts) -> ContactChanges:
        """Return what contacts change compared with those that were accepted last."""
        row = tx.first(_find(tx))
        before: Mapping[str, str] = json.loads(row.people) if row else {}
        now = _hash_people(tx.hasher, contacts)
        named = [(each, _hash_name(tx.hasher, each)) for each in contacts.people]  # names can be equal
        return ContactChanges(
            accepted_at=row.accepted_at if row else None,
            is_same=row is not None and row.digest_hash == _hash_digest(tx.hasher, contacts.digest),
            added=tuple(each for each, name in named if name not in before),
            changed=tuple(each for each, name in named if before.get(name, now[name]) != now[name]),
            removed=len(before.keys() - now.keys()),
        )

    @writing
    def accept(self, tx: Tx, contacts: Contacts) -> None:
        """Record that a person accepted these contacts, instead of those before."""
        values = {
            "digest_hash": _hash_digest(tx.hasher, contacts.digest),
            "people": json.dumps(_hash_people(tx.hasher, contacts)),
            "accepted_at": tx.now,
        }
        insert: Insert = (postgresql.insert if tx.is_postgres else sqlite.insert)(accepted_contacts)
        statement = insert.values(account_id=tx.account_id, **values)
        key = [accepted_contacts.c.account_id]
        tx.execute(statement.on_conflict_do_update(index_elements=key, set_=values))  # type: ignore[attr-defined]


def _find(tx: Tx) -> Select[Any]:
    return select(accepted_contacts).where(accepted_contacts.c.account_id == tx.account_id)


def _hash_digest(hasher: Hasher, digest: str) -> str:
    return hasher.of("contacts", digest)


_HASH_LENGTH = 16
"""Hexadecimal digits of the hashes that only show what changed."""


def _hash_name(hasher: Hasher, contact: Contact) -> str:
    return hasher.of("contact name", fold_name(contact.name))[:_HASH_LENGTH]


def _hash_people(hasher: Hasher, contacts: Contacts) -> dict[str, str]:
    """Return a hash of all that the contacts of a name say, by the hash of the name."""
    said: dict[str, list[str]] = {}
    for each in contacts.people:
        numbers = [(number.number.e164, number.label) for number in each.numbers]
        facts = json.dumps((each.names, numbers, each.groups))
        said.setdefault(_hash_name(hasher, each), []).append(facts)
    return {name: hasher.of("contact", *parts)[:_HASH_LENGTH] for name, parts in said.items()}
