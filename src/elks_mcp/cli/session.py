"""Commands that use the application as a server does: send, look up, wait.

The application runs in a thread of its own, so that a person can be asked while it works.
"""

import json
import logging
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, Literal, NoReturn, TypeVar

import click
from anyio.from_thread import BlockingPortal, start_blocking_portal

from elks_mcp.answers.structured import StructuredAnswer
from elks_mcp.app import App, open_app
from elks_mcp.cli.environment import with_settings
from elks_mcp.cli.exit_codes import find_exit_code
from elks_mcp.cli.output import say, wrap
from elks_mcp.cli.read_only import open_own_only, open_read_only
from elks_mcp.errors import ElksError, Refused
from elks_mcp.runtime import logs
from elks_mcp.runtime.launcher import show_command
from elks_mcp.settings import Configuration

T = TypeVar("T")


def explain_sandbox() -> str:
    """Return what happens to the texts of a command with ELKS_SANDBOX, and how to keep them."""
    return (
        "Sandbox: this command simulates 46elks in its own memory, which is gone when it ends. To keep texts "
        "and to see the phones, unset ELKS_SANDBOX and set the variables that this prints: "
        f"{show_command('sandbox')}."
    )


@dataclass(frozen=True, slots=True)
class Session:
    """An application in its own thread, and how to print its answers."""

    app: App
    as_json: bool
    _portal: BlockingPortal

    def do(self, work: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """Run `work` in the application's event loop, and return its result. Ctrl-C cancels it."""
        running = self._portal.start_task_soon(work, *arguments)
        try:
            return running.result()
        except KeyboardInterrupt:
            running.cancel()
            raise

    def print(self, answer: StructuredAnswer, lines: Sequence[str]) -> None:
        """Print an answer: as JSON if the person asked for it, else as these lines."""
        if self.as_json:
            print_json(answer.in_zone(self.app.policy.time_zone).model_dump(mode="json", by_alias=True))
            return
        if lines:
            say("\n".join(lines))
        if self.app.policy.simulated:
            say("\n".join(wrap(explain_sandbox())))


Sends = Literal["nothing", "own", "queue"]
"""Texts that a command sends while it runs: none, those it places, or the queue, as a server does."""


def session_command(*, sends: Sends = "nothing") -> Callable[[Callable[..., int]], Callable[..., NoReturn]]:
    """Make a command of a function that takes a `Session`, and returns the exit code.

    The command also takes `--json`, with which an error is printed as JSON, too.
    """

    def decorate(work: Callable[..., int]) -> Callable[..., NoReturn]:
        @click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
        @wraps(work)
        def run(configuration: Configuration, *, as_json: bool, **parameters: Any) -> int:
            _set_up_log(configuration)
            try:
                with _open(configuration, as_json=as_json, sends=sends) as session:
                    return work(session, **parameters)
            except ElksError as error:
                if not as_json:
                    raise
                print_json(_describe_error(error))
                return find_exit_code(error)

        return with_settings()(run)

    return decorate


@contextmanager
def _open(configuration: Configuration, *, as_json: bool, sends: Sends) -> Iterator[Session]:
    opened = _OPENERS[sends](configuration)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(opened) as app:
        yield Session(app, as_json, portal)


_OPENERS = {"nothing": open_read_only, "own": open_own_only, "queue": open_app}


def _set_up_log(configuration: Configuration) -> None:
    """Log only what the operator asked for, since the answer says what went wrong."""
    settings = configuration.settings
    if "log_level" in settings.model_fields_set:
        logs.set_up(settings.log_level)
    else:
        logging.getLogger().handlers[:] = [logging.NullHandler()]


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Print a value as JSON, with escapes for letters that standard output cannot represent."""
    has_all_letters = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    click.echo(json.dumps(value, indent=indent, ensure_ascii=not has_all_letters))


def _describe_error(error: ElksError) -> dict[str, Any]:
    guards = {"guards": error.guards} if isinstance(error, Refused) else {}
    return {"error": error.code, "message": str(error), "hint": error.hint, **guards}
