"""The question that a person is asked."""

import re

import pytest

from elks_mcp.sandbox import Sandbox
from tests.support.approval_cases import DRY
from tests.support.connecting import (
    EITHER_ERA,
    PHONE,
    Era,
    Person,
    call,
    connected,
    live,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("era", EITHER_ERA)
async def test_the_question_shows_the_text_in_full_and_that_something_in_it_is_invisible(
    box: Sandbox, era: Era
) -> None:
    person = Person("decline")
    text = "Hej\u202e" + "å" * 300
    async with connected(live(box, **DRY), box=box, way=era, person=person) as client:
        await call(client, "send_sms", to=PHONE, message=text, sender="Klara", flashsms="yes", dryRun=False)
    assert "\n| Hej\\u202e" + "å" * 60 in person.questions[0]
    assert person.questions[0].count("å") == 300
    assert "it contains invisible characters" in person.questions[0]
    assert "from Klara?" in person.questions[0]
    assert "Shown as a flash message." in person.questions[0]


@pytest.mark.parametrize("era", EITHER_ERA)
async def test_a_text_cannot_pass_for_our_own_words_in_the_question(box: Sandbox, era: Era) -> None:
    person = Person("decline")
    forged = (
        "Hej\n\n1 part, 0.00 SEK.\r- Nothing is sent.\u2028You are asked because of: a test.\nApproval A-AA."
    )
    async with connected(live(box, **DRY), box=box, way=era, person=person) as client:
        await call(client, "send_sms", to=PHONE, message=forged, dryRun=False)
    assert [line for line in person.questions[0].splitlines() if "0.00" in line] == ["| 1 part, 0.00 SEK."]
    assert text_rows(person.questions[0]) == [
        "| Hej",
        "| ",
        "| 1 part, 0.00 SEK.",
        "| - Nothing is sent.",
        "| You are asked because of: a test.",
        "| Approval A-AA.",
    ]


def text_rows(question: str) -> list[str]:
    """Return the rows between what we say before the text and what we say after it."""
    _, _, after = question.partition("The text, behind a bar on each line")
    rows, _, _ = after.partition("\nEnd of the text")
    return rows.split("\n")[1:]


@pytest.mark.parametrize("era", EITHER_ERA)
async def test_every_row_of_a_long_text_has_a_bar_so_that_none_can_pass_for_ours_p2(
    box: Sandbox, era: Era
) -> None:
    """P2. A form breaks long lines by itself, and a row that it makes has no bar."""
    person = Person("decline")
    forged = f"{'Hej! '.ljust(70)}Send this text to +46700000000 (Sweden) from Klara?".ljust(142) + "界" * 80
    async with connected(live(box, **DRY), box=box, way=era, person=person) as client:
        await call(client, "send_sms", to=PHONE, message=forged, dryRun=False)
    rows = text_rows(person.questions[0])
    assert len(rows) >= 5
    assert all(row.startswith("| ") and len(row) + row.count("界") <= 72 for row in rows)
    assert "".join(row[2:] for row in rows) == forged


@pytest.mark.parametrize("era", EITHER_ERA)
async def test_line_feeds_do_not_move_recipient_and_price_off_the_form_p2(box: Sandbox, era: Era) -> None:
    """P2. What a person agrees to stands next to where they agree."""
    person = Person("decline")
    async with connected(live(box, **DRY), box=box, way=era, person=person) as client:
        await call(client, "send_sms", to=PHONE, message="Hej" + "\n" * 299 + "då", dryRun=False)
    (question,) = person.questions
    assert text_rows(question) == ["| Hej", "(298 empty lines)", "| då"]
    assert "\nEnd of the text: 300 lines, 304 characters. Approval A-" in question
    assert question.endswith(f"\nIt goes to {PHONE} (Sweden) for 2 parts, 1.04 SEK.")


@pytest.mark.parametrize("era", EITHER_ERA)
async def test_a_form_that_shows_three_lines_has_recipient_price_and_text_in_them_p2(
    box: Sandbox, era: Era
) -> None:
    """P2. Claude Code (2.1.332) shows a question of more than four lines only to its third."""
    person = Person("decline")
    async with connected(live(box, **DRY), box=box, way=era, person=person) as client:
        await call(client, "send_sms", to=PHONE, message="Hej på dig", dryRun=False)
    assert person.questions[0].splitlines()[:3] == [
        f"Send this text to {PHONE} (Sweden) from {box.number}?",
        "1 part, 0.52 SEK. The text, behind a bar on each line:",
        "| Hej på dig",
    ]


async def test_the_form_is_the_same_for_the_same_order_whatever_terminal_the_server_has_p2(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P2. The newer protocol asks again in each round, and another server may put the question then."""
    questions = []
    for columns in ("20", "200"):
        monkeypatch.setenv("COLUMNS", columns)
        person = Person("decline")
        async with connected(live(box, **DRY), box=box, person=person) as client:
            await call(client, "send_sms", to=PHONE, message="Hej på dig! " * 20, dryRun=False)
        questions += [re.sub("A-[0-9A-Z]{4}", "A-…", each) for each in person.questions]
    assert len(questions) == 2
    assert questions[0] == questions[1]


@pytest.mark.parametrize("era", EITHER_ERA)
async def test_in_the_sandbox_the_question_says_that_the_phone_is_simulated(era: Era) -> None:
    person = Person("decline")
    async with connected({"ELKS_SANDBOX": "true", "DRY_RUN": "true"}, way=era, person=person) as client:
        await call(client, "send_sms", to=PHONE, message="Hej", dryRun=False)
    assert "go to a simulated phone" in person.questions[0]
