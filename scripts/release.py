"""Build what a release consists of, and try it as a user would.

    make release-check                        all of it, into dist/
    RELEASE_PLACEHOLDER=1 make release-check  a rehearsal, which accepts a placeholder and uncommitted changes
    python scripts/release.py write           repeat the version and the address of pyproject.toml
    python scripts/release.py build FOLDER    only build
    python scripts/release.py try             all of it, without the judges that have to be downloaded

pyproject.toml is the one place of the version and of the repository's address. The exit code is 1 if a
check fails. A check that needs something that is not here is left out, and its line says why.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

sys.path.append(str(Path(__file__).parents[1]))  # for tests.support

from releasing.building import Built, build
from releasing.project import ROOT, Project, list_stale, read_project
from releasing.trials import JUDGES, TRIALS, FailedError, NotTriedError, Trial, require
from tests.support.installed import find_uv, new_environment, run


def main() -> int:
    """Write, build or check, and return the exit code."""
    options = _parse_options()
    project = read_project()
    if options.action == "write":
        _write(project)
        return 0
    uv = find_uv()
    if uv is None:
        print("uv is not installed. Run `make setup`.", file=sys.stderr)
        return 1
    if options.action == "build":
        build(project, uv, options.folder)
        return 0
    checks = TRIALS if options.action == "try" else {**TRIALS, **JUDGES}
    return _check(project, uv, options.folder, checks)


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=("check", "try", "write", "build"), nargs="?", default="check")
    parser.add_argument(
        "folder", type=Path, nargs="?", default=ROOT / "dist", help="for what is built (dist)"
    )
    return parser.parse_args()


def _write(project: Project) -> None:
    for file, text in list_stale(project).items():
        file.write_text(text, encoding="utf-8")
        print(f"{file.relative_to(ROOT).as_posix()} written")


def _check(project: Project, uv: str, folder: Path, checks: Mapping[str, Callable[[Trial], None]]) -> int:
    print(f"elks-mcp {project.version}, {project.address}", flush=True)
    if not _report("this state can be released", partial(_require_releasable, project)):
        return 1
    built = build(project, uv, folder)
    passed = [_report(title, partial(_try, check, built, uv)) for title, check in checks.items()]
    for file in (built.wheel, built.sdist, built.bundle):
        print(f"      {file.name}: {file.stat().st_size / 1000:,.0f} kB")
    return int(not all(passed))


def _require_releasable(project: Project) -> None:
    stale = ", ".join(file.relative_to(ROOT).as_posix() for file in list_stale(project))
    command = "`uv run --group dev python scripts/release.py write`"
    require(not stale, f"Another version or address than pyproject.toml has: {stale}. Run {command}.")
    if os.environ.get("RELEASE_PLACEHOLDER"):
        raise NotTriedError("RELEASE_PLACEHOLDER is set: this is a rehearsal. Do not publish what it builds.")
    require(
        not project.has_placeholder,
        f"The address of the repository is a placeholder: {project.address}. Write the real one under "
        f"[project.urls] in pyproject.toml, then run {command}. RELEASE_PLACEHOLDER=1 allows a rehearsal.",
    )
    changes = run(["git", "status", "--porcelain"], ROOT, os.environ).stdout
    require(not changes, "There are uncommitted changes. Commit them: a release is what is committed.")


def _try(check: Callable[[Trial], None], built: Built, uv: str) -> None:
    with TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        check(Trial(built, uv, folder, new_environment(uv, folder / "home")))


def _report(title: str, check: Callable[[], None]) -> bool:
    """Run a check, print its line, and return whether it did not fail."""
    begun = perf_counter()
    state, reason = "ok", ""
    try:
        check()
    except NotTriedError as error:
        state, reason = "skip", str(error)
    except (FailedError, AssertionError) as error:
        state, reason = "FAIL", str(error) or repr(error)
    print(f"{state:>4}  {title} ({perf_counter() - begun:.0f} s)", flush=True)
    if reason:
        print(f"      {reason}", flush=True)
    return state != "FAIL"


if __name__ == "__main__":
    sys.exit(main())
