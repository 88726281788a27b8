"""Version and address: pyproject.toml has them, and other files repeat them."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGING = ROOT / "packaging"
PLUGIN = PACKAGING / "claude-code"


@dataclass(frozen=True)
class Project:
    """The version and the address that pyproject.toml has."""

    version: str
    address: str

    @property
    def has_placeholder(self) -> bool:
        """Whether the owner of the repository is not known yet."""
        return "/OWNER/" in self.address

    @property
    def registry_name(self) -> str:
        """The name in the MCP registry, which belongs to the owner of the repository on GitHub."""
        return f"io.github.{self.address.split('/')[-2]}/elks-mcp"


def read_project() -> Project:
    """Return what pyproject.toml says."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return Project(project["version"], project["urls"]["Repository"])


def list_stale(project: Project) -> dict[Path, str]:
    """Return the files with another version or address, each with the text that it should have."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *PACKAGING.glob("**/*.md")]
    manifests = [*PACKAGING.glob("*.json"), *PACKAGING.glob("mcpb/*.json"), *PLUGIN.glob(".*/*.json")]
    texts = {file: file.read_text("utf-8") for file in [*pages, *manifests]}
    repeated = {file: _repeat(project, text, is_json=file in manifests) for file, text in texts.items()}
    return {file: text for file, text in repeated.items() if text != texts[file]}


def _repeat(project: Project, text: str, *, is_json: bool) -> str:
    text = re.sub(r"https://github\.com/[\w.-]+/elks-mcp\b", project.address, text)
    text = re.sub(r"\bio\.github\.[\w.-]+/elks-mcp\b", project.registry_name, text)
    text = re.sub(r"(?<=/elks-mcp@v)\d[\w.]*\w", project.version, text)
    return re.sub(r'(?<="version": ")[^"]+', project.version, text) if is_json else text
