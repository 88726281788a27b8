"""The commands of a document, typed at a terminal as a reader does, and compared with it."""

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

from click.testing import Result

from tests.support.process import invoke
from tests.support.terminal import Terminal, at_terminal

DOCS = Path(__file__).parents[2] / "docs"

_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_ID = re.compile(r"\b(?:[AOB]-[A-Z0-9]{4,8}|c-\d+)\b")
"""The names that the server makes up: of an approval, an order, a batch, a cursor."""

_CHANGING = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(?: [+-]\d\d:\d\d)?(?: \([\w/]+\))?|digest [0-9a-f]{12}")
"""The output that depends on the moment of the test: a time, and the digest of a batch."""

_ANSWERED = re.compile(r"(\[y/N\]|\[Y/n\]|changes nothing|my-number\)): (\S+)$", re.MULTILINE)
"""The end of a question that the page answers, and the answer."""


@dataclass(frozen=True)
class Step:
    """One command of a page, and what the page says that it prints; "" if it says nothing."""

    command: str
    printed: str = ""


def read_page(name: str) -> str:
    """Return a page of the documents."""
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def read_blocks(page: str, language: str) -> list[str]:
    """Return the code blocks of a language on a page."""
    return [dedent(each[3]) for each in _BLOCK.finditer(page) if each[2] == language]


def read_steps(page: str) -> list[Step]:
    """Return the commands of a page that begin with `elks-mcp`, in order.

    The block of text that directly follows a block of commands is the output of the last of them.
    """
    steps: list[Step] = []
    blocks = list(_BLOCK.finditer(page))
    for block, after in zip(blocks, [*blocks[1:], None], strict=True):
        if block[2] != "sh":
            continue
        follows = after and after[2] == "text" and not page[block.end() : after.start()].strip()
        lines = [line for line in dedent(block[3]).replace("\\\n", " ").splitlines() if line.strip()]
        printed = dedent(after[3]) if after and follows else ""
        steps += [Step(line) for line in lines[:-1]] + [Step(lines[-1], printed)]
    return [step for step in steps if step.command.startswith("elks-mcp ")]


@dataclass
class Reader:
    """A person who types the commands of a page, and answers questions as the page does.

    `folder` is their own. `said`: words of the page and what they are here, such as a path or a date.
    """

    folder: Path
    environ: Mapping[str, str]
    said: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """The ids on the page, and those here that take their place."""

    columns: int = 80
    """The width of the terminal. The path of a test's folder may need more."""

    def do(
        self, step: Step, code: int = 0, meanwhile: Callable[[Terminal], object] = lambda terminal: None
    ) -> str:
        """Run one command, require the page's output and the exit code, and return what was shown.

        `meanwhile`: what happens while the command runs, after its questions were answered.
        """
        words = [self._here(word) for word in shlex.split(step.command)[1:]]
        with at_terminal(*words, environ=self.environ, columns=self.columns) as terminal:
            for prompt, answer in _ANSWERED.findall(self._here(step.printed)):
                terminal.read_until(f"{prompt}: ").type(answer)
            meanwhile(terminal)
            ended = terminal.finish()
        shown = re.sub(r"[^\n]*\r(?!\n)", "", terminal.shown)
        assert ended == code, shown
        self.compare(step.printed, shown)
        return shown

    def follow(self, page: str, codes: Mapping[str, int] | None = None) -> None:
        """Do all steps of a page. `codes`: the exit codes other than 0, by a part of the command."""
        for step in read_steps(page):
            found = [code for part, code in (codes or {}).items() if part in step.command]
            self.do(step, found[0] if found else 0)

    def run(self, *arguments: str, **environ: str) -> Result:
        """Run a command of the test's own, without a terminal, with the folder's settings file."""
        return invoke((*arguments, "--env-file", str(self.folder / "elks.env")), {**self.environ, **environ})

    def _here(self, text: str) -> str:
        """Return a text of the page as it reads in this folder."""
        for page, here in {"~/": f"{self.folder}/", **self.said}.items():
            text = text.replace(page, here)
        return _ID.sub(lambda found: self.names.get(found[0], found[0]), text)

    def compare(self, printed: str, shown: str) -> None:
        """Require what the page says; … stands for anything, a time for any, an id for its own."""
        named: list[str] = []
        pattern = ""
        for piece in re.split(
            rf"(…|{_ID.pattern}|{_CHANGING.pattern})", " ".join(self._here(printed).split())
        ):
            if piece == "…":
                pattern += ".*?"
            elif _CHANGING.fullmatch(piece) and piece not in self.said.values():
                pattern += f"(?:{_CHANGING.pattern})"
            elif not _ID.fullmatch(piece) or piece in self.names.values():
                pattern += re.escape(piece)
            elif piece in named:
                pattern += f"(?P=n{named.index(piece)})"
            else:
                pattern += f"(?P<n{len(named)}>{_ID.pattern})"
                named.append(piece)
        found = re.search(pattern, " ".join(shown.split()))
        assert found, f"The page says:\n{printed}\nThe command shows:\n{shown}"
        self.names |= {name: found[f"n{at}"] for at, name in enumerate(named)}
