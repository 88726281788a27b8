"""References in the files of clients: what each client replaces, by its documentation."""

import os
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from elks_mcp.clients.client_paths import Machine
from elks_mcp.clients.references import References

ENVIRON = {"KEY": "value", "ELKS_API_PASSWORD": "p"}
LINUX = Machine("linux", PurePosixPath("/home/you"), ENVIRON)
WINDOWS = Machine("win32", PureWindowsPath("C:/Users/you"), ENVIRON)


@pytest.mark.parametrize(
    ("client", "text", "expected"),
    [
        ("claude-code", "${KEY} and ${NONE:-else}", "value and else"),
        ("cursor", "${env:KEY}", "value"),
        ("cursor", "${userHome}/x.env", "/home/you/x.env"),
        ("gemini", "$KEY and ${KEY}", "value and value"),
        ("opencode", "{env:KEY}", "value"),
        ("vscode", "${env:KEY} and ${input:elks_api_password}", "value and p"),
        ("vscode", "${userHome}${pathSeparator}x", f"/home/you{os.sep}x"),
        ("vscode", "${workspaceFolder}", str(Path.cwd())),
        ("vscode", "${workspaceFolderBasename}", Path.cwd().name),
        ("windsurf", "${env:KEY}", "value"),
    ],
)
def test_a_client_replaces_the_references_that_it_documents(client: str, text: str, expected: str) -> None:
    references = References(client, LINUX)
    assert references.replace("X", text) == expected
    assert (references.missing, references.left) == ([], [])


@pytest.mark.parametrize(
    ("client", "text"),
    [
        ("claude-code", "$KEY"),
        ("claude-desktop", "${KEY}"),
        ("cursor", "$KEY"),
        ("cursor", "%KEY%"),
        ("cursor", "${KEY}"),
        ("cursor", "{env:KEY}"),
        ("gemini", "%KEY%"),
        ("opencode", "${KEY}"),
        ("windsurf", "${KEY}"),
    ],
)
def test_a_reference_that_a_client_does_not_replace_is_reported(client: str, text: str) -> None:
    references = References(client, LINUX)
    for value in (text, f"{text}/x.env"):
        assert references.replace("X", value) == value
    assert references.left == [("X", text), ("X", text)]


@pytest.mark.parametrize("text", ["pa$KEY", "$key", "50%OF%it", "{KEY}", "{}", "$", "100 %"])
def test_a_value_that_only_resembles_a_reference_is_not_reported(text: str) -> None:
    references = References("cursor", LINUX)
    assert references.replace("X", text) == text
    assert (references.missing, references.left) == ([], [])


def test_gemini_replaces_percent_signs_on_windows() -> None:
    assert References("gemini", WINDOWS).replace("X", r"%KEY%\x") == r"value\x"


@pytest.mark.parametrize(
    ("client", "text"), [("opencode", "{env:NONE}"), ("cursor", "${env:NONE}"), ("gemini", "$NONE")]
)
def test_a_variable_that_is_not_set_is_missing(client: str, text: str) -> None:
    references = References(client, LINUX)
    assert references.replace("X", text) == ""
    assert references.missing == ["NONE"]


@pytest.mark.parametrize(("client", "form"), [("opencode", "{{file:{}}}"), ("windsurf", "${{file:{}}}")])
def test_a_reference_to_a_file_is_replaced_by_its_content(client: str, form: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s\n", encoding="utf-8")
    references = References(client, LINUX)
    assert references.replace("X", form.format(tmp_path / "secret")) == "s"
    assert references.replace("X", form.format(tmp_path / "none")) == ""
    assert references.missing == [str(tmp_path / "none")]
