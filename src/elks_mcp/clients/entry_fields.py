"""The fields of an entry and their types, compared with those that its client reads."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from elks_mcp.clients.catalog import CLIENTS, Client

_ROLES: Mapping[str, frozenset[str]] = {
    role: frozenset(asdict(client.fields)[role] for client in CLIENTS) - {""}
    for role in asdict(CLIENTS[0].fields)
}
"""The names that all clients have for each kind of field."""


def list_foreign_fields(client: Client, fields: Mapping[str, Any]) -> list[str]:
    """List what is wrong with fields that only other clients read: a sentence for each."""
    own = asdict(client.fields)
    return [
        f"{name} is a field of other clients, and {client.title} ignores it. {_advise(client, role)}"
        for role, names in _ROLES.items()
        for name in fields
        if name in names - set(own.values()) and (role != "url" or own["command"] not in fields)
    ]


def _advise(client: Client, role: str) -> str:
    own = asdict(client.fields)[role]
    if own:
        return f"The right one is {own}."
    return {
        "args": f"Write the arguments into the list {client.fields.command}, after the command.",
        "names": f"Write each variable with its value under {client.fields.env}.",
        "url": "It takes no addresses in its file.",
    }[role]


def list_wrong_types(client: Client, fields: Mapping[str, Any]) -> list[str]:
    """List the values of types that the client refuses: a sentence for each, without the value."""
    return [
        f"{place} is {_describe(value)}. {client.title} only takes {wanted}, so it does not use the entry."
        for place, value, wanted in _find_wrong_types(client, fields)
    ]


def _find_wrong_types(client: Client, fields: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    keys = client.fields
    if keys.args:
        yield from _check_text(keys.command, fields)
    else:
        yield from _check_list(keys.command, fields)
    for name in filter(None, (keys.args, keys.names)):
        yield from _check_list(name, fields, with_tables=name == keys.names)
    yield from _check_text(keys.url, fields)
    for name, types in ((keys.env, client.env_types), (keys.headers, (str,))):
        values = fields.get(name, {})
        if not isinstance(values, dict):
            yield name, values, "names with their values"
            continue
        for each, value in values.items():
            if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
                yield f"{name}.{each}", value, 'text in quotation marks, such as "true"'


def _check_text(name: str, fields: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    if name in fields and not isinstance(fields[name], str):
        yield name, fields[name], "text in quotation marks"


def _check_list(
    name: str, fields: Mapping[str, Any], *, with_tables: bool = False
) -> Iterator[tuple[str, Any, str]]:
    """Check a list of texts. Codex also takes tables with a name in its list of variables."""
    values = fields.get(name, [])
    if not isinstance(values, list):
        yield name, values, "a list of texts"
        return
    for number, value in enumerate(values, 1):
        is_table = with_tables and isinstance(value, dict) and isinstance(value.get("name"), str)
        if not isinstance(value, str) and not is_table:
            yield f"Item {number} of {name}", value, "text in quotation marks"


def _describe(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false without quotation marks"
    if isinstance(value, int | float):
        return "a number without quotation marks"
    if isinstance(value, str):
        return "text"
    return "null" if value is None else "a list" if isinstance(value, list) else "an object"
