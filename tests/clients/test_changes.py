"""Changing the files of clients: what stays, what is refused, and what can be undone to the byte."""

import json
import os
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from elks_mcp.clients import files, jsonc
from elks_mcp.clients.catalog import CLIENTS, Change, Client
from elks_mcp.clients.editing import Unprovable, add, cut, find_entry
from elks_mcp.clients.planned_edits import plan_addition, plan_removal
from elks_mcp.clients.servers import Program
from elks_mcp.clients.snippets import Entry, build_entry, writes_secret
from tests.clients.documents import files as documents

BY_NAME = {client.name: client for client in CLIENTS}
WRITTEN = [client for client in CLIENTS if client.change is Change.FILE]
JSON = [client for client in WRITTEN if client.format == "json"]
PROGRAM = Program(
    "/home/Åsa/.local/bin/elks-mcp", env={"DRY_RUN": "true"}, secrets={"ELKS_API_PASSWORD": 'p"\\'}
)

each_written = pytest.mark.parametrize("client", WRITTEN, ids=lambda client: client.name)
LAYOUTS = {"LF": ("\n", ""), "CRLF": ("\r\n", ""), "LF BOM": ("\n", "\ufeff"), "CRLF BOM": ("\r\n", "\ufeff")}
each_layout = pytest.mark.parametrize(
    ("client", "newline", "mark"),
    [
        pytest.param(client, newline, mark, id=f"{client.name} {name}")
        for client in WRITTEN
        for name, (newline, mark) in LAYOUTS.items()
        if not (client.is_strict and mark)
    ],
)
each_json = pytest.mark.parametrize("client", JSON, ids=lambda client: client.name)

OTHERS = """\
{
  // what I use
  "theme": "dark", /* at night */
  "KEY": {
    "files": {
      "command": "npx",
      "args": ["-y", "files"], // all of them
    },
  },
}
"""
TOML = """\
mcp_servers.files.command = "npx" # dotted, at the root
model = "some-model"

[mcp_servers.other] # another one
command = "npx"
args = [
  "-y",
]

# about projects
[projects."/home/you"]
trust_level = "trusted"
"""


def others_of(client: Client, newline: str = "\n", mark: str = "") -> str:
    """Return a file of this client with other servers and comments."""
    text = TOML if client.format == "toml" else OTHERS.replace("KEY", client.key)
    if client.is_strict:
        text = text.replace("},\n", "}\n").replace("], //", "] //")
    return mark + text.replace("\n", newline)


def write(path: Path, text: str) -> None:
    """Write a text with its own line ends."""
    path.write_bytes(text.encode())


def read(path: Path) -> str:
    """Return the text of a file with its line ends and its mark."""
    return path.read_bytes().decode()


def said_by(client: Client, path: Path) -> dict[str, Any]:
    """Return the content of a file, read by another parser than the one that changed it."""
    text = path.read_text("utf-8-sig")
    return tomllib.loads(text) if client.format == "toml" else jsonc.parse(text)


def connect(client: Client, path: Path, program: Program = PROGRAM) -> bool:
    """Bring a program into a file, and return whether the file changed."""
    private = writes_secret(client, program)
    planned = plan_addition(client, files.read(path), build_entry(client, program), private=private)
    if planned:
        planned.make()
    return planned is not None


def disconnect(client: Client, path: Path) -> None:
    """Take the program out of a file."""
    planned = plan_removal(client, files.read(path))
    assert planned
    planned.make()


@each_written
def test_a_new_file_has_only_our_entry_and_is_deleted_by_the_removal(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    assert connect(client, path)
    assert said_by(client, path)[client.key] == {"sms46elks": build_entry(client, PROGRAM).fields}
    if sys.platform != "win32":
        assert path.stat().st_mode & 0o777 == 0o600, "it may have a password"
    assert not connect(client, path), "twice is once"
    disconnect(client, path)
    assert list(path.parent.iterdir()) == []


@each_layout
def test_the_rest_of_the_file_stays_and_the_removal_is_exact(
    client: Client, newline: str, mark: str, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    original = others_of(client, newline, mark).encode()
    path.write_bytes(original)
    before = said_by(client, path)
    assert connect(client, path)
    changed = path.read_bytes()
    after = said_by(client, path)
    assert after[client.key].pop("sms46elks") == build_entry(client, PROGRAM).fields
    assert after.pop("inputs", None) == (list(build_entry(client, PROGRAM).inputs) or None)
    assert after == before
    assert changed.startswith(mark.encode())
    assert changed.count(b"\n") == changed.count(newline.encode()), "line ends are not mixed"
    assert path.with_name("file.before-elks-mcp").read_bytes() == original
    assert not connect(client, path)
    disconnect(client, path)
    assert path.read_bytes() == original
    assert list(tmp_path.iterdir()) == [path], "the backup is not needed any more"


@each_written
@pytest.mark.parametrize("text", ["", "\n", "  ", "{}", "{ }\n", "{\n}", '{"a": 1}', '{\n  "a": 1\n}'])
def test_short_files_are_restored_byte_for_byte(client: Client, text: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    if client.format == "toml":
        text = text.replace("{", "").replace("}", "").replace('"a": 1', "a = 1")
    path.write_bytes(text.encode())
    assert connect(client, path)
    disconnect(client, path)
    assert path.read_bytes() == text.encode()


@each_layout
def test_an_earlier_entry_of_ours_is_replaced_and_the_original_is_kept(
    client: Client, newline: str, mark: str, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    write(path, others_of(client, newline, mark))
    connect(client, path, Program("/old/elks-mcp", env={"ELKS_SANDBOX": "true"}))
    assert connect(client, path)
    assert said_by(client, path)[client.key]["sms46elks"] == build_entry(client, PROGRAM).fields
    disconnect(client, path)
    assert read(path) == others_of(client, newline, mark)


@each_layout
def test_changes_by_a_person_since_then_survive_the_removal(
    client: Client, newline: str, mark: str, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    write(path, others_of(client, newline, mark))
    connect(client, path)
    write(path, read(path).replace("dark", "light").replace("some-model", "another"))
    disconnect(client, path)
    expected = others_of(client, newline, mark).replace("dark", "light").replace("some-model", "another")
    assert said_by(client, path).pop("inputs", []) == []
    if client.name != "vscode":  # where an empty list of inputs stays
        assert read(path) == expected


HAND_WRITTEN = """\
{
    "KEY": {"sms46elks": { "command": "mine", /* by hand */
          "env": {"ELKS_API_PASSWORD": "p"} },
       "b": {"command": "npx"}}, // all of them
    "theme": "dark"
}
"""
HAND_WRITTEN_TOML = """\
model = "some-model"
[mcp_servers.sms46elks]
command = "mine" # by hand
[mcp_servers.sms46elks.env]
ELKS_API_PASSWORD = "p"

# about projects
[projects."/home/you"]
trust_level = "trusted"
"""
ANOTHER = Program("/opt/elks-mcp", env={"ELKS_SANDBOX": "true"})


def hand_written(client: Client, newline: str = "\n", mark: str = "") -> bytes:
    """Return a file of this client with an entry that a person wrote under our name."""
    text = HAND_WRITTEN_TOML if client.format == "toml" else HAND_WRITTEN.replace("KEY", client.key)
    return (mark + text.replace("\n", newline)).encode()


@each_layout
def test_an_entry_that_a_person_wrote_is_restored_byte_for_byte(
    client: Client, newline: str, mark: str, tmp_path: Path
) -> None:
    path, backup = tmp_path / "file", tmp_path / "file.before-elks-mcp"
    original = hand_written(client, newline, mark)
    path.write_bytes(original)
    for program in (PROGRAM, ANOTHER, PROGRAM):
        assert connect(client, path, program)
        assert backup.read_bytes() == original
    disconnect(client, path)
    assert path.read_bytes() == original
    assert list(tmp_path.iterdir()) == [path]
    disconnect(client, path)
    assert "sms46elks" not in said_by(client, path).get(client.key, {})
    assert (tmp_path / "file.before-elks-mcp.1").read_bytes() == original


@each_written
def test_no_backup_is_overwritten_whatever_a_person_changes(client: Client, tmp_path: Path) -> None:
    path, backup = tmp_path / "file", tmp_path / "file.before-elks-mcp"
    original = hand_written(client)
    path.write_bytes(original)
    connect(client, path)
    edited = read(path).replace("dark", "light").replace("some-model", "another")
    write(path, edited)
    connect(client, path, ANOTHER)
    assert backup.read_bytes() == original
    assert read(tmp_path / "file.before-elks-mcp.1") == edited
    disconnect(client, path)
    assert backup.read_bytes() == original
    said = said_by(client, path)
    assert said[client.key]["sms46elks"] == {"command": "mine", "env": {"ELKS_API_PASSWORD": "p"}}
    assert "light" in read(path) or "another" in read(path)


@each_written
def test_a_backup_of_an_earlier_time_is_kept_beside_the_new_one(client: Client, tmp_path: Path) -> None:
    path, backup = tmp_path / "file", tmp_path / "file.before-elks-mcp"
    path.write_bytes(hand_written(client))
    connect(client, path)
    write(path, others_of(client))
    connect(client, path)
    assert read(backup) == others_of(client)
    assert (tmp_path / "file.before-elks-mcp.1").read_bytes() == hand_written(client)
    disconnect(client, path)
    assert read(path) == others_of(client)


@each_written
def test_a_file_that_we_created_is_deleted_after_several_entries(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    for program in (ANOTHER, PROGRAM, ANOTHER):
        assert connect(client, path, program)
    disconnect(client, path)
    assert list(path.parent.iterdir()) == []


@each_written
@pytest.mark.parametrize("text", ['{"a": ', "a = ", "\ufeff[", '{"a": 1} trailing'])
def test_a_broken_file_is_refused_and_untouched(client: Client, text: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(jsonc.Broken, match=r"it is not|line 1 is not|it begins with"):
        connect(client, path)
    assert path.read_text("utf-8") == text
    assert list(tmp_path.iterdir()) == [path]


@each_json
@pytest.mark.parametrize("value", ["[]", "null", '"x"', '{"sms46elks": []}'])
def test_servers_that_are_not_an_object_are_refused(client: Client, value: str) -> None:
    with pytest.raises(jsonc.Broken, match="is not an object"):
        add(client, f'{{"{client.key}": {value}}}', build_entry(client, PROGRAM))


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\xff\xfe{\0}\0")
    with pytest.raises(files.FileProblem, match="is not UTF-8 text"):
        files.read(path)


@each_written
@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_symbolic_link_stays_and_its_target_changes(client: Client, tmp_path: Path) -> None:
    target, link = tmp_path / "dotfiles" / "file", tmp_path / "link"
    target.parent.mkdir()
    target.write_text(others_of(client), encoding="utf-8")
    target.chmod(0o640)
    link.symlink_to(target)
    assert connect(client, link)
    assert link.is_symlink()
    assert "sms46elks" in said_by(client, target)[client.key]
    env = said_by(client, target)[client.key]["sms46elks"]["env"]
    has_secret = PROGRAM.secrets["ELKS_API_PASSWORD"] in env.values()
    assert target.stat().st_mode & 0o777 == (0o600 if has_secret else 0o640), "others may read no password"
    disconnect(client, link)
    assert target.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()
    assert target.read_text("utf-8") == others_of(client)


@each_written
def test_a_read_only_file_is_refused(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(others_of(client), encoding="utf-8")
    path.chmod(0o400)
    with pytest.raises(files.FileProblem, match="is read-only"):
        connect(client, path)
    assert path.read_text("utf-8") == others_of(client)
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_another_program_changed_meanwhile_is_refused(tmp_path: Path) -> None:
    client, path = BY_NAME["cursor"], tmp_path / "file"
    path.write_text("{}", encoding="utf-8")
    planned = plan_addition(client, files.read(path), build_entry(client, PROGRAM), private=False)
    path.write_text('{"theirs": 1}', encoding="utf-8")
    assert planned
    with pytest.raises(files.FileProblem, match="changed by another program"):
        planned.make()
    assert path.read_text("utf-8") == '{"theirs": 1}'


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "file"
    tmp_path.chmod(0o500)
    with pytest.raises(files.FileProblem, match="cannot be written"):
        connect(BY_NAME["cursor"], path)


@given(documents())
def test_any_file_keeps_its_content_and_gets_our_entry(file: tuple[str, dict[str, Any]]) -> None:
    client, (text, said) = BY_NAME["cursor"], file
    entry = build_entry(client, PROGRAM)
    new = add(client, text, entry)
    assert find_entry(client, new) == entry
    expected = json.loads(json.dumps(said))
    expected.setdefault("mcpServers", {})
    assert jsonc.parse(cut(client, new)) == expected


# ── VS Code's inputs ──


def test_inputs_of_others_stay_and_ours_are_added_once(tmp_path: Path) -> None:
    client, path = BY_NAME["vscode"], tmp_path / "file"
    path.write_text(
        '{"inputs": [{"id": "elks_api_password", "mine": 1}, {"id": "b"}], "servers": {}}', encoding="utf-8"
    )
    connect(client, path)
    assert [each["id"] for each in said_by(client, path)["inputs"]] == ["elks_api_password", "b"]


def test_inputs_that_another_server_uses_stay_at_the_removal() -> None:
    client = BY_NAME["vscode"]
    text = add(client, '{\n  "a": 1\n}\n', build_entry(client, PROGRAM))
    used = text.replace(
        '"sms46elks"', '"mine": {"env": {"P": "${input:elks_api_password}"}},\n    "sms46elks"'
    )
    assert [each["id"] for each in jsonc.parse(cut(client, used))["inputs"]] == ["elks_api_password"]
    assert jsonc.parse(cut(client, text))["inputs"] == []


# ── TOML ──


@pytest.mark.parametrize(
    "text",
    [
        'mcp_servers = { files = { command = "npx" } }\n',
        'mcp_servers.sms46elks.command = "mine"\nmodel = "y"\n',
        'x = """\n[mcp_servers.sms46elks]\n"""\n',
    ],
)
def test_a_table_that_cannot_be_changed_safely_is_left_alone(text: str) -> None:
    with pytest.raises(Unprovable):
        add(BY_NAME["codex"], text, Entry({"command": "x"}))


@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_subtables_of_our_entry_and_quoted_ones_are_replaced(newline: str) -> None:
    text = (
        '[mcp_servers."sms46elks"]\ncommand = "old"\n[mcp_servers.sms46elks.env]\nA = "1"\n\n# next\n[next]\n'
    )
    new = add(BY_NAME["codex"], text.replace("\n", newline), Entry({"command": "x"}))
    expected = '# next\n[next]\n\n[mcp_servers.sms46elks]\ncommand = "x"\n'
    assert new == expected.replace("\n", newline)
