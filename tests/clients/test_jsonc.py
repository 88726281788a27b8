"""JSON with comments: what is read, what is refused, and what an insertion keeps."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from elks_mcp.clients import jsonc, jsonc_edits
from tests.clients.documents import VALUES, files

ENTRY = {"command": "/opt/elks-mcp", "args": ["--env-file", "C:\\Users\\Åsa\\elks.env"], "env": {"A": "1"}}
PATH = ("mcpServers", "sms46elks")
MODULES = Path(__file__).parents[1] / "conformance" / "node_modules"


@given(files())
def test_comments_do_not_change_the_content_of_a_document(file: tuple[str, dict[str, Any]]) -> None:
    text, said = file
    assert repr(jsonc.parse(text)) == repr(said)


@given(VALUES)
def test_json_written_by_python_is_read(value: object) -> None:
    assert repr(jsonc.parse(json.dumps(value))) == repr(value)
    assert repr(jsonc.parse(jsonc_edits.render(value))) == repr(value)


@pytest.mark.parametrize("text", ["", " \r\n", "// nothing", "/* nothing\n at all */"])
def test_an_empty_document_is_read_as_an_empty_object(text: str) -> None:
    assert jsonc.parse(text) == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1', "expecting ',' delimiter"),
        ('{"a": 1}}', "extra data"),
        ("{,}", "is not JSON"),
        ("[1,,]", "is not JSON"),
        ('{"a":,}', "is not JSON"),
        ("{a: 1}", "is not JSON"),
        ("{'a': 1}", "is not JSON"),
        ('{"a": "\n"}', "line 1 is not JSON"),
        ('{\n"a": 1 /* never ends }', "line 2 is not JSON"),
        ('{"a": NaN}', "NaN"),
        ('{"a": -Infinity}', "-Infinity"),
        ('{"a": 01}', "is not JSON"),
        ('{"a": 1, "a": 2}', 'the key "a" twice'),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_anything_else_is_refused(text: str, reason: str) -> None:
    with pytest.raises(jsonc.Broken, match=reason):
        jsonc.parse(text)


@given(files(), VALUES)
def test_an_insertion_adds_its_value_and_keeps_every_other_character(
    file: tuple[str, dict[str, Any]], value: object
) -> None:
    text, said = file
    new = jsonc_edits.insert(text, PATH, value)
    said.setdefault("mcpServers", {})["sms46elks"] = value
    assert repr(jsonc.parse(new)) == repr(said)
    assert is_part_of(text, new)


@given(files(), VALUES)
def test_an_element_is_appended_to_a_list(file: tuple[str, dict[str, Any]], value: object) -> None:
    text, said = file
    new = jsonc_edits.append(text, ("inputs",), value)
    said.setdefault("inputs", []).append(value)
    assert repr(jsonc.parse(new)) == repr(said)
    assert is_part_of(text, new)


@given(files(), VALUES, VALUES)
def test_a_value_is_replaced_and_the_rest_stays(
    file: tuple[str, dict[str, Any]], first: object, second: object
) -> None:
    text, said = file
    new = jsonc_edits.insert(jsonc_edits.insert(text, PATH, first), PATH, second)
    said.setdefault("mcpServers", {})["sms46elks"] = second
    assert repr(jsonc.parse(new)) == repr(said)
    assert is_part_of(text, new)


@given(files(), VALUES)
def test_an_insertion_can_be_removed(file: tuple[str, dict[str, Any]], value: object) -> None:
    text, said = file
    new = jsonc_edits.remove(jsonc_edits.insert(text, PATH, value), PATH)
    said.setdefault("mcpServers", {})
    assert repr(jsonc.parse(new)) == repr(said)


@given(files(), st.data())
def test_any_member_can_be_removed(file: tuple[str, dict[str, Any]], data: st.DataObject) -> None:
    text, said = file
    if said:
        key = data.draw(st.sampled_from(sorted(said)))
        del said[key]
        assert repr(jsonc.parse(jsonc_edits.remove(text, (key,)))) == repr(said)


def is_part_of(text: str, whole: str) -> bool:
    """Return whether another text contains all characters of a text, in order."""
    rest = iter(whole)
    return all(char in rest for char in text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            '{\n  "mcpServers": {\n    "a": 1 // one\n  }\n}\n',
            '{\n  "mcpServers": {\n    "a": 1, // one\n    "sms46elks": 2\n  }\n}\n',
        ),
        (
            '{\n\t"mcpServers": {\n\t\t"a": 1, // one\n\t},\n}\n',
            '{\n\t"mcpServers": {\n\t\t"a": 1, // one\n\t\t"sms46elks": 2,\n\t},\n}\n',
        ),
        ('{"mcpServers": {"a": 1}}', '{"mcpServers": {"a": 1, "sms46elks": 2}}'),
        (
            '{\n    "mcpServers": {}\n}',
            '{\n    "mcpServers": {\n        "sms46elks": 2\n    }\n}',
        ),
        (
            '{\r\n  "mcpServers": {\r\n    // none yet\r\n  }\r\n}',
            '{\r\n  "mcpServers": {\r\n    // none yet\r\n    "sms46elks": 2\r\n  }\r\n}',
        ),
        (
            '{\n  "theme": "dark"\n}\n',
            '{\n  "theme": "dark",\n  "mcpServers": {\n    "sms46elks": 2\n  }\n}\n',
        ),
        ("// mine\n", '// mine\n{\n  "mcpServers": {\n    "sms46elks": 2\n  }\n}\n'),
        (
            '{\n  "mcpServers": {\n    "sms46elks": {"a": 1}, // ours\n    "b": 1\n  }\n}\n',
            '{\n  "mcpServers": {\n    "sms46elks": 2, // ours\n    "b": 1\n  }\n}\n',
        ),
    ],
)
def test_the_layout_of_the_file_is_continued(old: str, new: str) -> None:
    assert jsonc_edits.insert(old, PATH, 2) == new


@pytest.mark.parametrize("text", ['{"mcpServers": []}', '{"mcpServers": "x"}', "[]", "1"])
def test_an_insertion_into_something_other_than_an_object_is_refused(text: str) -> None:
    with pytest.raises(jsonc.Broken, match="is not an object"):
        jsonc_edits.insert(text, PATH, 1)


@pytest.mark.long
@settings(max_examples=20, phases=[Phase.generate])
@given(st.lists(files(), min_size=20, max_size=20))
def test_vs_codes_own_parser_finds_the_previous_content_and_our_entry(
    written: list[tuple[str, dict[str, Any]]],
) -> None:
    pairs = [[text, jsonc_edits.insert(text, PATH, ENTRY)] for text, _ in written]
    assert compare_with_node(pairs) == ["same"] * len(pairs)
    assert compare_with_node([["{}", '{"mcpServers": {}}'], ["{}", "{"]]) == ["different", "broken"]


def compare_with_node(pairs: list[list[str]]) -> object:
    """Compare old texts and our entry with new texts, all read by `jsonc-parser`, as VS Code reads them."""
    node = MODULES / ".bin" / "node"
    if not (node.exists() and (MODULES / "jsonc-parser").exists()):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("make conformance brings the parser")
    done = subprocess.run(
        [node, "-e", _COMPARE, MODULES / "jsonc-parser"],
        input=json.dumps({"pairs": pairs, "entry": ENTRY}),
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return json.loads(done.stdout)


_COMPARE = """
    const { parse } = require(process.argv[1]);
    const { pairs, entry } = JSON.parse(require("fs").readFileSync(0, "utf8"));
    const compare = ([before, after]) => {
        const errors = [];
        const read = (text) => parse(text, errors, { allowTrailingComma: true });
        const expected = read(before);
        (expected.mcpServers ??= {}).sms46elks = entry;
        const found = read(after);
        if (errors.length) return "broken";
        return require("util").isDeepStrictEqual(found, expected) ? "same" : "different";
    };
    process.stdout.write(JSON.stringify(pairs.map(compare)));
"""
