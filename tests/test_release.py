"""A release: one version and one address, and a wheel that runs where the repository is not."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from elks_mcp.settings import NAMES
from tests.support.installed import find_uv, new_environment, run, try_commands, try_session

ROOT = Path(__file__).parents[1]
PLUGIN = "packaging/claude-code/.claude-plugin/plugin.json"
BUNDLE = "packaging/mcpb/manifest.json"
REGISTRY = "packaging/server.json"
VERSION = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)


def release(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `scripts/release.py` of the repository at `root`."""
    return subprocess.run(
        [sys.executable, "scripts/release.py", *arguments],
        cwd=root,
        env={**os.environ, "UV": "uv"},  # not used before the checks that these tests see
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def read(name: str, root: Path = ROOT) -> dict[str, Any]:
    """Return one of our JSON files."""
    content: dict[str, Any] = json.loads((root / name).read_text("utf-8"))
    return content


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Copy of the repository what repeats the version or the address, and the script."""
    for name in ("packaging", "scripts", "docs", "tests/support"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.png"))
    for name in ("README.md", "pyproject.toml", "tests/__init__.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def change(root: Path, pattern: str, replacement: str) -> None:
    """Change pyproject.toml of a copy."""
    file = root / "pyproject.toml"
    text, count = re.subn(pattern, replacement, file.read_text("utf-8"), flags=re.MULTILINE)
    assert count == 1
    file.write_text(text, "utf-8")


def test_all_files_repeat_the_version_and_the_address_of_pyproject(copy: Path) -> None:
    assert release(copy, "write").stdout == "", "as they are in the repository"


def test_a_new_version_and_address_reach_all_files_that_repeat_them(copy: Path) -> None:
    change(copy, '^version = ".+"', 'version = "4.7.11"')
    change(copy, '^Repository = ".+"', 'Repository = "https://github.com/example/elks-mcp"')
    stale = release(copy, "check")
    assert stale.returncode == 1
    for name in (PLUGIN, BUNDLE, REGISTRY, "README.md"):
        assert name in stale.stdout
    assert release(copy, "write").returncode == 0
    plugin, bundle, registry = (read(name, copy) for name in (PLUGIN, BUNDLE, REGISTRY))
    package = registry["packages"][0]["version"]
    assert {plugin["version"], bundle["version"], registry["version"], package} == {"4.7.11"}
    address = "https://github.com/example/elks-mcp"
    assert plugin["repository"] == bundle["repository"]["url"] == registry["repository"]["url"] == address
    assert plugin["mcpServers"]["sms46elks"]["args"][1] == f"git+{address}@v4.7.11"
    assert registry["name"] == "io.github.example/elks-mcp"
    assert "mcp-name: io.github.example/elks-mcp" in (copy / "README.md").read_text("utf-8")


def test_a_placeholder_is_not_released(copy: Path) -> None:
    change(copy, '^Repository = ".+"', 'Repository = "https://github.com/OWNER/elks-mcp"')
    release(copy, "write")
    refused = release(copy, "check")
    assert refused.returncode == 1
    assert "is a placeholder: https://github.com/OWNER/elks-mcp" in refused.stdout
    assert "[project.urls] in pyproject.toml" in refused.stdout
    assert not (copy / "dist").exists()


def test_the_bundle_and_the_plugin_ask_for_the_same_settings() -> None:
    bundle, plugin = read(BUNDLE), read(PLUGIN)
    assert bundle["user_config"] == plugin["userConfig"]
    environ = bundle["server"]["mcp_config"]["env"]
    assert environ == plugin["mcpServers"]["sms46elks"]["env"]
    assert set(environ) <= set(NAMES)
    assert list(environ.values()) == [f"${{user_config.{name}}}" for name in bundle["user_config"]]
    fields = read(REGISTRY)["packages"][0]["environmentVariables"]
    asked = dict(zip(environ, bundle["user_config"].values(), strict=True))
    assert {field["name"]: field["description"] for field in fields} == {
        name: field["description"] for name, field in asked.items()
    }


def test_every_place_that_asks_for_the_password_marks_it_as_secret() -> None:
    assert [name for name, field in read(BUNDLE)["user_config"].items() if field.get("sensitive")] == [
        "api_password"
    ]
    fields = read(REGISTRY)["packages"][0]["environmentVariables"]
    assert [field["name"] for field in fields if field.get("isSecret")] == ["ELKS_API_PASSWORD"]


def test_the_default_fields_send_no_text_and_cost_nothing() -> None:
    defaults = {name: field.get("default") for name, field in read(BUNDLE)["user_config"].items()}
    assert (defaults["sandbox"], defaults["dry_run"]) == (True, None)


@pytest.mark.long
def test_the_wheel_runs_through_uvx_from_an_empty_directory(tmp_path: Path) -> None:
    uv = find_uv()
    if uv is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("make setup brings uv")
    assert VERSION
    dist, empty = tmp_path / "dist", tmp_path / "empty"
    empty.mkdir()
    run([sys.executable, "scripts/release.py", "build", str(dist)], ROOT, {**os.environ, "UV": uv})
    (wheel,) = dist.glob("*.whl")
    environ = new_environment(uv, tmp_path / "home")
    program = [uv, "tool", "run", "--from", str(wheel), "elks-mcp"]
    try_commands(program, empty, environ, VERSION[1])
    try_session(program, empty, environ, VERSION[1])
