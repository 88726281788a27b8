"""What the documents say is so."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from elks_mcp.guards import GUARD_NAMES
from elks_mcp.mcp_server.server import TOOLS
from elks_mcp.settings import ALSO_AS_FILE, NAMES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
CONFIGURATIONS: list[dict[str, Any]] = [
    json.loads(block) for block in re.findall(r"```json\n(.*?)```", README, re.DOTALL)
]


def test_the_generated_pages_are_fresh() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/docs.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_each_client_gets_its_configuration_under_its_own_key() -> None:
    keys = [next(key for key in configuration if key != "inputs") for configuration in CONFIGURATIONS]
    assert keys.count("servers") == 1, "VS Code's"
    assert keys.count("mcpServers") >= 2, "Claude Desktop's and Cursor's"
    (vscode,) = [configuration for configuration in CONFIGURATIONS if "servers" in configuration]
    (server,) = vscode["servers"].values()
    assert server["type"] == "stdio"
    asked = {entry["id"]: entry for entry in vscode["inputs"]}
    assert any(entry.get("password") for entry in asked.values())
    assert set(re.findall(r"\$\{input:(\w+)\}", json.dumps(server))) == set(asked)


def test_configurations_use_names_that_exist_and_what_works_from_a_clone() -> None:
    for configuration in CONFIGURATIONS:
        ((name, server),) = (configuration.get("servers") or configuration["mcpServers"]).items()
        assert re.fullmatch("[a-zA-Z][a-zA-Z0-9_-]*", name), "VS Code takes no other names"
        assert server["command"].removesuffix(".exe").endswith("uv")
        assert server["args"][:2] == ["run", "--directory"]
        assert server["args"][3] == "elks-mcp"
        assert set(server["env"]) <= set(NAMES)


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda path: path.name)
def test_every_variable_that_is_mentioned_exists(page: Path) -> None:
    known = {*NAMES, *(f"{name}_FILE" for name in ALSO_AS_FILE)}
    mentioned = set(re.findall(r"\bELKS_[A-Z_]+[A-Z]\b", page.read_text(encoding="utf-8")))
    assert mentioned - known <= NOT_SETTINGS


NOT_SETTINGS = {
    # Mistakes that are explained, and limits that are announced
    "ELKS_API_USER",
    "ELKS_BUDGET_PER_DAY",
    "ELKS_MAX_PER_NUMBER",
}


@pytest.mark.parametrize("guard", GUARD_NAMES)
def test_every_guard_is_in_the_readme(guard: str) -> None:
    assert f"`{guard}`" in README


@pytest.mark.parametrize("tool", [tool.name for tool in TOOLS])
def test_every_tool_is_in_the_readme(tool: str) -> None:
    assert f"`{tool}`" in README


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_our_pages_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)", text):
        linked = page.parent / target if target else page
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {slug(heading) for heading in headings}, anchor


def slug(heading: str) -> str:
    """Make of a heading the anchor that GitHub makes of it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_promise_that_is_said_to_hold_has_a_test_that_names_it() -> None:
    promises = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
    holding = set(re.findall(r"^\| (P\d+) \|.*\| \*\*holds", promises, re.MULTILINE))
    assert holding >= {"P1", "P7", "P8", "P10", "P11", "P12"}
    tested = set(
        re.findall(r"def test_(p\d+)_", (ROOT / "tests" / "test_promises.py").read_text(encoding="utf-8"))
    )
    assert {promise.lower() for promise in holding} <= tested


def test_the_version_is_the_same_everywhere() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.+)"$', project, re.MULTILINE)
    assert version
    assert f'name = "elks-mcp"\nversion = "{version.group(1)}"' in (ROOT / "uv.lock").read_text(
        encoding="utf-8"
    )
