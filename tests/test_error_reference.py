"""Every error text of the package is on the page of errors, with what to do about it."""

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from elks_mcp.domain.guards import GUARD_NAMES
from tests.test_language import called_name, is_finding, literal

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "elks_mcp"
sys.path.append(str(ROOT / "scripts"))

from error_reference.collecting import ErrorText, collect_texts  # noqa: E402
from error_reference.page import CLASSES, advises, write_code, write_prose  # noqa: E402
from error_reference.topics import REMEDIES, TOPICS, find_own_remedy, find_topic  # noqa: E402

PAGE = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
SAID = {"Check", "MCPError", "build_error_response", "refuse"}
"""Other calls whose texts say what is wrong."""
OF_CLICK = {"BadParameter", "ClickException", "UsageError"}
NOT_FOR_USERS = {"MessageTaken", "_DemoFailed"}
"""A signal inside the store, and the demo's check of itself."""


@cache
def modules() -> dict[str, ast.Module]:
    """Read the modules of the package, without migrations."""
    files = [file for file in sorted(PACKAGE.rglob("*.py")) if "versions" not in file.parts]
    return {file.relative_to(PACKAGE).as_posix(): ast.parse(file.read_text("utf-8")) for file in files}


@cache
def error_classes() -> frozenset[str]:
    """Name the classes of the package that end in an exception, by their bases."""
    found = {"Exception", "ValueError", "RuntimeError"} | OF_CLICK
    classes = [
        each for tree in modules().values() for each in ast.walk(tree) if isinstance(each, ast.ClassDef)
    ]
    for _ in range(4):
        found |= {
            each.name for each in classes if found & {ast.unparse(base).split(".")[-1] for base in each.bases}
        }
    return frozenset(found - {"Exception", "ValueError", "RuntimeError"} - NOT_FOR_USERS)


def pieces(node: ast.AST) -> Iterator[str]:
    """List the pieces of three words or more in the texts of an expression."""
    for each in ast.walk(node):
        if isinstance(each, ast.keyword) and each.arg not in {None, "hint"}:
            continue
        if (text := literal(each)) is not None:
            yield from (" ".join(piece.split()) for piece in text.split("…") if len(piece.split()) >= 3)


def said_texts() -> Iterator[tuple[str, str]]:
    """List the pieces of all error texts, each with its module, as they are in the source."""
    for module, tree in modules().items():
        for node in ast.walk(tree):
            name = called_name(node)
            if is_finding(node) or name in error_classes() | SAID:
                if name == "Check" and isinstance(node, ast.Call) and not says_wrong(node.args[0]):
                    continue
                yield from ((module, piece) for piece in pieces(node))


def says_wrong(mark: ast.AST) -> bool:
    """Return whether a line of doctor has a mark other than `ok`."""
    return any(isinstance(each, ast.Constant) and each.value != "ok" for each in ast.walk(mark))


def unmarked(text: str) -> str:
    """Return a text without marks of Markdown."""
    return " ".join(re.sub(r"[`\\*]", "", text).split())


def test_each_error_text_in_the_source_is_on_the_page() -> None:
    texts = {(module, unmarked(piece).strip("[](){}/ ")) for module, piece in said_texts()}
    assert len(texts) > 700
    page = unmarked(PAGE)
    assert [each for each in sorted(texts) if each[1] not in page and each[1] not in EFFECTS] == []


EFFECTS = {"The alert goes on."}
"""The effects of a decline, each after one of its texts."""


def test_each_text_of_our_errors_says_what_to_do() -> None:
    silent = [each.text for each in collect_texts() if each.kind in CLASSES and is_silent(each)]
    explained = re.compile(r"\{(reason|mistakes|explain mistakes)\}|\{examples\}")
    assert [text for text in silent if not explained.search(text)] == []
    assert len(silent) < 15


def is_silent(text: ErrorText) -> bool:
    """Return whether neither a text nor remedies.toml says what to do about it."""
    return not advises(text) and not find_own_remedy(text.text)


def test_no_entry_of_the_page_is_without_advice() -> None:
    entries = re.findall(r"^- \*\*`+ ?(.+?) ?`+\*\*(.*)$", PAGE, re.MULTILINE)
    assert len(entries) > 500
    said = {" ".join(each.text.split()) for each in collect_texts() if advises(each)}
    assert [text for text, remedy in entries if not remedy.strip() and text not in said] == []


@pytest.mark.parametrize("code", sorted(each.code for each in CLASSES.values()))
def test_each_code_has_a_heading(code: str) -> None:
    assert f"\n### `{code}`\n" in PAGE


@pytest.mark.parametrize("guard", GUARD_NAMES)
def test_each_guard_has_a_heading_and_a_text(guard: str) -> None:
    assert re.search(rf"^### `{guard}`\n\n- \*\*`", PAGE, re.MULTILINE)


def test_each_guard_that_stops_a_text_says_what_to_do_about_its_own_reason() -> None:
    guards, remedies = TOPICS[0], dict(TOPICS[0].remedies)
    assert guards.title == "Guards"
    assert guards.remedy.strip() not in PAGE
    assert remedies.keys() <= set(GUARD_NAMES)
    assert len(set(remedies.values())) == len(remedies)


@pytest.mark.parametrize(
    "entry",
    [
        "- **`The message has {number} characters; 5000 is the most.`** Shorten it,",
        "- **`46elks cannot be reached: [no connection could be made / ",
        "- **`{file} cannot be written: {reason}.`** Name another file.",
        "- **`{number} is not in any country's numbering plan. Check the digits.`** Nothing was sent.",
        "A person can list them: `elks-mcp pending`.",
        "runs `elks-mcp opt-outs remove NUMBER",
        "[other processes kept it busy too long / the disk is full / ",
        "newer version of elks-mcp.`** Update elks-mcp, or restore the backup that was made before",
    ],
)
def test_values_are_named_and_constants_and_commands_are_written_out(entry: str) -> None:
    assert entry in PAGE


def test_each_remedy_is_for_a_text_of_the_package() -> None:
    texts = collect_texts()
    starts = [start for remedy in REMEDIES for start in remedy.texts]
    assert len(starts) == len(set(starts)) > 150
    assert [start for start in starts if not any(each.text.startswith(start) for each in texts)] == []
    places = [place for remedy in REMEDIES for place in remedy.places]
    named = {each.kind for each in texts}
    assert [
        place
        for place in places
        if place not in named and not any(each.module.startswith(place) for each in texts)
    ] == []


def test_a_module_without_a_topic_is_an_error() -> None:
    assert find_topic("domain/guards/links.py", "link").title == "Guards"
    assert find_topic("cli/doctor_cap.py", "doctor").title == "Lines of doctor"
    with pytest.raises(LookupError, match=r"new/module\.py"):
        find_topic("new/module.py", "InvalidInput")
    assert len({topic.title for topic in TOPICS}) == len(TOPICS)


def test_prose_shows_values_and_variables_as_code_and_escapes_what_markdown_reads() -> None:
    assert (
        write_prose("Set ELKS_TTS_COMMAND=espeak-ng, or {name}.")
        == "Set `ELKS_TTS_COMMAND=espeak-ng`, or `{name}`."
    )
    assert write_prose("Run `elks-mcp [x]` <now> [a].") == "Run `elks-mcp [x]` \\<now> \\[a\\]."
    assert write_code("a `b`  c") == "`` a `b` c ``"


def test_only_a_hint_or_an_instruction_counts_as_advice() -> None:
    assert not advises(ErrorText("", "UnusableAudio", "it is a damaged OGG file"))
    assert not advises(ErrorText("", "NotFound", "No order has that id."))
    assert advises(ErrorText("", "NotFound", "No order has that id.", "Check the id."))
    assert advises(ErrorText("", "InvalidInput", "That is not an id.", "It is a c and 32 digits."))
    assert advises(ErrorText("", "NoAnswer", "46elks did not answer."))
