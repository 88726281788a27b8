"""Contacts in a server: names find people while the file can be read, and numbers always do."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.clocks import ManualClock
from tests.support.connecting import PHONE, box_on, call, connected, live, posted, words
from tests.support.contact_files import card

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", ["people.csv", "people.vcf", "people"])
async def test_after_the_file_disappears_calls_with_a_name_fail_and_those_with_a_number_work(
    tmp_path: Path, name: str
) -> None:
    path, clock = tmp_path / name, ManualClock()
    if not path.suffix:
        path.mkdir()
    file = path if path.suffix else path / "a.vcf"
    file.write_text("namn;telefon\nÅsa;0701740605\n" if path.suffix == ".csv" else card(), "utf-8")
    box = box_on(clock)
    async with connected(live(box, ELKS_CONTACTS=str(path)), box=box, clock=clock) as client:
        assert not (await call(client, "send_sms", to="Åsa", message="Hej")).is_error
        path.rename(tmp_path / "elsewhere")
        clock.advance(timedelta(seconds=1))
        refused = await call(client, "send_sms", to="Åsa", message="Hej igen")
        assert refused.is_error
        assert f"The contacts in {name} cannot be read. No such file" in words(refused)
        assert str(tmp_path) not in words(refused)
        assert not (await call(client, "send_sms", to=PHONE, message="Hej igen")).is_error
        (tmp_path / "elsewhere").rename(path)
        clock.advance(timedelta(seconds=1))
        assert not (await call(client, "send_sms", to="åsa", message="Hej då")).is_error
    assert [each["message"] for each in posted(box)] == ["Hej", "Hej igen", "Hej då"]


async def test_a_server_without_its_contact_file_starts_and_sends_to_numbers(tmp_path: Path) -> None:
    clock = ManualClock()
    box = box_on(clock)
    environ = live(box, ELKS_CONTACTS=str(tmp_path / "none.vcf"))
    async with connected(environ, box=box, clock=clock) as client:
        assert (await call(client, "send_sms", to="Åsa", message="Hej")).is_error
        assert not (await call(client, "send_sms", to=PHONE, message="Hej")).is_error
    assert len(posted(box)) == 1


async def test_unreadable_contacts_that_decide_who_may_be_texted_are_reported_in_every_answer(
    tmp_path: Path,
) -> None:
    file, clock = tmp_path / "people.csv", ManualClock()
    file.write_text("namn;telefon;grupp\nÅsa;0701740605;jour\n", "utf-8")
    box = box_on(clock)
    environ = live(box, ELKS_CONTACTS=str(file), ELKS_ALLOWED_RECIPIENTS=f"@jour,{PHONE}")
    async with connected(environ, box=box, clock=clock) as client:
        file.unlink()
        clock.advance(timedelta(seconds=1))
        for to in ("Åsa", PHONE):
            refused = words(await call(client, "send_sms", to=to, message="Hej"))
            assert "so no text is sent until they can be read. Retrying works once" in refused
            assert "Phone numbers can be used" not in refused
        policy = words(await call(client, "explain_policy"))
        assert "so no text is sent until they can be read." in policy
        assert "Phone numbers can be used" not in policy
    assert posted(box) == []
