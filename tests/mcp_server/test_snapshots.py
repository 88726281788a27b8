"""A snapshot is used by a start that would give the same answers, and only if nobody else can write it."""

import os
import stat
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any
from zlib import crc32

import platformdirs
import pytest

from elks_mcp.mcp_server.snapshots import Snapshot, delete, find_folder, find_name, load, save
from elks_mcp.settings import ALSO_AS_FILE, DECLARATIONS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no client is answered early on Windows")

ANSWERS = {"2025-11-25": {"initialize": '{"instructions":"Hej åäö 😀"}'}}
STORED = Snapshot("0123", ANSWERS)
NOTHING = Snapshot("0123", {})


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the snapshots, which does not exist yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    return tmp_path / "caches" / "elks-mcp"


def name_of(*arguments: str, env_file: Any = None, **environ: str) -> str | None:
    return find_name(arguments, environ, str(env_file) if env_file else None)


# ── the name ──


@pytest.mark.parametrize("variable", [each.variable for each in DECLARATIONS.values()])
def test_a_setting_that_changes_changes_the_name(variable: str) -> None:
    names = [name_of(), name_of(**{variable: "one"}), name_of(**{variable: "two"})]
    assert len(set(names)) == len(names)


def test_a_setting_that_appears_in_lower_case_or_is_unknown_is_not_overlooked() -> None:
    assert name_of(ELKS_DRY_RUN="true") != name_of()
    assert name_of(DRY_RUN="false") != name_of(DRY_RUN="False")


def test_other_variables_and_their_order_do_not_matter() -> None:
    name = name_of(ELKS_SANDBOX="true", DRY_RUN="true")
    assert name == name_of(DRY_RUN="true", ELKS_SANDBOX="true", PATH="/bin", HOME="/nowhere")


def test_whether_the_phones_are_shown_does_not_matter_unless_it_is_invalid() -> None:
    assert name_of() == name_of(ELKS_SANDBOX_PAGE="off") == name_of(ELKS_SANDBOX_PAGE="True")
    assert name_of() != name_of(ELKS_SANDBOX_PAGE="perhaps")


def test_arguments_change_the_name() -> None:
    assert len({name_of(), name_of("--state-dir", "a"), name_of("--state-dir", "b"), name_of("a")}) == 4


def test_a_changed_env_file_changes_the_name_and_an_unreadable_one_has_none(tmp_path: Path) -> None:
    env_file = tmp_path / "elks.env"
    assert name_of(env_file=env_file) is None
    env_file.write_bytes(b"ELKS_SANDBOX=true\n")
    first = name_of(env_file=env_file)
    before = env_file.stat()
    env_file.write_bytes(b"ELKS_SANDBOX=maal\n")
    os.utime(env_file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert None is not first != name_of(env_file=env_file)


@pytest.mark.parametrize("variable", ALSO_AS_FILE)
def test_a_changed_file_of_a_value_changes_the_name_and_an_unreadable_one_has_none(
    variable: str, tmp_path: Path
) -> None:
    file = tmp_path / "value"
    environ = {f"{variable}_FILE": str(file)}
    assert name_of(**environ) is None
    file.write_text("one", encoding="utf-8")
    first = name_of(**environ)
    env_file = tmp_path / "elks.env"
    env_file.write_text(f'export {variable}_FILE="{file}"\n', encoding="utf-8")
    assert None is not (in_file := name_of(env_file=env_file))
    file.write_text("two", encoding="utf-8")
    assert None is not first != name_of(**environ)
    assert in_file != name_of(env_file=env_file)


def test_a_mistake_in_front_of_a_name_is_not_overlooked(tmp_path: Path) -> None:
    names = []
    for mistake in ("export", "'", "#", ""):
        (tmp_path / "elks.env").write_text(f"{mistake}ELKS_SANDBOX=true\n", encoding="utf-8")
        names.append(name_of(env_file=tmp_path / "elks.env"))
    assert len(set(names)) == len(names)


def test_a_pipe_is_left_for_the_one_that_reads_the_settings(tmp_path: Path) -> None:
    """A password manager offers a file of settings as a pipe, which can be read once."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert name_of(env_file=tmp_path / "pipe") is None
    assert name_of(ELKS_API_PASSWORD_FILE=str(tmp_path / "pipe")) is None


def test_files_that_another_programs_variables_name_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "elks.env").write_bytes(b"POSTGRES_PASSWORD_FILE=/nowhere\n")
    assert name_of(env_file=tmp_path / "elks.env")


def test_a_changed_package_changes_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = tmp_path / "site-packages"
    (packages / "mcp-2.3.0.dist-info").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(packages))
    first = name_of()
    (packages / "mcp-2.3.0.dist-info").rename(packages / "mcp-2.3.1.dist-info")
    assert first != name_of()


def test_a_changed_file_of_the_program_changes_the_name(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_bytes(b"1")
    first = find_name([], {}, None, str(tmp_path))
    (tmp_path / "one.py").write_bytes(b"22")
    assert first != find_name([], {}, None, str(tmp_path))


def test_p8_only_a_short_checksum_of_a_secret_is_used(tmp_path: Path) -> None:
    """Secrets with the same 16 bits have the same name, so no more of them is in it."""
    secrets = {each.variable for each in DECLARATIONS.values() if each.is_secret}
    secrets |= {"ELKS_API_USERNAME", "ELKS_API_PASS", "ELKS_PASSWORD"}  # also where the name is mistaken
    wanted = crc32(b"canary") & 0xFFFF
    other = next(
        f"canary{number}" for number in count() if crc32(f"canary{number}".encode()) & 0xFFFF == wanted
    )
    for variable in secrets:
        assert name_of(**{variable: "canary"}) == name_of(**{variable: other})
    for before in ("\ufeff", "export ", "export\t", " ", "'", "ANOTHER_PROGRAMS_", "X=1\n"):
        names = []
        for value in ("canary", other):
            (tmp_path / "elks.env").write_text(f"{before}ELKS_API_PASSWORD={value}\n", encoding="utf-8")
            names.append(name_of(env_file=tmp_path / "elks.env"))
        assert names[0] == names[1]


# ── the file ──


def test_a_saved_snapshot_is_loaded_until_it_is_deleted(folder: Path) -> None:
    assert load("0123") == NOTHING
    save(STORED)
    assert load("0123") == STORED
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()] == [0o600]
    delete("0123")
    delete("0123")
    assert load("0123") == NOTHING


def test_the_directory_is_the_systems_directory_for_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_folder() == platformdirs.user_cache_dir("elks-mcp", appauthor=False)
    for value in ("", "relative", None):
        if value is None:
            monkeypatch.delenv("XDG_CACHE_HOME")
        else:
            monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert find_folder() == platformdirs.user_cache_dir("elks-mcp", appauthor=False)


def test_without_a_home_there_is_no_snapshot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A relative directory would be a different one in each folder."""
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "relative")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match="no home directory"):
        save(STORED)
    assert load("0123") == NOTHING
    delete("0123")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_a_killed_process_left_is_replaced(folder: Path) -> None:
    save(STORED)
    (folder / "0123").rename(folder / f"0123.{os.getpid()}")
    save(STORED)
    assert [each.name for each in folder.iterdir()] == ["0123"]


def test_a_file_that_cannot_be_put_in_its_place_leaves_nothing(folder: Path) -> None:
    save(STORED)
    (folder / "0123").unlink()
    (folder / "0123").mkdir()
    with pytest.raises(OSError):  # noqa: PT011  (any)
        save(STORED)
    assert [each.name for each in folder.iterdir()] == ["0123"]


def test_sixteen_snapshots_are_kept_the_newest_ones(folder: Path) -> None:
    for number in range(20):
        save(Snapshot(f"{number:02}", ANSWERS))
        os.utime(folder / f"{number:02}", (number, number))
    assert sorted(each.name for each in folder.iterdir()) == [f"{number:02}" for number in range(4, 20)]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666])
def test_a_file_that_others_may_read_or_write_is_not_used(folder: Path, mode: int) -> None:
    save(STORED)
    (folder / "0123").chmod(mode)
    assert load("0123") == NOTHING


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_a_directory_that_others_may_write_in_is_not_used(folder: Path, mode: int) -> None:
    save(STORED)
    folder.chmod(mode)
    assert load("0123") == NOTHING
    with pytest.raises(OSError):  # noqa: PT011  (any)
        save(STORED)


def _links(file: Path, target: Path) -> Iterator[None]:
    file.rename(target)
    file.symlink_to(target)
    yield
    file.unlink()
    file.hardlink_to(target)
    yield
    file.unlink()
    os.mkfifo(file, 0o600)
    yield


def test_a_link_and_a_pipe_are_not_used(folder: Path, tmp_path: Path) -> None:
    save(STORED)
    for _ in _links(folder / "0123", tmp_path / "elsewhere"):
        assert load("0123") == NOTHING


def test_a_link_to_a_directory_is_not_used(folder: Path, tmp_path: Path) -> None:
    save(STORED)
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert load("0123") == NOTHING
    with pytest.raises(OSError):  # noqa: PT011  (any)
        save(STORED)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("name", ["", "0123"])
def test_a_file_of_another_user_is_not_used(folder: Path, name: str) -> None:
    save(STORED)
    os.chown(folder / name, 65534, 65534)
    assert load("0123") == NOTHING


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 1}', '{"a": {"b": 1}}', "[" * 100_000, "\udcff"])
def test_a_damaged_file_is_not_used(folder: Path, content: str) -> None:
    save(STORED)
    (folder / "0123").write_bytes(content.encode("utf-8", "surrogateescape"))
    assert load("0123") == NOTHING


def test_a_directory_that_cannot_be_made_is_an_error_and_no_snapshot(folder: Path) -> None:
    folder.parent.write_text("a file in the place of the directory", encoding="utf-8")
    with pytest.raises(OSError):  # noqa: PT011  (any)
        save(STORED)
    assert load("0123") == NOTHING
