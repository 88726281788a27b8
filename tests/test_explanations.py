"""The explanations for readers who do not read code: their figures and files are those of the code."""

import re
from datetime import timedelta

import pytest

from elks_mcp.domain.approval import APPROVAL_TIMEOUT
from elks_mcp.domain.orders import ORDER_LATENESS
from elks_mcp.domain.taint import TAINT_LASTS
from elks_mcp.sending.plan import ANSWER_WITHIN
from elks_mcp.settings import Settings
from elks_mcp.store import cleanup, doubts
from elks_mcp.store.prior import REPEATED_WITHIN
from tests.support.documents import DOCS, read_page

HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)
PACKAGE = DOCS.parent / "src" / "elks_mcp"


@pytest.mark.parametrize(
    ("page", "words", "said", "constant"),
    [
        ("never-twice", "within 15 minutes is the same order", 15 * MINUTE, REPEATED_WITHIN),
        ("never-twice", "cut off after 10 seconds", 10, Settings().timeout),
        ("never-twice", "quiet period* of two minutes", 120, Settings().quiet_period),
        ("never-twice", "no result within an hour", HOUR, doubts.LONGEST),
        ("never-twice", "stay queued for up to an hour", HOUR, ORDER_LATENESS),
        ("privacy", "recipient, sender, price, times | 90 days", 90 * DAY, cleanup.ROWS_KEPT),
        ("privacy", "7 days, if the outcome is unknown", 7 * DAY, cleanup.UNKNOWN_TEXT_KEPT),
        ("ask-and-wait", "For 30 minutes after the assistant has read one", 30 * MINUTE, TAINT_LASTS),
        ("approval", "It is valid for five minutes", 5 * MINUTE, ANSWER_WITHIN),
        ("approval", "The text waits for 30 minutes", 30 * MINUTE, APPROVAL_TIMEOUT),
        ("costs", "5 texts in 10 minutes, 20 in 24 hours", 5, Settings().max_per_number),
    ],
)
def test_the_figures_for_readers_are_those_of_the_code(
    page: str, words: str, said: object, constant: object
) -> None:
    assert words in " ".join(read_page(page).split())
    assert said == constant


def test_the_files_that_the_architecture_names_exist() -> None:
    page = read_page("architecture")
    named = set(re.findall(r"`([a-z_]+(?:/[a-z_]+)*(?:\.py|/))`", page))
    assert len(named) > 30
    assert [each for each in named if not any((at / each).exists() for at in (PACKAGE, DOCS.parent))] == []


def test_the_comparison_is_dated_and_names_the_version_of_each_source() -> None:
    page = read_page("comparison")
    assert re.search(r"\*\*20\d\d-\d\d-\d\d\*\*", page)
    sources = re.findall(
        r"^\| \[\w+\]\(https://github\.com/[^)]+\) \| `[0-9a-f]{7}`, 20\d\d-\d\d-\d\d \|", page, re.MULTILINE
    )
    assert len(sources) == 6
    assert set(re.findall(r"46elks-mcp-server/(?:blob|tree)/([0-9a-f]+)", page)) == {
        "8abe09342938d04d2bbf79534619984054cb4d64"
    }
