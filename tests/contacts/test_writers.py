"""The users who may write the contacts, by the permissions of the file and of its folder."""

import sys
from pathlib import Path

import pytest

from elks_mcp.contacts.writers import Reach, find_writers

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")


@pytest.mark.parametrize(
    ("folder", "file", "reach"),
    [
        (0o700, 0o600, Reach.OWNER),
        (0o755, 0o644, Reach.OWNER),
        (0o755, 0o666, Reach.EVERYBODY),
        (0o777, 0o600, Reach.EVERYBODY),
        (0o1777, 0o600, Reach.OWNER),
    ],
)
@pytest.mark.parametrize("named", ["file", "folder"])
def test_users_who_may_replace_the_file_count_as_its_writers(
    tmp_path: Path, folder: int, file: int, reach: Reach, named: str
) -> None:
    place = tmp_path / "people"
    place.mkdir()
    (place / "a.vcf").touch()
    (place / "a.vcf").chmod(file)
    place.chmod(folder)
    found = find_writers(place / "a.vcf" if named == "file" else place)
    assert found
    assert found.reach is reach
    (tmp_path / "link.vcf").symlink_to(place / "a.vcf" if named == "file" else place)
    assert find_writers(tmp_path / "link.vcf") == found
