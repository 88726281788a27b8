"""Write the pages of docs/ that are generated from the code.

With `--check`, report stale pages and write nothing.
"""

import ast
import inspect
import sys
import textwrap
from itertools import pairwise
from pathlib import Path
from typing import Any

from command_page import write_commands
from connect_page import write_page
from error_reference.page import write_errors
from guard_table import write_guards

from elks_mcp.domain.setting_declaration import write_value
from elks_mcp.domain.toolsets import Toolset
from elks_mcp.mcp_server.server import list_tools
from elks_mcp.mcp_server.tools.base import ElksTool
from elks_mcp.settings import ALSO_AS_FILE, DECLARATIONS, Settings

_DOCS = Path(__file__).parent.parent / "docs"
_NOTICE = "<!-- Written by scripts/docs.py from the code. Change the code, then run `make docs`. -->"


def main() -> int:
    """Write stale pages, or report them with `--check`. Return the exit code, 1 for a report."""
    pages = {
        "tools.md": write_tools(),
        "settings.md": write_settings(),
        "connect.md": f"{_NOTICE}\n{write_page()}",
        "errors.md": f"{_NOTICE}\n{write_errors()}",
        "command-line.md": f"{_NOTICE}\n{write_commands()}",
        "guards.md": write_guards(_read(_DOCS / "guards.md")),
    }
    check = "--check" in sys.argv[1:]
    stale = [name for name, text in pages.items() if _read(_DOCS / name) != text]
    for name in stale:
        if check:
            print(f"docs/{name} is stale. Run `make docs`.")
        else:
            (_DOCS / name).write_text(pages[name], encoding="utf-8")
            print(f"docs/{name} written")
    return int(check and bool(stale))


def write_settings() -> str:
    """Return the page about settings."""
    meanings = _read_meanings()
    rows = [
        _row(f"`{setting.variable}`", _default(name), " ".join(meanings[name].split()))
        for name, setting in DECLARATIONS.items()
    ]
    as_file = textwrap.fill(", ".join(f"`{name}`" for name in ALSO_AS_FILE), 120)
    return "\n".join([_NOTICE, _SETTINGS_INTRODUCTION.format(as_file=as_file), *rows, "", _SETTINGS_END])


_SETTINGS_INTRODUCTION = """\
# Settings

Every setting is an environment variable of the server. Set it in the configuration of your client.

- **Blank values.** A value that is blank, or that a client left unexpanded (`${{…}}`), counts as unset.
  `doctor` and the log report it.
- **Values that cannot be read.** A server that a client started answers every call with the reason, and does
  nothing else. Every other command, except `doctor`, ends with exit code 2.
- **A file of settings.** `elks-mcp --env-file FILE` also reads lines of the form `NAME=value` from a file.
  The environment takes precedence.
- **A value in a separate file.** Add `_FILE` to the name and set it to the path. This works for
  {as_file}.

| Variable | Default | Meaning |
|---|---|---|"""

_SETTINGS_END = """\
`elks-mcp doctor` lists the settings that are set and where each came from, values that cannot be read or look
wrong, and misspelled names. `elks-mcp policy` lists the rules in force.
"""


def write_tools() -> str:
    """Return the page about tools."""
    sections = [
        line for toolset in Toolset for tool in list_tools({toolset}) for line in _tool(tool, toolset)
    ]
    return "\n".join([_NOTICE, "# Tools", "", _TOOLS_INTRODUCTION, "", *sections])


_TOOLS_INTRODUCTION = """\
This is what an assistant sees. Every answer is a short text and the same information as structured content.
The text begins with the status.

- **Names of arguments.** `dry_run` and `message_id` are accepted for `dryRun` and `messageId`. Any other
  unknown name is refused.
- **Blank arguments.** An optional argument that is blank, null or a word for it (`null`, `None`, `undefined`,
  `nil`, `NaN`) counts as left out. A blank `dryRun` is refused, and so is such a word for `with` or `from`
  if a contact has that name.
- **Numbers** are understood as people write them: `+46701740605`, `0046…`, `070-174 06 05` (a number in the
  country of your own sender number, else in Sweden).
- **Repeats.** If the same text to the same number is requested again within 15 minutes, it is not sent again:
  the answer is the existing order. An `idempotencyKey` in `send_sms` guarantees that for 90 days. A different
  key makes the same text a new one.
- **Later.** `sendAt` is a time within the next 35 days, local or with an offset. Without `timeZone` it is in
  the recipient's time zone if that is known, else in yours; the answer names the zone and the weekday. The
  text is *scheduled* until then. If it is not sent at its time, the next answer of `send_sms`,
  `list_scheduled`, `check_sms_status` or `get_sms_messages` says so, once (`missed`).
  [Scheduled texts](scheduling.md) has the rules.
- **Waiting.** `ask_by_sms` and `wait_for_reply` wait 45 seconds by default, since many clients abort a call
  after 60. A later answer is not lost: each result, "no reply" included, has a cursor to continue waiting
  with. A reply is matched by its sender's number, and counts as a stranger's text. After it was shown to the
  assistant, a text to a person whom you did not text before needs approval.
- **Toolsets.** `ELKS_TOOLSETS` chooses which groups of tools are offered. `sms`, `batches`, `inbox`,
  `account` and `policy` are on by default; `mms`, `calls`, `numbers` and `escalation` are off. A tool of
  another group is neither listed nor callable, and no description or answer names it. Its prompts and
  resources go with it. Each tool below names its group. Tools of `inbox`, `account`, `policy` and `numbers`
  never send.
- **Pictures.** `send_mms` takes a file of `ELKS_FILES_DIR` or a small data URL, and `get_image` returns a
  picture beside its text. [Pictures](mms.md) has the rules.
- **Batches.** `plan_batch` sends nothing, and `start_batch` sends the whole batch, after one question to a
  person. [Batches](batches.md) has the sources, the merge fields and the rules.
- **Errors.** An answer is an error (`isError`) if nothing was sent, and nothing will be sent without further
  action: the text was refused or declined, or waits for approval. `cancel_sms` returns an error if nothing
  was decided about the text: it is not yours, a person declined, or the operator forbids the question.
  Otherwise its answer begins with the state of the text: cancelled, waiting (paused until a person decides),
  or a state in which it can no longer be recalled.
- **Prompts and resources.** There are two prompts, and four resources: `elks://inbox`,
  `elks://messages/{id}`, `elks://batches/{id}` and `elks://policy`. A client that subscribes to a resource
  is notified when it changes.
- **Lists of texts** have a short line for each text, newest first. A received text is in `untrusted`, and a
  sent one in `text`. Times are local; a list names the zone and the current time once, and a year only if a
  time is more than 10 months off. Only a text that is not delivered, or a picture, has an `id`. In a
  conversation (`with`), `with` replaces each `from` and `to`. It has the texts of all numbers of a contact;
  if there are several, each text has its own `from` or `to`. A line break in a text is shown as ⏎, so that no
  text can pass for another line. `elks://messages/{id}` has everything known about one text.
- **The size of a list**, in words or as data, is at most 250 bytes once and 60 for each text, beyond the
  texts and the names in it. A text that is not delivered has 60 bytes more for its status and id. A note on
  what is left out, and facts about one text (an opt-out, a picture, another year), are not counted in that.
- **Periods.** `since` and `until` are days (`2026-12-01`) or times, local (in `ELKS_TIME_ZONE`, or else the
  machine's zone) or with an offset (`2026-12-01T09:00+01:00`). Both days of a period are included. A time
  that clocks skip or repeat is refused with the two nearest ones. Words such as "yesterday" are refused.
- **Long lists.** A list reads at most 5 pages (500 texts) of 46elks' history; statistics since a given time
  read 20. A list takes at most 50,000 bytes as structured content and text together, about 15,000 tokens. If
  there may be older texts, `olderUntil` is the `until` that returns them. `note` says which limit ended the
  list."""


def _read_meanings() -> dict[str, str]:
    """Return the docstring of each setting.

    It is read from the source, since Python does not keep docstrings of fields.
    """
    return {
        field.target.id: text.value.value
        for model in reversed(Settings.__mro__)
        if model.__module__.startswith("elks_mcp.")
        for field, text in pairwise(_read_body(model))
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
        if isinstance(text.value.value, str)
    }


def _read_body(model: type) -> list[ast.stmt]:
    (definition,) = ast.parse(inspect.getsource(model)).body
    assert isinstance(definition, ast.ClassDef)  # noqa: S101  (`model` is a class)
    return definition.body


def _default(name: str) -> str:
    value = Settings.model_fields[name].default
    written = "" if value is None else write_value(value)
    return f"`{written}`" if written else ""


_REPEATABLE = {
    "cancel_sms": "Cancels; idempotent.",
    "end_alert": "Ends an alert; idempotent.",
    "plan_batch": "Plans, and sends nothing but a test; idempotent.",
    "start_batch": "Sends; idempotent.",
    "stop_batch": "Pauses, resumes or cancels; idempotent.",
}
"""The effects of tools that change something, and nothing more if they are repeated."""


def _tool(tool: ElksTool, toolset: Toolset) -> list[str]:
    hints = tool.annotations
    kind = "Sends; not idempotent without `idempotencyKey`."
    if hints is not None and hints.idempotent_hint:
        kind = "Reads only." if hints.read_only_hint else _REPEATABLE[tool.name]
    lines = [
        f"## {tool.name}",
        "",
        f"**{tool.title}.** {kind} Toolset `{toolset}`.",
        "",
        tool.description,
        "",
    ]
    properties: dict[str, Any] = tool.parameters["properties"]
    if properties:
        required = tool.parameters.get("required", [])
        lines += ["| Argument | | Meaning |", "|---|---|---|"]
        lines += [_argument(name, spec, name in required) for name, spec in properties.items()]
        lines.append("")
    fields = (tool.output_schema or {}).get("properties", {})
    return [*lines, "Answers with: " + ", ".join(f"`{name}`" for name in fields) + ".", ""]


def _argument(name: str, spec: dict[str, Any], required: bool) -> str:
    limits = [f"{word} {spec[key]}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in spec]
    choices = " / ".join(f"`{choice}`" for choice in spec.get("enum", []))
    default = f"default `{spec['default']}`" if "default" in spec else ""
    details = ", ".join(part for part in (choices, " ".join(limits), default) if part)
    must = "required" if required else "optional"
    return _row(f"`{name}`", must, f"{spec.get('description', '')}{f' ({details})' if details else ''}")


def _row(*cells: str) -> str:
    """Return a row of a table. A bar in a cell is escaped, since it would begin the next cell."""
    escaped = [cell.replace("|", r"\|") for cell in cells]
    return f"| {' | '.join(escaped)} |"


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
