"""The documentation site, in a real browser. `make docs` builds it; without it, these tests are skipped."""

import json
import os
import re
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.browser import Browser, browser

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "scripts"))

from error_reference.collecting import collect_texts  # noqa: E402

SITE = ROOT / "dist" / "site"
__all__ = ["browser"]

pytestmark = pytest.mark.lengthy


@pytest.fixture
def site() -> str:
    """Return the address of the site in files, as somebody without a server opens it."""
    if not (SITE / "searchindex.js").is_file():
        if os.environ.get("CI"):
            pytest.fail("dist/site is missing: run `make docs` first")
        pytest.skip("dist/site is missing: `make docs` builds it")
    return SITE.as_uri()


SEARCH = """
(texts) => texts.map((text) => {
  const results = Search._performSearch(...Search._parseQuery(text));
  return results.slice(-3).map(([page, , , description]) => [page, description]);
})
"""
"""The first three results of the site's search for each text: page and description."""


def as_pasted(text: str) -> str:
    """Return a text as a person gets it: with values, and with one wording of several."""
    while (one := re.sub(r"\[([^][]*?)(?: / [^][]*)?\]", r"\1", text)) != text:
        text = one
    return re.sub(r"\{[^{}]*\}", "Blåhaj 4711", text)


def fixed(text: str) -> str:
    """Return the words of a text that are neither values nor one of several wordings."""
    for _ in range(3):
        text = re.sub(r"\{[^{}]*\}|\[[^][]*\]", " ", text)
    return " ".join(re.findall(r"\w+", text))


def test_the_search_finds_each_error_message_with_its_remedy(browser: Browser, site: str) -> None:
    browser.open(f"{site}/search.html?q=opt-out")
    browser.wait_for("typeof Search !== 'undefined' && Search.hasIndex()")
    texts = sorted(
        {" ".join(each.text.split()) for each in collect_texts() if len(fixed(each.text).split()) > 2}
    )
    pasted = [as_pasted(text) for text in texts]
    found: list[list[list[str]]] = browser.evaluate(f"({SEARCH})({json.dumps(pasted)})")
    assert len(texts) > 500
    missed = [
        text
        for text, results in zip(texts, found, strict=True)
        if not any(page == "errors" and fixed(str(shown)).startswith(fixed(text)) for page, shown in results)
    ]
    assert missed == []


NO_COUNTRY = "'701740614' has no country code. It can be read as +46701740614, a number in Sweden."
OVER_BUDGET = (
    "Not sent: Refused by daily_budget: The text would cost 0.52 SEK, and 0.40 SEK is left of the 100.00 SEK "
    "for any 24 hours. The operator can change that with ELKS_BUDGET_PER_DAY."
)
NO_CONTACT = 'Not sent: No contact is called "Åsa". Ask for the number.'
UNREACHABLE = "46elks cannot be reached: its name cannot be looked up."


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        (NO_COUNTRY, "write it with its +"),
        (OVER_BUDGET, "Nothing was sent."),
        (NO_CONTACT, "the name in the contacts"),
        (UNREACHABLE, "the proxy and the firewall"),
    ],
)
def test_a_message_of_an_assistant_is_shown_with_its_remedy(
    browser: Browser, site: str, message: str, remedy: str
) -> None:
    browser.open(f"{site}/search.html?q={quote(message)}")
    browser.wait_for("document.querySelector('ul.search li')")
    assert remedy in browser.evaluate("document.querySelector('ul.search li').textContent")
    address: str = browser.evaluate("document.querySelector('ul.search li a').href")
    browser.open(address)
    assert remedy in browser.evaluate("document.querySelector('.found-messages li').textContent")


@pytest.mark.parametrize(
    "page", ["index", "errors", "settings", "guards", "commands", "sv/index", "command-line"]
)
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_no_page_is_wider_than_the_screen(browser: Browser, site: str, page: str, width: int) -> None:
    browser.open(f"{site}/{page}.html", width=width)
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
