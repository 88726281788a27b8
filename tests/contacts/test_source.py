"""Contacts are read when they are first needed, and again when their file changes."""

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest

from elks_mcp.contacts.source import ContactSource
from elks_mcp.domain.phone import Number
from elks_mcp.errors import Misconfigured, UnreadableContacts
from tests.support.clocks import ManualClock
from tests.support.contact_files import card

pytestmark = pytest.mark.anyio

SECOND = timedelta(seconds=1)
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def write(file: Path, *names: str) -> None:
    """Write a table of people."""
    rows = [f"{name};+467017406{5 + number:02}" for number, name in enumerate(names)]
    file.write_text("\n".join(["namn;telefon", *rows]), "utf-8")


def read_time(path: Path) -> datetime:
    """Return when the status of a file changed, which no program can choose."""
    return datetime.fromtimestamp(path.lstat().st_ctime_ns / 1e9, UTC)


def names(source: ContactSource) -> list[str]:
    """List the names of the contacts that are known."""
    return [each.name for each in source.known.people]


async def test_without_contacts_no_number_is_known_and_no_file_is_read() -> None:
    source = ContactSource()
    contacts = await source.read()
    assert (contacts.people, contacts.changed_at, contacts.digest) == ((), None, "")
    assert source.problems == ()


async def test_contacts_are_read_when_first_needed_and_again_when_the_file_changes(tmp_path: Path) -> None:
    file, clock = tmp_path / "a.csv", ManualClock()
    write(file, "Åsa")
    source = ContactSource(file, clock=clock)
    assert names(source) == []
    first = await source.read()
    assert names(source) == ["Åsa"]
    write(file, "Åsa", "Bo")
    assert await source.read() is first, "at most one look a second"
    clock.advance(SECOND)
    second = await source.read()
    assert names(source) == ["Åsa", "Bo"]
    assert first.changed_at
    assert second.changed_at
    assert second.changed_at >= first.changed_at
    assert second.digest != first.digest
    clock.advance(SECOND)
    assert await source.read() is second, "an unchanged file is not read again"


async def test_calls_at_the_same_time_read_the_file_once(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "Åsa")
    source, found = ContactSource(tmp_path / "a.csv", clock=ManualClock()), []

    async def read() -> None:
        found.append(await source.read())

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(read)
    assert len({id(each) for each in found}) == 1
    assert names(source) == ["Åsa"]


async def test_a_file_that_disappears_is_an_error_for_names_and_stays_known(tmp_path: Path) -> None:
    file, clock = tmp_path / "a.csv", ManualClock()
    write(file, "Åsa")
    source = ContactSource(file, clock=clock)
    await source.read()
    file.rename(tmp_path / "b.csv")
    clock.advance(SECOND)
    with pytest.raises(UnreadableContacts, match=r"a\.csv cannot be read. No such file") as caught:
        await source.read()
    with pytest.raises(UnreadableContacts):
        await source.read()
    assert str(tmp_path) not in caught.value.explain()
    assert (await source.read_leniently()).people == source.known.people != ()
    (tmp_path / "b.csv").rename(file)
    clock.advance(SECOND)
    assert [each.name for each in (await source.read()).people] == ["Åsa"]


@pytest.mark.parametrize("name", ["none.csv", "none.vcf", "none", "a.txt", "empty.csv"])
async def test_a_path_that_cannot_be_read_is_a_configuration_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.txt").touch()
    (tmp_path / "empty.csv").touch()
    source = ContactSource(tmp_path / name, clock=ManualClock())
    with pytest.raises(Misconfigured, match=f"The contacts in {name} cannot be read"):
        await source.read()
    assert (await source.read_leniently()).people == ()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")
async def test_a_path_that_is_not_a_regular_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(Misconfigured):
        await ContactSource(tmp_path / "a.csv").read()


@pytest.mark.skipif(ROOT or sys.platform == "win32", reason="nothing is closed to this user")
async def test_a_file_is_read_once_this_user_may_read_it(tmp_path: Path) -> None:
    file, clock = tmp_path / "a.csv", ManualClock()
    write(file, "Åsa")
    file.chmod(0)
    source = ContactSource(file, clock=clock)
    with pytest.raises(UnreadableContacts, match="Permission denied"):
        await source.read()
    file.chmod(0o600)
    clock.advance(SECOND)
    assert (await source.read()).people


async def test_a_folder_is_read_again_when_a_file_is_added_or_removed(tmp_path: Path) -> None:
    clock = ManualClock()
    source = ContactSource(tmp_path, clock=clock)
    assert (await source.read()).people == ()
    found = []
    for change in (
        lambda: (tmp_path / "a.vcf").write_text(card("Åsa"), "utf-8"),
        lambda: (tmp_path / "b.vcf").write_text(card("Bo"), "utf-8"),
        lambda: (tmp_path / "a.vcf").rename(tmp_path / "c.vcf"),
        (tmp_path / "b.vcf").unlink,
    ):
        change()
        clock.advance(SECOND)
        contacts = await source.read()
        found.append((names(source), contacts.digest))
    assert [each for each, _ in found] == [["Åsa"], ["Åsa", "Bo"], ["Bo", "Åsa"], ["Åsa"]]
    assert len({digest for _, digest in found}) == 4


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no time of the status")
@pytest.mark.parametrize("way", ["move", "link", "folder"])
async def test_contacts_with_an_old_file_time_count_as_changed_when_they_were_put_there(
    tmp_path: Path, way: str
) -> None:
    clock, path, other = ManualClock(), tmp_path / "people.csv", tmp_path / "other.csv"
    if way == "folder":
        path, other = tmp_path / "people", tmp_path / "others"
        for folder, name in ((path, "Åsa"), (other, "Mallory")):
            folder.mkdir()
            (folder / "a.vcf").write_text(card(name), "utf-8")
            os.utime(folder / "a.vcf", (0, 0))
    else:
        write(path, "Åsa")
        write(other, "Mallory")
    for each in (path, other):
        os.utime(each, (0, 0))
    source = ContactSource(path, clock=clock)
    assert (await source.read()).changed_at == read_time(path)
    path.rename(tmp_path / "before")
    if way == "link":
        path.symlink_to(other)
        os.utime(path, (0, 0), follow_symlinks=False)
    else:
        other.rename(path)
    clock.advance(SECOND)
    assert (await source.read()).changed_at == read_time(path)
    assert names(source) == ["Mallory"]


async def test_entries_that_cannot_be_used_are_reported_as_problems(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("namn;telefon\nÅsa;4,67E+10\nBo;701740605\n", "utf-8")
    source = ContactSource(tmp_path / "a.csv")
    await source.read()
    assert [str(each.place) for each in source.problems] == ["a.csv, row 2, telefon"]


async def test_national_numbers_are_those_of_the_operators_country(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("navn;telefon\nKari;412 34 567\n".replace("navn", "name"), "utf-8")
    contacts = await ContactSource(tmp_path / "a.csv", "NO").read()
    assert contacts.find_owner(Number("+4741234567"))
