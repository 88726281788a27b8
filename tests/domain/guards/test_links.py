"""Addresses in texts: all top-level domains and schemes, and things that only look like one."""

import time

import pytest

from elks_mcp.domain.guards.links import holds_link
from elks_mcp.domain.guards.top_level_domains import TOP_LEVEL_DOMAINS
from elks_mcp.sandbox import Sandbox
from tests.support.connecting import call, connected, findings, live, new_box
from tests.tables.abuse import HOME
from tests.tables.texts import ORDINARY, PHISHING

FRAUD = ["ltd", "lat", "homes", "beauty", "hair", "mom", "date", "download", "sale", "market", "delivery"]
ADDRESSES = [
    *(f"Betala 19 kr: example.{ending}" for ending in FRAUD),
    *(f"Betala 19 kr: Example.{ending.title()} idag" for ending in FRAUD),
    "Öppna swish://payment?data=x",
    "Öppna bankid://",
    "Öppna bankid:///?autostarttoken=x",
    "Öppna myapp+v2://x",
    "Öppna swish : // x",
    "Öppna intent:#Intent;action=x;end",
    "Öppna market:details?id=x",
    "Gå till 192.0.2.1/x",
    "Gå till 192.0.2.1/1/",
    "Gå till 192.0.2.1:8080",
    "Gå till räksmörgås.ltd",
    "Gå till उदाहरण.भारत",
    "Gå till example.сом",  # in Cyrillic letters
    "Logga in på Example.Help nu",
    "Logga in på ny-kod.Support nu",
    "Gå till app.py/x",
    "Gå till example.md",
    "Gå till example.vi",
]
NO_ADDRESSES = [
    "Tack.Vi ses",
    "Tack.vi ses",
    "TACK.VI SES",
    "12.30.Om du kan",
    "12.30.om du kan",
    "11.30.Se till att",
    "Kör app.py",
    "app.py:12 kraschar",
    "Can you read app.py?It fails",
    "Läs README.md först",
    "backup.sh hänger sig",
    "Thanks.Call me",
    "Tack.Med vänlig hälsning",
    "Nätet 10.0.0.0/16 är nere",
    "HTTP: 503 sedan 14.02",
    "SMS:a mig",
    "Tel:08-500 12 345",
    "Tel.nr saknas",
    "Väger 12.kg",
    "En .NET-utvecklare",
    "Öppet kl.tis/ons",
    "Tack.Anna/Bo",
]


@pytest.fixture
def box() -> Sandbox:
    """A 46elks to text through."""
    return new_box()


async def with_link(box: Sandbox, texts: list[str]) -> list[str]:
    """Return the texts in which the guard `link` finds an address, asked through an MCP client."""
    async with connected(live(box), box=box) as client:
        answers = [(text, await call(client, "estimate_sms_cost", to=HOME, message=text)) for text in texts]
    return [text for text, answer in answers if "link" in findings(answer)]


@pytest.mark.anyio
async def test_addresses_with_any_ending_or_scheme_are_found(box: Sandbox) -> None:
    assert await with_link(box, ADDRESSES) == ADDRESSES


@pytest.mark.anyio
async def test_ends_of_sentences_units_and_file_names_are_no_addresses(box: Sandbox) -> None:
    assert await with_link(box, NO_ADDRESSES) == []


@pytest.mark.anyio
async def test_at_most_1_percent_of_500_ordinary_texts_need_a_question(box: Sandbox) -> None:
    assert len(set(ORDINARY)) == len(ORDINARY) >= 500
    assert len(await with_link(box, ORDINARY)) * 100 <= len(ORDINARY)


@pytest.mark.anyio
async def test_at_least_99_percent_of_200_phishing_texts_need_a_question(box: Sandbox) -> None:
    assert len(set(PHISHING)) == len(PHISHING) >= 200
    assert len(await with_link(box, PHISHING)) * 100 >= len(PHISHING) * 99


def test_every_top_level_domain_makes_an_address_except_file_endings() -> None:
    assert len(TOP_LEVEL_DOMAINS) > 1_400
    assert [name for name in TOP_LEVEL_DOMAINS if not holds_link(f"Betala på example.{name}")] == ["py"]
    assert [name for name in TOP_LEVEL_DOMAINS if not holds_link(f"Betala på example.{name}/x")] == []


HOSTILE = [
    *(
        "a.",
        "a.a",
        "h ",
        "http",
        "1.",
        "a ",
        "1.1.1.1",
        "a.vi ",
        "ok.Help ",
        "a. ",
        "a [ . ",
        "a (dot ",
        "a .",
        "t: /",
    ),
    *("xn-", "www", "sms:1", "к.к", "a_", "a.py ", "कॉ.", "kl 1.Om "),
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_searching_for_addresses_takes_linear_time(piece: str) -> None:
    """Four times the text takes four times as long, not sixteen; clocks tick every 16 ms at worst."""
    attempts = ((seconds(piece * 3_000), seconds(piece * 12_000)) for _ in range(3))  # a machine may be busy
    assert any(long < 10 * short + 0.1 for short, long in attempts)


def seconds(text: str) -> float:
    """Return the processor time for searching a text, in seconds."""
    began = time.thread_time()
    assert not holds_link(f"{text} ok")
    return time.thread_time() - began
