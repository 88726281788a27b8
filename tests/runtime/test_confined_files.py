"""Files of one directory: no name, link or pipe leads out of it."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from elks_mcp.runtime.confined_files import CAN_OPEN_IN, FileNotAllowed, list_confined, read_confined

MOST = 100
ENDINGS = (".csv",)


WAYS = [pytest.param(True, marks=pytest.mark.skipif(not CAN_OPEN_IN, reason="not on this system")), False]
in_both_ways = pytest.mark.parametrize("by_handle", WAYS, ids=["by handle", "by path"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a directory with files, beside a file outside it."""
    base = tmp_path / "lists"
    (base / "inner").mkdir(parents=True)
    (base / "kunder.csv").write_bytes(b"telefon")
    (base / "inner" / "fler.csv").write_bytes(b"mobil")
    (tmp_path / "secret.csv").write_bytes(b"secret")
    return base


@in_both_ways
def test_a_file_is_read_by_its_relative_name(folder: Path, by_handle: bool) -> None:
    assert read_confined(folder, "kunder.csv", MOST, by_handle=by_handle) == b"telefon"
    assert read_confined(folder, "inner/fler.csv", MOST, by_handle=by_handle) == b"mobil"
    assert read_confined(folder, "inner\\fler.csv", MOST, by_handle=by_handle) == b"mobil"


def test_at_most_one_byte_over_the_limit_is_read(folder: Path) -> None:
    assert read_confined(folder, "kunder.csv", 3) == b"tele"


@in_both_ways
@pytest.mark.parametrize(
    "name",
    [
        *("\\\\server\\share\\secret.csv", "//server/share/secret.csv", "\\\\?\\C:\\secret.csv"),
        *("../secret.csv", "inner/../../secret.csv", "/etc/passwd", "C:\\secret.csv", "kunder.csv:stream"),
        *("", ".", "..", "inner//fler.csv", "./kunder.csv", "kunder.csv\0", "inner", "no.csv", "a" * 5000),
    ],
)
def test_a_name_that_leads_elsewhere_is_refused_without_naming_a_path(
    folder: Path, name: str, by_handle: bool
) -> None:
    with pytest.raises(FileNotAllowed) as refused:
        read_confined(folder, name, MOST, by_handle=by_handle)
    assert str(folder.parent) not in str(refused.value)


@pytest.mark.parametrize("name", ["NUL", "con.csv", "Aux .csv", "inner/COM1", "lpt9.a.csv", "com¹", "CONIN$"])
def test_a_device_of_windows_is_not_opened_by_its_path(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"an ordinary file here")
    with pytest.raises(FileNotAllowed, match="device"):
        read_confined(folder, name, MOST, by_handle=False)


@pytest.mark.parametrize("name", ["contacts.csv", "nullable.csv", "com10.csv", "aux-list.csv"])
def test_a_name_that_only_begins_like_a_device_is_read(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"telefon")
    assert read_confined(folder, name, MOST, by_handle=False) == b"telefon"


def _link_file(folder: Path) -> str:
    (folder / "link.csv").symlink_to(folder.parent / "secret.csv")
    return "link.csv"


def _link_inside(folder: Path) -> str:
    (folder / "link.csv").symlink_to(folder / "kunder.csv")
    return "link.csv"


def _link_folder(folder: Path) -> str:
    (folder / "up").symlink_to(folder.parent, target_is_directory=True)
    return "up/secret.csv"


def _make_pipe(folder: Path) -> str:
    os.mkfifo(folder / "pipe.csv")
    return "pipe.csv"


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
@in_both_ways
@pytest.mark.parametrize("make", [_link_file, _link_inside, _link_folder])
def test_no_component_of_a_name_may_be_a_link(
    folder: Path, make: Callable[[Path], str], by_handle: bool
) -> None:
    name = make(folder)
    with pytest.raises(FileNotAllowed, match="link"):
        read_confined(folder, name, MOST, by_handle=by_handle)
    assert list_confined(folder, ENDINGS, MOST) == ["kunder.csv"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotAllowed, match="regular"):
        read_confined(tmp_path, _make_pipe(tmp_path), MOST)


def test_the_operators_directory_itself_may_be_a_link(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (real / "kunder.csv").write_bytes(b"telefon")
    link = tmp_path / "link"
    try:
        link.symlink_to(real, target_is_directory=True)
    except OSError:
        pytest.skip("links need a privilege here")
    assert read_confined(link, "kunder.csv", MOST) == b"telefon"


def test_a_directory_that_does_not_exist_has_no_files(tmp_path: Path) -> None:
    assert list_confined(tmp_path / "none", ENDINGS, MOST) == []
    with pytest.raises(FileNotAllowed, match="directory does not exist"):
        read_confined(tmp_path / "none", "kunder.csv", MOST)
