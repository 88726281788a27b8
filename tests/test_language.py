"""The rules of plain English that a machine can hold, over the package and its documents.

Run as a script it prints what it finds, and how much per file: `python tests/test_language.py PATH…`.
"""

import ast
import builtins
import io
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
SCOPE = (
    "src",
    "docs",
    "scripts",
    "tests/support",
    "packaging",
    "deploy",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "CODE_OF_CONDUCT.md",
)
SUFFIXES = {".py", ".md", ".js", ".css", ".html", ".json", ".yaml", ".example", ""}
GENERATED = {"docs/command-line.md", "docs/errors.md", "docs/settings.md", "docs/tools.md"}
"""`make docs` writes these from docstrings in the package, which are checked there."""

ALLOWED: dict[tuple[str, str], str] = {}
"""Findings that are right as they are: path and exact text found, with the reason."""


class Kind(StrEnum):
    """The origin of a passage of English."""

    DOCSTRING = "docstring"
    COMMENT = "comment"
    ERROR = "error"
    TEXT = "text"
    """A string literal of at least three words that is neither a docstring nor an error."""
    MARKDOWN = "markdown"


class Passage(NamedTuple):
    """A piece of English, without code and markup."""

    path: str
    line: int
    kind: Kind
    text: str


class Finding(NamedTuple):
    """One place that breaks a rule."""

    path: str
    line: int
    rule: str
    text: str


# ── reading Python ──


@cache
def own_errors() -> frozenset[str]:
    """Return the names of the error tree."""
    tree = ast.parse((ROOT / "src/elks_mcp/errors.py").read_text("utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.ClassDef))


@cache
def error_names() -> frozenset[str]:
    """Return the callables whose texts are errors or are said like errors, in findings and at a terminal."""
    python = {name for name, value in vars(builtins).items() if isinstance(value, type(OSError))}
    raised = {name for name in python if name.endswith(("Error", "Exception"))}
    click = {"ClickException", "UsageError", "BadParameter"}
    said = {"refuse", "ask", "warn", "_refuse", "_ask", "_warn", "say", "Check"}
    return frozenset(own_errors() | raised | click | said)


def called_name(node: ast.AST) -> str:
    """Return the last part of the name that a call calls, or an empty string."""
    called = node.func if isinstance(node, ast.Call) else None
    return (
        called.attr
        if isinstance(called, ast.Attribute)
        else called.id
        if isinstance(called, ast.Name)
        else ""
    )


def is_finding(node: ast.AST) -> bool:
    """Return whether a node is the pair of effect and reason that a guard returns."""
    return isinstance(node, ast.Tuple) and bool(node.elts) and "Effect." in ast.unparse(node.elts[0])


def literal(node: ast.AST) -> str | None:
    """Return a string literal, with `…` for each value put into it."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        parts = (each.value if isinstance(each, ast.Constant) else "…" for each in node.values)
        return "".join(str(part) for part in parts)
    return None


def read_literals(path: str, tree: ast.AST, *, is_error: bool = False) -> Iterator[Passage]:
    """Read docstrings (of attributes, too), errors, and other literals of three words or more."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Expr) and (text := literal(node.value)) is not None:
            yield Passage(path, node.lineno, Kind.DOCSTRING, text)
        elif (text := literal(node)) is not None:
            if is_error or len(text.split()) >= 3:
                yield Passage(path, getattr(node, "lineno", 0), Kind.ERROR if is_error else Kind.TEXT, text)
        else:
            raises = isinstance(node, ast.Raise) or called_name(node) in error_names() or is_finding(node)
            yield from read_literals(path, node, is_error=is_error or raises)


def read_comments(path: str, source: str) -> Iterator[Passage]:
    """Read comments; those on neighbouring lines are one passage."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    found = [(each.start, each.string) for each in tokens if each.type == tokenize.COMMENT]
    keyed = groupby(enumerate(found), key=lambda item: (item[1][0][0] - item[0], item[1][0][1]))
    for _, group in keyed:
        lines = [item for _, item in group]
        text = "\n".join(string.lstrip("#! ") for _, string in lines)
        if not re.match("noqa|type:|pragma", text):
            yield Passage(path, lines[0][0][0], Kind.COMMENT, text)


def read_python(path: str, source: str) -> list[Passage]:
    """Read all English of a module."""
    return [*read_literals(path, ast.parse(source)), *read_comments(path, source)]


# ── reading Markdown ──


def markdown_lines(source: str) -> Iterator[tuple[int, str, str | None]]:
    """Give each line with its number and the language of the code block it is in, or None outside."""
    fence: str | None = None
    for number, line in enumerate(source.splitlines(), 1):
        if found := re.match(r"\s*(?:```|~~~)(\w*)", line):
            fence = found[1] if fence is None else None
        else:
            yield number, line, fence


def read_markdown(path: str, source: str) -> list[Passage]:
    """Read the paragraphs, list items and rows outside code, each as one passage."""
    passages: list[Passage] = []
    ends = True
    for number, line, fence in markdown_lines(source):
        text = re.sub(r"`[^`]*`", "…", line).strip()
        if fence is not None or not text:
            ends = True
        elif ends or re.match(r"[-*|#>]|\d+\.", text):
            passages.append(Passage(path, number, Kind.MARKDOWN, text))
            ends = text.startswith(("#", "|"))
        else:
            passages[-1] = passages[-1]._replace(text=f"{passages[-1].text}\n{text}")
    return passages


# ── reading other files ──

_QUOTED = r""""(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`"""
_PARTS = {
    ".js": rf"{_QUOTED}|/\*.*?\*/|//[^\n]*",
    ".css": r"/\*.*?\*/",
    ".html": r'>[^<>]+<|(?:title|placeholder|aria-label)="[^"]*"',
    ".json": r'"(?:[^"\\]|\\.)*"',
}
"""The English in a file, as a pattern, by the file's suffix."""
_COMMENTS = r"(?:^[ \t]*#[^\n]*\n)+"
"""The same in a file of any other suffix: its comments."""
_MARKS = re.compile(r"^[ \t]*(?:#|//|/\*+|\*/?)[ \t]?|\*/$|^[\"'`>]|[\"'`<]$|\$\{[^}]*\}", re.MULTILINE)


def read_other(path: str, source: str) -> list[Passage]:
    """Read comments, and strings of three words or more, of a file that is neither Python nor Markdown."""
    passages = []
    for found in re.finditer(_PARTS.get(Path(path).suffix, _COMMENTS), source, re.DOTALL | re.MULTILINE):
        kind = Kind.COMMENT if re.match(r"\s*(?:#|//|/\*)", found[0]) else Kind.TEXT
        if len((text := _MARKS.sub("", found[0].strip())).split()) >= 3:
            passages.append(Passage(path, source[: found.start()].count("\n") + 1, kind, text))
    return passages


# ── rules about a passage ──

WORDS = {
    r"dear(?:er|est|ly)?": "expensive",
    r"mend(?:s|ed|ing)?": "fix, correct",
    r"anew": "again",
    r"shall": "must, will",
    r"but for": "except",
    r"(?:hangs?|hung|hanging) on": "is derived from, depends on",
    r"(?<!all )at once": "immediately, at the same time",
    r"puts? down|putting down": "record, store",
    r"lies? in": "is in",
    r"besides": "also, in addition",
    r"so many": "as many as, the number",
    r"as it were": "(nothing)",
    r"hears?|heard|hearing": "receive, read",
    r"told|tells? us": "receive, notify",
    r"a fault of its own": "unexpected error",
    r"(?<!there )is no(?! (?:longer|more|less|later|earlier|greater|larger|smaller|other)\b)": "is not a",
    r"lets? go": "approve, release",
    r"g(?:ive|ives|ave|iven|iving) up": "stop, expire, abandon",
    r"(?:keep|keeps|kept|keeping) in mind": "record, store",
    r"(?:in|for|out of|is|whose) (?:(?:its|their|the|your) )?turn": "due, in order, one after the other",
    r"(?<!than )46elks (?:takes|took)(?! (?:longer|204))": "accepts, accepted",
}
"""Words that are not used, and those that are used in their place."""

_WORDS = {re.compile(rf"\b(?:{word})\b", re.IGNORECASE): instead for word, instead in WORDS.items()}
_OPENING = re.compile(
    r"(?:^|(?<=[.!?]\s)|(?<=\n\n))[\s*(]*"
    r"((?:Who|Whom|Whose|Whoever|What|Whatever|Of|Where|Wherever|Nobody|Somebody)\b[^.!?]*[.!?]?)"
)
_COMMAND = re.compile(r"\belks-mcp (?:--?)?[a-z][a-z-]*\b")
_NO_COMMANDS = re.compile(
    r"elks-mcp (?:is|has|was|and|or|can|does|needs|itself|cannot|may|must|as|at|in|on|to|for|with)$"
)


def find_words(passage: Passage) -> Iterator[str]:
    """Find words that read as translated."""
    text = re.sub(r"\s+", " ", passage.text)
    for word, instead in _WORDS.items():
        for found in word.finditer(text):
            yield f"{found[0]} (say: {instead})"


def find_openings(passage: Passage) -> Iterator[str]:
    """Find sentences that do not begin with a named actor or thing; questions may."""
    if passage.kind is Kind.TEXT or passage.text.startswith(("#", "|")):
        return
    for found in _OPENING.finditer(re.sub(r"^[-*>] |^\d+\. ", "", passage.text)):
        if not found[1].endswith("?"):
            yield " ".join(found[1].split()[:6])


def find_bare_commands(passage: Passage) -> Iterator[str]:
    """Find commands in errors that a reader could copy together with the words around them."""
    if passage.kind is Kind.ERROR:
        for found in _COMMAND.finditer(re.sub(r"`[^`]*`", "", passage.text)):
            if not _NO_COMMANDS.match(found[0]):
                yield found[0]


PASSAGE_RULES: dict[str, Callable[[Passage], Iterator[str]]] = {
    "word": find_words,
    "opening": find_openings,
    "command without backticks": find_bare_commands,
}


# ── rules about a file ──


def find_long_first_lines(path: str, source: str) -> Iterator[Finding]:
    """Find docstrings whose first line has more than 90 characters."""
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, kinds) and (text := ast.get_docstring(node)):
            first = text.splitlines()[0]
            if len(first) > 90:
                yield Finding(path, getattr(node, "lineno", 1), f"first line of {len(first)}", first)


def find_unfinished_errors(path: str, source: str) -> Iterator[Finding]:
    """Find messages of our errors that are not whole sentences: a capital, and a full stop."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and called_name(node) in own_errors() and node.args:
            message = (literal(node.args[0]) or "").strip()
            if message and (message[0].islower() or message[-1] not in ".?!…"):
                yield Finding(path, node.lineno, "not a whole sentence", message)


def find_wide_lines(path: str, source: str) -> Iterator[Finding]:
    """Find lines of Markdown beyond 120 characters, except in tables, code and links."""
    for number, line, fence in markdown_lines(source):
        if len(line) > 120 and fence is None and not line.lstrip().startswith("|") and "](" not in line:
            yield Finding(path, number, f"line of {len(line)}", line)


def find_prompts(path: str, source: str) -> Iterator[Finding]:
    """Find prompts in blocks that people copy into a shell."""
    for number, line, fence in markdown_lines(source):
        if fence is not None and re.match(r"\s*\$ ", line):
            yield Finding(path, number, "prompt in a code block", line)


def check(path: str, source: str) -> list[Finding]:
    """Find everything in a file that breaks a rule, allowed or not."""
    if path.endswith(".py"):
        passages = read_python(path, source)
        found = [*find_long_first_lines(path, source), *find_unfinished_errors(path, source)]
    elif path.endswith(".md"):
        passages = read_markdown(path, source)
        found = [*find_wide_lines(path, source), *find_prompts(path, source)]
    else:
        passages, found = read_other(path, source), []
    for passage in passages:
        for rule, find in PASSAGE_RULES.items():
            found += (Finding(path, passage.line, rule, text) for text in find(passage))
    return sorted(found)


def list_paths(places: tuple[str, ...] = SCOPE) -> list[str]:
    """List the files to check below some places."""
    files = [
        each
        for place in places
        for each in ((ROOT / place).rglob("*") if (ROOT / place).is_dir() else [ROOT / place])
        if each.is_file()
    ]
    paths = {each.relative_to(ROOT).as_posix() for each in files if each.suffix in SUFFIXES}
    foreign = ("__pycache__", "node_modules")
    return sorted(path for path in paths - GENERATED if not any(each in path for each in foreign))


# ── tests ──


@pytest.mark.parametrize("path", list_paths())
def test_a_file_keeps_the_rules_of_plain_english(path: str) -> None:
    found = check(path, (ROOT / path).read_text("utf-8"))
    assert [
        f"{each.line}: {each.rule}: {each.text}" for each in found if (path, each.text) not in ALLOWED
    ] == []


def test_each_exception_has_a_reason_and_is_still_needed() -> None:
    for (path, text), reason in ALLOWED.items():
        assert reason
        assert text in {each.text for each in check(path, (ROOT / path).read_text("utf-8"))}


MODULE = '''"""Give {docstring}."""

RATE = 95
"""Texts {attribute}."""


def send() -> None:
    # a comment {comment}
    raise Refused(f"{{RATE}} texts. {error}.")  # noqa: X


print("some more words {text}")
'''
FILLED = dict.fromkeys(("docstring", "attribute", "comment", "error", "text"), "a thing")


def rules_broken(path: str, source: str) -> set[str]:
    """Name the rules that a source breaks."""
    return {each.rule for each in check(path, source)}


def test_plain_sentences_break_no_rule() -> None:
    assert rules_broken("a.py", MODULE.format(**FILLED)) == set()
    assert rules_broken("a.md", "# What it does\n\nTexts go out. There is no fee.\n") == set()


@pytest.mark.parametrize("place", FILLED)
@pytest.mark.parametrize("phrase", ["a dear text", "it is\n no number", "it gives up", "in its turn"])
def test_words_are_found_in_each_kind_of_passage(place: str, phrase: str) -> None:
    written = phrase.replace("\n", "") if place in {"comment", "error", "text"} else phrase
    assert rules_broken("a.py", MODULE.format(**FILLED | {place: written})) == {"word"}


@pytest.mark.parametrize(
    "phrase", ["recommended", "all at once", "is no longer valid", "the dearth", "toll", "in turns"]
)
def test_words_that_only_look_alike_are_not_found(phrase: str) -> None:
    assert rules_broken("a.md", f"It is {phrase}.\n") == set()


@pytest.mark.parametrize("place", ["docstring", "attribute", "error"])
@pytest.mark.parametrize(
    "sentence", ["Who calls.", "Of each, one.", "Somebody asks.", "Where it fails, none."]
)
def test_sentences_that_open_without_a_named_thing_are_found(place: str, sentence: str) -> None:
    written = sentence if place == "error" else f"one. {sentence}"
    assert rules_broken("a.py", MODULE.format(**FILLED | {place: written})) == {"opening"}


def test_openings_are_found_in_comments_and_markdown_but_not_in_questions_and_headings() -> None:
    assert rules_broken("a.py", "# What is left\n# is nothing.\n") == {"opening"}
    assert rules_broken("a.md", "Texts go out.\nWhoever reads\nthis, waits.\n") == {"opening"}
    assert rules_broken("a.md", "- Nobody reads it.\n") == {"opening"}
    assert rules_broken("a.md", "## What it is\n\nWhat happens\nthen?\n") == set()


def test_commands_in_errors_stand_in_backticks() -> None:
    for command in ("Run elks-mcp approve A-7F3K.", "Say elks-mcp --help."):
        assert rules_broken("a.py", f"raise Refused('{command}')") == {"command without backticks"}
    assert rules_broken("a.py", "raise Refused('Run `elks-mcp approve A-7F3K`.')") == set()
    assert rules_broken("a.py", "raise Refused('Another elks-mcp is running.')") == set()


@pytest.mark.parametrize("place", ["return Effect.WARN, {}", "say({})", "Check('note', {})"])
def test_findings_and_terminal_output_keep_the_rules_of_errors(place: str) -> None:
    for text, rule in (
        ("Who calls waits.", "opening"),
        ("Run elks-mcp doctor.", "command without backticks"),
    ):
        assert rules_broken("a.py", place.format(repr(text))) == {rule}
    assert rules_broken("a.py", place.format("'Run `elks-mcp doctor`.'")) == set()


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("a.js", "let x = 1; // the {}\n"),
        ("a.js", "show(`${{count}} texts are {}`);"),
        ("a.css", "/* the {} */"),
        ("a.html", "<p>Two texts,\n{}</p>"),
        ("a.html", '<input title="Texts are {}">'),
        ("a.json", '{{"description": "Texts are {}."}}'),
        ("a.yaml", "a: 1\n# the texts\n# are {}\n"),
    ],
)
def test_comments_and_strings_of_other_files_are_read(path: str, source: str) -> None:
    assert rules_broken(path, source.format("sent at once")) == {"word"}
    assert rules_broken(path, source.format("sent immediately")) == set()


def test_errors_are_whole_sentences() -> None:
    for message in ("no capital.", "No full stop"):
        assert rules_broken("a.py", f"raise Refused('{message}')") == {"not a whole sentence"}
    assert rules_broken("a.py", "raise Refused(f'{count} texts are too much.')") == set()
    assert rules_broken("a.py", "raise ValueError('for a developer')") == set()


def test_code_in_markdown_is_only_searched_for_prompts() -> None:
    assert rules_broken("a.md", "Use `at once`.\n\n```python\nmend(anew)\n```\n") == set()
    assert rules_broken("a.md", "```sh\n$ make test\n```\n") == {"prompt in a code block"}


def test_long_lines_are_found() -> None:
    assert rules_broken("a.py", f'def send() -> None:\n    """Send {"x" * 86}."""\n') == {"first line of 92"}
    assert rules_broken("a.py", f'RATE = 1\n"""Texts {"x" * 86}."""\n') == set()
    assert rules_broken("a.md", f"{'x' * 121}\n") == {"line of 121"}
    assert rules_broken("a.md", f"| {'x' * 121} |\n\n[{'x' * 99}]({'y' * 99})\n") == set()


def main(places: tuple[str, ...]) -> None:
    """Print all findings below some places, and how much there is in each file."""
    relative = tuple(Path(place).resolve().relative_to(ROOT).as_posix() for place in places)
    found = [
        each
        for path in list_paths(relative or SCOPE)
        for each in check(path, (ROOT / path).read_text("utf-8"))
    ]
    left = [each for each in found if (each.path, each.text) not in ALLOWED]
    for each in left:
        print(f"{each.path}:{each.line}: {each.rule}: {each.text}")  # noqa: T201
    for path, count in Counter(each.path for each in left).most_common():
        print(f"{count:5} {path}")  # noqa: T201
    print(f"{len(left):5} in all")  # noqa: T201


if __name__ == "__main__":
    main(tuple(sys.argv[1:]))
