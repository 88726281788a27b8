"""The files of a release: wheel, sdist, and the bundle for Claude Desktop."""

import os
import re
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.installed import run

from releasing.project import PACKAGING, ROOT, Project

_SOURCES = ("src", "pyproject.toml", "uv.lock", "README.md", "LICENSE")
_BUNDLED = ("manifest.json", "icon.png", ".python-version")
_IMAGES = (".png", ".svg", ".gif", ".jpg", ".webp")


@dataclass(frozen=True)
class Built:
    """The files of a release."""

    project: Project
    wheel: Path
    sdist: Path
    bundle: Path


def build(project: Project, uv: str, into: Path) -> Built:
    """Build everything into a directory, which is emptied first."""
    shutil.rmtree(into, ignore_errors=True)
    with TemporaryDirectory() as folder:
        stage = Path(folder)
        _copy_sources(project, stage)
        run([uv, "build", "--quiet", "--out-dir", str(into.absolute()), folder], stage, os.environ)
        bundle = into / f"elks-mcp-{project.version}.mcpb"
        for name in _BUNDLED:
            shutil.copy(PACKAGING / "mcpb" / name, stage)
        _zip(stage, bundle)
    (wheel,), (sdist,) = into.glob("*.whl"), into.glob("*.tar.gz")
    return Built(project, wheel.absolute(), sdist.absolute(), bundle.absolute())


def _copy_sources(project: Project, stage: Path) -> None:
    for name in _SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, stage / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, stage)
    readme = stage / "README.md"
    readme.write_text(_link_absolutely(readme.read_text("utf-8"), project), "utf-8")


def _link_absolutely(text: str, project: Project) -> str:
    """Return a page with links that work on PyPI, which has no other files of ours."""

    def extend(link: re.Match[str]) -> str:
        kind = "raw" if link[2].lower().endswith(_IMAGES) else "blob"
        return f"{link[1]}{project.address}/{kind}/v{project.version}/{link[2]}"

    return re.sub(r'(\]\(|\b(?:src|srcset|href)=")(?!https?:|mailto:|#)([^)"\s]+)', extend, text)


def _zip(folder: Path, into: Path) -> None:
    """Write a folder's files to an archive. The same files give the same archive."""
    with zipfile.ZipFile(into, "w") as archive:
        for file in sorted(each for each in folder.rglob("*") if each.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix())
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED)
