"""The question about a batch: complete, short, and not to be mistaken for its texts."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elks_mcp.domain.batch_questions import (
    BATCH_COLUMNS,
    NIGHT_WAITS,
    Timing,
    find_costly_rows,
    find_timing,
    format_rows,
    write_batch_question,
)
from elks_mcp.domain.batches import BatchPlan, BatchRow, LeftOut
from elks_mcp.domain.contacts import Contacts
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Effect, Finding
from elks_mcp.domain.phone import Number, SenderId

NOON = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)
GAP = timedelta(seconds=1)
PHONE_COLUMNS = 40
MANY = Finding(guard="many", effect=Effect.ASK, reason="It is a batch of 12 texts.")


def a_plan(*texts: str, **more: object) -> BatchPlan:
    """Return a plan with these texts, each to another number."""
    rows = tuple(
        BatchRow(
            row=at + 2, to=Number(f"+467017406{at + 10:02}"), text=text, parts=1, price=Money(5200, "SEK")
        )
        for at, text in enumerate(texts)
    )
    fields = {"id": "B-22222222", "caller": "", "name": "", "sender": SenderId("Klara"), "planned_at": NOON}
    return BatchPlan.model_validate({**fields, "rows": rows, **more})


def question(plan: BatchPlan, columns: int | None = None) -> str:
    """Return the question about a plan."""
    return write_batch_question(plan, (MANY,), Contacts(), timedelta(seconds=7), UTC, columns)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([7], "row 7"),
        ([2, 3, 4, 9], "rows 2–4, 9"),
        ([1, 3, 5, 7, 9, 11, 13], "rows 1, 3, 5, 7, 9, 11, … (7 rows)"),
    ],
)
def test_rows_are_named_in_short(rows: list[int], words: str) -> None:
    assert format_rows(rows) == words


def test_all_rows_together_are_called_all_rows() -> None:
    assert format_rows([2, 3, 5], all_rows=3) == "all rows"


def test_p2_a_different_text_recipient_sender_time_or_price_is_a_different_question() -> None:
    plan = a_plan(*["Hej!"] * 30)
    row = plan.rows[20]
    others = [
        row.model_copy(update={"text": "Hej?"}),
        row.model_copy(update={"to": Number("+46701740699")}),
        row.model_copy(update={"price": Money(5201, "SEK")}),
    ]
    changed = [plan.model_copy(update={"rows": (*plan.rows[:20], each, *plan.rows[21:])}) for each in others]
    changed.append(plan.model_copy(update={"sender": SenderId("Klarna")}))
    changed.append(plan.model_copy(update={"send_at": NOON + timedelta(hours=2)}))
    assert len({question(each) for each in [plan, *changed]}) == len(changed) + 1


@given(st.lists(st.text(max_size=300), min_size=1, max_size=5))
def test_p2_no_row_of_a_text_can_pass_for_ours(texts: list[str]) -> None:
    lines = question(a_plan(*texts)).split("\n")
    assert lines[2].startswith(("| ", "("))
    begin = next(at for at, line in enumerate(lines) if "of the texts, the longest last" in line)
    end = next(at for at, line in enumerate(lines) if line.startswith("End of the texts."))
    for line in lines[begin + 1 : end]:
        assert line.startswith(("| ", "Row ", "(")), line
        assert line.isprintable()


def test_p2_the_first_three_lines_of_a_form_have_size_sender_price_time_and_the_beginning_of_a_text() -> None:
    """Claude Code (2.1.332) shows a question of more than four lines only to its third."""
    plan = a_plan("Hej Åsa! Din tid är i morgon.\nVälkommen!", "Hej!", name="Påminnelse")
    assert question(plan).split("\n")[:3] == [
        "Send 2 texts to 2 recipients from Klara for 1.04 SEK?",
        "Now (at night: 08:00). Row 2 begins, behind a bar on each line:",
        "| Hej Åsa! Din tid är i morgon.",
    ]
    later = plan.model_copy(update={"send_at": NOON + timedelta(hours=2)})
    assert (
        question(later).split("\n")[1].startswith("Monday 2026-11-23 14:00 +01:00 (Europe/Stockholm). Row 2")
    )


def a_long_plan() -> BatchPlan:
    """Return a plan of 100 rows to 80 people, with three rows left out."""
    text = "Hej {}! Vi påminner om din tid i morgon kl. 9:30. Svara STOPP för att slippa påminnelser."
    short = a_plan(*[text.format(f"kund {at}") for at in range(80)])
    repeated = [row.model_copy(update={"row": row.row + 80}) for row in short.rows[:20]]
    left_out = [
        LeftOut(row=row, to=None, reason=reason)
        for row, reason in ((102, "No usable number."), (103, "No usable number."), (104, "It is opted out."))
    ]
    changes = {"rows": (*short.rows, *repeated), "left_out": tuple(left_out), "name": "Påminnelse"}
    return short.model_copy(update=changes)


def test_one_question_about_100_texts_has_all_that_a_person_needs() -> None:
    shown = question(a_long_plan()).split("\n")
    assert shown[:14] == [
        "Send 100 texts to 80 recipients from Klara for 52.00 SEK?",
        "Now (at night: 08:00). Row 2 begins, behind a bar on each line:",
        "| Hej kund 0! Vi påminner om din tid i ",
        "Name: Påminnelse.",
        "Cost: 52.00 SEK, 100 parts.",
        f"When: now, the last about 7 seconds later; {NIGHT_WAITS}",
        "To: +46701740610, +46701740611, +46701740612, +46701740613, +46701740614 and 75 more.",
        "Left out: 3 rows.",
        "- No usable number. (rows 102–103)",
        "- It is opted out. (row 104)",
        "You are asked because of: many.",
        "- It is a batch of 12 texts.",
        "4 of the texts, the longest last, behind a bar on each line:",
        "Row 2, to +46701740610, 1 part:",
    ]
    assert [line for line in shown[14:] if line.startswith("Row ")] == [
        "Row 51, to +46701740659, 1 part:",
        "Row 101, to +46701740629, 1 part:",
        "Row 12, to +46701740620, 1 part:",
    ]
    assert shown[-2] == "End of the texts. It is 100 texts to 80 recipients for 52.00 SEK, 100 parts."


def test_the_question_about_100_texts_fits_a_phone() -> None:
    """A form breaks our lines at spaces. A text that it broke would go on without its bar."""
    for line in question(a_long_plan()).split("\n"):
        assert max(map(len, line.split(" "))) <= PHONE_COLUMNS
        assert not line.startswith("|") or len(line) <= PHONE_COLUMNS
    in_a_terminal = question(a_long_plan(), PHONE_COLUMNS).split("\n")
    assert max(map(len, in_a_terminal)) <= PHONE_COLUMNS
    assert len(in_a_terminal) <= 40


def test_rows_are_as_wide_as_the_terminal() -> None:
    left_out = (LeftOut(row=9, to=None, reason="The field namn is empty and has no default, sadly."),)
    shown = question(a_plan("Hej! " * 30, "Hej då!", left_out=left_out), 40)
    assert max(map(len, shown.split("\n"))) <= 40 + 12  # a row's heading is not broken


def test_a_forms_texts_fit_a_phone() -> None:
    shown = question(a_plan("Hej " * 200))
    assert max(len(line) for line in shown.split("\n") if line.startswith("| ")) <= BATCH_COLUMNS


def test_expensive_characters_are_named_with_their_rows() -> None:
    plan = a_plan("Hej!", "Hej 🙂!", "Hej " * 30 + "”Bo”")
    rows = (*plan.rows[:2], plan.rows[2].model_copy(update={"parts": 2}))
    costly = find_costly_rows(plan.model_copy(update={"rows": rows}))
    assert (costly.rows, costly.characters, costly.parts) == ((3, 4), ("🙂", "”"), 1)


def test_at_night_the_texts_wait_for_the_morning_of_their_recipients() -> None:
    evening = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)
    timing = find_timing(a_plan("Hej!", "Hej!"), evening, GAP)
    assert timing.deferred == 2
    assert timing.last_at == datetime(2026, 11, 24, 7, 0, 1, tzinfo=UTC)
    without_the_guard = a_plan("Hej!", "Hej!").model_copy(update={"at_night": True})
    assert find_timing(without_the_guard, evening, GAP) == Timing(evening + GAP, 0)
    assert "08:00" not in question(without_the_guard)
    at_noon = find_timing(a_plan("Hej!", "Hej!"), NOON, GAP)
    assert (at_noon.deferred, at_noon.last_at) == (0, NOON + GAP)


def test_an_explicit_send_time_at_night_is_kept() -> None:
    night = datetime(2026, 11, 23, 23, 0, tzinfo=UTC)
    assert find_timing(a_plan("Hej!", send_at=night), NOON, GAP).last_at == night
