"""The modules that a start loads: every client starts its own server, and waits for it.

The server runs as clients start it, under Python's import trace, until it has listed its tools.
"""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

import elks_mcp
from tests.support.process import Process, running

TRACED = (sys.executable, "-X", "importtime", "-m", "elks_mcp")

ACCOUNT = {
    "ELKS_API_BASE_URL": "http://127.0.0.1:9/a1",
    "ELKS_API_USERNAME": "u0123456789abcdef0123456789abcdef",
    "ELKS_API_PASSWORD": "canary",
}

COSTLY = {
    "aiosqlite",
    "alembic",
    "dotenv",
    "elks_mcp.cli.demo",
    "elks_mcp.cli.doctor",
    "elks_mcp.cli.sandbox",
    "elks_mcp.contacts.contact_files",
    "elks_mcp.sandbox",
    "elks_mcp.domain.guards.top_level_domains",
    "iso3166",
    "sqlalchemy",
    "vobject",
}
"""Modules that cost time or memory and are not needed to list tools. Each loads at its first use."""


def loaded(environ: Mapping[str, str], folder: Path) -> set[str]:
    """Name every module that the server loads until it has listed its tools."""
    with running(environ, folder, command=TRACED) as server:
        server.initialize()
        assert server.request("tools/list")["result"]["tools"]
        assert server.close() == 0
        return loaded_by(server)


def loaded_by(server: Process) -> set[str]:
    """Name every module that a server loaded."""
    return set(re.findall(r"^import time:[^|]*\|[^|]*\| +(\S+)$", server.stderr, re.MULTILINE))


def test_a_dry_run_and_an_estimate_load_no_database_and_a_send_does(tmp_path: Path) -> None:
    text = {"to": "+46701740605", "message": "Hej"}
    for dry_run in (True, False):
        with running({"ELKS_SANDBOX": "true"}, tmp_path, command=TRACED) as server:
            server.initialize()
            assert not server.call("send_sms", **text, dryRun=dry_run)["isError"]
            server.call("check_account_balance")
            server.close()
            assert ("sqlalchemy" in loaded_by(server)) is not dry_run
            assert "elks_mcp.sandbox" in loaded_by(server)


def test_listing_tools_without_an_account_loads_no_slow_modules(tmp_path: Path) -> None:
    modules = loaded({}, tmp_path)
    assert "mcp.server" in modules, "the trace shows nothing"
    assert not modules & (COSTLY | {"phonenumbers"})


OPTIONAL = re.compile(
    r"elks_mcp\.(?!domain|elks|store|sandbox).*(mms|call|audio|speech|alert|escalation|image|picture)"
)
"""Modules of the toolsets that are off by default.

What reads and writes an order (`domain`, `elks`, `store`) knows every kind, since one may be stored already.
The sandbox simulates the whole of 46elks.
"""


def find_optional(server: Process) -> set[str]:
    return {name for name in loaded_by(server) if OPTIONAL.match(name)}


def test_toolsets_that_are_off_load_nothing_even_if_texts_are_sent(tmp_path: Path) -> None:
    for toolsets, expected in (("sms,batches,inbox,account,policy", False), ("all", True)):
        with running({"ELKS_SANDBOX": "true", "ELKS_TOOLSETS": toolsets}, tmp_path, command=TRACED) as server:
            server.initialize()
            assert server.request("tools/list")["result"]["tools"]
            sent = server.call("send_sms", to="+46701740605", message="Hej", dryRun=False)
            order = sent["structuredContent"]["orderId"]
            assert not server.call("check_sms_status", messageId=order)["isError"]
            assert not server.call("get_sms_messages")["isError"]
            server.close()
            optional = find_optional(server)
            assert bool(optional) is expected, sorted(optional)


def test_contacts_are_not_read_to_list_tools(tmp_path: Path) -> None:
    assert not loaded({"ELKS_CONTACTS": str(tmp_path / "people.vcf")}, tmp_path) & COSTLY


def test_a_number_as_sender_loads_its_numbering_plan_and_nothing_else(tmp_path: Path) -> None:
    assert not loaded(ACCOUNT | {"ELKS_PHONE_NUMBER": "+46701740699"}, tmp_path) & COSTLY


def test_listing_tools_with_a_sender_name_loads_no_slow_modules(tmp_path: Path) -> None:
    assert not loaded(ACCOUNT | {"ELKS_PHONE_NUMBER": "Ekot"}, tmp_path) & (COSTLY | {"phonenumbers"})


def test_the_help_loads_what_it_shows_and_nothing_else() -> None:
    trace = subprocess.run([*TRACED, "--help"], capture_output=True, check=True, encoding="utf-8").stderr
    modules = set(re.findall(r"^import time:[^|]*\|[^|]*\| +(\S+)$", trace, re.MULTILINE))
    assert "elks_mcp.cli" in modules, "the trace shows nothing"
    unneeded = COSTLY | {"elks_mcp.mcp_server.greeter", "importlib.metadata", "json", "mcp", "pydantic"}
    assert not modules & unneeded


def test_the_doctor_loads_no_database_where_no_order_was_placed(tmp_path: Path) -> None:
    environ = {**ACCOUNT, "PATH": os.environ["PATH"], "ELKS_STATE_DIR": str(tmp_path / "state")}
    command = [*TRACED, "doctor"]
    trace = subprocess.run(command, env=environ, capture_output=True, check=False, encoding="utf-8")
    assert "State is in" in trace.stdout
    modules = set(re.findall(r"^import time:[^|]*\|[^|]*\| +(\S+)$", trace.stderr, re.MULTILINE))
    assert "elks_mcp.cli.doctor_settings" in modules, "the trace shows nothing"
    assert not modules & {"sqlalchemy", "elks_mcp.sandbox", "mcp"}


def test_the_greeter_loads_little(tmp_path: Path) -> None:
    code = "import elks_mcp.mcp_server.greeter"
    command = [sys.executable, "-X", "importtime", "-c", code]
    trace = subprocess.run(command, capture_output=True, check=True, encoding="utf-8", cwd=tmp_path).stderr
    modules = set(re.findall(r"^import time:[^|]*\|[^|]*\| +(\S+)$", trace, re.MULTILINE))
    assert "elks_mcp.mcp_server.snapshots" in modules, "the trace shows nothing"
    assert not modules & {"asyncio", "click", "hashlib", "inspect", "logging", "pathlib", "pydantic", "mcp"}


PACKAGE = Path(elks_mcp.__file__).parent
LAZY = {
    path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(PACKAGE.rglob("*.py"))
    if "\n__lazy_modules__ = " in path.read_text(encoding="utf-8")
}


def test_some_modules_say_what_python_3_15_may_load_at_its_first_use() -> None:
    assert "cli/environment.py" in LAZY


@pytest.mark.parametrize("path", LAZY)
def test_a_module_that_may_load_at_its_first_use_is_imported_and_used_by_functions_only(path: str) -> None:
    """Python ignores a name that is not imported, and a module that is used meanwhile loads immediately."""
    tree = ast.parse(LAZY[path])
    (declared,) = [
        ast.literal_eval(each.value)
        for each in tree.body
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "__lazy_modules__"
    ]
    imported = {each.module: each.names for each in tree.body if isinstance(each, ast.ImportFrom)}
    assert declared == sorted(set(declared))
    assert set(declared) <= imported.keys()
    names = {name.asname or name.name for module in declared for name in imported[module]}
    assert not names & set(used_while_loading(tree))


def used_while_loading(node: ast.AST) -> Iterator[str]:
    """List the names that a module looks up outside of its functions.

    Python 3.14 and later evaluate the annotations of a function only if somebody asks for them.
    """
    if isinstance(node, ast.Name):
        yield node.id
    parts: Iterable[ast.AST] = ast.iter_child_nodes(node)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        defaults = [each for each in node.args.kw_defaults if each]
        parts = [*node.decorator_list, *node.args.defaults, *defaults]
    for part in parts:
        yield from used_while_loading(part)
