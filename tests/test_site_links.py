"""The check of the built documentation site finds links without a target, and requests to other hosts."""

import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"
sys.path.append(str(SCRIPTS))

from site_links import list_external_links, list_faults  # noqa: E402

GOOD = """<!doctype html><link rel="stylesheet" href="_static/site.css">
<script src="_static/site.js?v=1"></script>
<a href="#here">here</a> <a href="other.html#there">there</a> <a href="https://46elks.com">46elks</a>
<a href="http://127.0.0.1:4646">the phones</a> <a href="mailto:a@example.com">mail</a>
<h1 id="here">Here</h1><img src="image.png" srcset="image.png 2x"> {}"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Write a site of two pages without a fault."""
    (tmp_path / "_static").mkdir()
    (tmp_path / "image.png").touch()
    (tmp_path / "other.html").write_text('<a name="there"></a>', encoding="utf-8")
    (tmp_path / "_static" / "site.css").write_text("a { background: url('here.png') }", encoding="utf-8")
    script = "svg('http://www.w3.org/2000/svg'); // see https://example.com/why"
    (tmp_path / "_static" / "site.js").write_text(script, encoding="utf-8")
    write(tmp_path, "")
    return tmp_path


def write(site: Path, more: str) -> None:
    """Write the first page, with some more HTML in it."""
    (site / "index.html").write_text(GOOD.format(more), encoding="utf-8")


def test_a_site_whose_links_have_targets_has_no_fault(site: Path) -> None:
    assert list(list_faults(site)) == []
    assert list_external_links(site) == {"https://46elks.com", "http://127.0.0.1:4646"}


@pytest.mark.parametrize(
    "html",
    [
        '<a href="missing.html">a page</a>',
        '<a href="#missing">an anchor</a>',
        '<a href="other.html#here">an anchor of another page</a>',
        '<a href="_static">a folder</a>',
        '<a href="http://46elks.com">without https</a>',
        '<a href="ftp://46elks.com/a">another scheme</a>',
        '<img src="missing.png">',
        '<img src="https://example.com/a.png">',
        '<img src="image.png" srcset="image.png 1x, https://example.com/a.png 2x">',
        '<script src="https://example.com/a.js"></script>',
        '<script src="//example.com/a.js"></script>',
        '<link rel="stylesheet" href="https://example.com/a.css">',
        '<form action="https://example.com/search"></form>',
        '<p style="background: url(https://example.com/a.png)"></p>',
    ],
)
def test_each_kind_of_wrong_link_is_found_with_its_page(site: Path, html: str) -> None:
    write(site, html)
    assert {fault.page for fault in list_faults(site)} == {"index.html"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("site.css", "@import 'https://example.com/a.css';"),
        ("site.css", "@font-face { src: url(//example.com/a.woff2) }"),
        ("site.js", "fetch('https://example.com/a.json')"),
        ("site.js", 'load("//cdn.example.com/a.js")'),
    ],
)
def test_requests_of_styles_and_scripts_to_other_hosts_are_found(site: Path, name: str, text: str) -> None:
    (site / "_static" / name).write_text(text, encoding="utf-8")
    assert [fault.page for fault in list_faults(site)] == [f"_static/{name}"]
