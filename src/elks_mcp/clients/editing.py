"""Change what a client's file says about the server, and prove that nothing else changed.

Text is inserted or cut, and all other text stays as it is. Then a parser that knows nothing of the edit reads
the old and the new text: the new one must say what the old one said, and our entry. Anything else is refused.
"""

import copy
import tomllib
from typing import Any

from elks_mcp.clients import jsonc, jsonc_edits, toml_text
from elks_mcp.clients.catalog import SERVER, Client
from elks_mcp.clients.files import ClientFile
from elks_mcp.clients.jsonc import Broken
from elks_mcp.clients.snippets import Entry, find_inputs


class Unprovable(Exception):
    """A change would have changed something else too, so it was not made."""


class InlineServers(Unprovable):
    """The servers are an inline table of TOML (`{ … }`), to which no text outside of it can add."""


def parse(client: Client, text: str) -> dict[str, Any]:
    """Return what a client's file says.

    Raises:
        Broken: it cannot be read.
    """
    if client.format == "toml":
        try:
            return tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise Broken(f"it is not TOML ({error})") from None
    found = jsonc.parse(text)
    if not isinstance(found, dict):
        raise Broken("its top-level value is not an object")
    return found


def check_readable(client: Client, file: ClientFile) -> None:
    """Check that a client reads a file, of which `parse` reads more than some clients do.

    Raises:
        Broken: the client refuses the file, or it cannot be read.
    """
    if not client.is_strict:
        return
    if file.has_mark:
        raise Broken(
            f"it begins with a byte order mark, which {client.title} refuses. Save it as UTF-8 without one"
        )
    if line := jsonc.find_trailing_comma(file.text):
        raise Broken(f"{client.title} refuses the comma after the last value, in line {line}. Take it out")


def find_entry(client: Client, text: str) -> Entry | None:
    """Return what a client's file says about the server, or None.

    Raises:
        Broken: the file cannot be read, or what it says about servers is not an object.
    """
    found = parse(client, text)
    servers = found.get(client.key, {})
    if not isinstance(servers, dict):
        raise Broken(f"{client.key} is not an object")
    fields = servers.get(SERVER)
    if fields is None:
        return None
    if not isinstance(fields, dict):
        raise Broken(f"{client.key}.{SERVER} is not an object")
    return Entry(fields, tuple(each for each in _list_inputs(found) if each.get("id") in find_inputs(fields)))


def add(client: Client, text: str, entry: Entry) -> str:
    """Return the text with our entry, in place of an existing one.

    Raises:
        Broken: the text cannot be read.
        InlineServers: the servers are in braces, so a person has to add it.
        Unprovable: the new text would not say exactly what it should.
    """
    find_entry(client, text)
    old, path = parse(client, text), (client.key, SERVER)
    expected = copy.deepcopy(old)
    missing = _missing_inputs(old, entry)
    if missing:
        expected.setdefault("inputs", []).extend(missing)
    expected.setdefault(client.key, {})[SERVER] = entry.fields
    if client.format == "toml":
        if toml_text.is_inline(text, client.key):
            raise InlineServers
        return _prove(client, toml_text.replace_table(text, path, entry.fields), expected)
    for each in missing:
        text = jsonc_edits.append(text, ("inputs",), each)
    return _prove(client, jsonc_edits.insert(text, path, entry.fields), expected)


def cut(client: Client, text: str) -> str:
    """Return the text without our entry, and without the inputs that only it refers to.

    Raises:
        Broken: the text cannot be read.
        Unprovable: the new text would not say exactly what it should.
    """
    old, path = parse(client, text), (client.key, SERVER)
    expected = copy.deepcopy(old)
    fields = expected[client.key].pop(SERVER)
    if client.format == "toml":
        if not expected[client.key]:
            del expected[client.key]
        return _prove(client, toml_text.remove_table(text, path), expected)
    text = jsonc_edits.remove(text, path)
    ours = find_inputs(fields) - find_inputs(expected)
    inputs = _list_inputs(old)
    for index in [i for i, each in enumerate(inputs) if each.get("id") in ours][::-1]:
        del expected["inputs"][index]
        text = jsonc_edits.remove(text, ("inputs",), index)
    return _prove(client, text, expected)


def _missing_inputs(old: dict[str, Any], entry: Entry) -> list[dict[str, Any]]:
    present = {each.get("id") for each in _list_inputs(old)}
    return [each for each in entry.inputs if each["id"] not in present]


def _list_inputs(found: dict[str, Any]) -> list[dict[str, Any]]:
    inputs = found.get("inputs", [])
    if not isinstance(inputs, list) or not all(isinstance(each, dict) for each in inputs):
        raise Broken("inputs is not a list of objects")
    return inputs


def _prove(client: Client, text: str, expected: dict[str, Any]) -> str:
    """Return the text if it says exactly what is expected, of the same types."""
    try:
        is_right = repr(_sorted(client, parse(client, text))) == repr(_sorted(client, expected))
    except Broken:
        is_right = False
    if not is_right:
        raise Unprovable
    return text


def _sorted(client: Client, value: Any) -> Any:
    """Return a value sorted by its keys if it is TOML, whose tables may be split up."""
    if client.format != "toml" or not isinstance(value, dict):
        return value
    return {key: _sorted(client, value[key]) for key in sorted(value)}
