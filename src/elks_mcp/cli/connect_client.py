"""Show one client the server: print the change, ask, make it, and start the server once."""

import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple, NoReturn

import click

from elks_mcp.cli.client_obstacles import list_obstacles
from elks_mcp.cli.client_start import Started, start_once
from elks_mcp.cli.confirm import confirm
from elks_mcp.cli.connect_texts import (
    explain_secrets,
    explain_stored_secret,
    print_instructions,
    report_project_entries,
)
from elks_mcp.cli.output import say
from elks_mcp.cli.shown_changes import find_secrets, list_changes
from elks_mcp.clients import files, jsonc_edits
from elks_mcp.clients.catalog import SERVER, Change, Client, Secrets
from elks_mcp.clients.client_paths import Ambiguous, Machine
from elks_mcp.clients.editing import InlineServers, Unprovable, find_entry
from elks_mcp.clients.jsonc import Broken
from elks_mcp.clients.planned_edits import PlannedEdit, plan_addition, plan_removal
from elks_mcp.clients.resolving import Resolver
from elks_mcp.clients.servers import TOKEN_VARIABLE, Remote, Server
from elks_mcp.clients.snippets import (
    Entry,
    Unsupported,
    build_command,
    build_entry,
    build_removal,
    write_inline_snippet,
    write_snippet,
    writes_secret,
)
from elks_mcp.domain.policy import Mode
from elks_mcp.runtime.launcher import find_repository, show_command_here
from elks_mcp.sandbox import FIRST_PHONE
from elks_mcp.sandbox.number_format import format_number

_COMMAND_TIMEOUT = 120
_CLOSED = "" if sys.platform == "win32" else "Only you can read it now (mode 600). "
_TRY_PHONE = (
    f'Text {format_number(FIRST_PHONE, FIRST_PHONE)}: "Hej! Kommer du på lördag?" Then read me the answer.'
)
_TRY = "What may you send? And what would a text to my own number cost?"


class ClientSetup(NamedTuple):
    """A client, and the server that it is to use."""

    client: Client
    server: Server
    machine: Machine
    asks: bool

    def make(self) -> None:
        """Bring the server into the client, and start it once.

        Raises:
            click.ClickException: nothing was changed, or the server does not start.
        """
        if self.client.change is Change.PRINT:
            print_instructions(self.client, self.server, self.machine)
            return
        try:
            entry = build_entry(self.client, self.server)
            file = files.read(self._find_file())
            if self.client.change is Change.COMMAND:
                self._run_command(file, entry)
            else:
                self._change_file(file, entry)
        except Unsupported as error:
            raise click.ClickException(str(error)) from None
        except (Ambiguous, Broken, Unprovable, files.FileProblem) as error:
            self._give_up(error)
        self._finish(entry)

    def remove(self) -> None:
        """Take the server out of the client.

        Raises:
            click.ClickException: nothing was changed.
        """
        try:
            file = files.read(self._find_file())
            found = find_entry(self.client, file.text)
            if found is None:
                say(f"{SERVER} is not in {file.path}. Nothing was changed.")
            elif self.client.change is Change.FILE:
                self._apply(plan_removal(self.client, file))
                self._report_former_entry(file.path)
            elif self.client.change is Change.COMMAND:
                self._confirm(f"Run `{' '.join(build_removal())}`?")
                self._remove_by_command(file, found)
            else:
                say(f"elks-mcp does not change this file. Take {SERVER} out of it by hand: {file.path}")
            report_project_entries(self.client, file.path)
        except (Ambiguous, Broken, Unprovable, files.FileProblem) as error:
            explained = f"{self._explain(error)} Nothing was changed."
            raise click.ClickException(f"{explained} Take {SERVER} out of it by hand.") from None

    def _report_former_entry(self, path: Path) -> None:
        """Say so if a file has an entry again that ours had replaced."""
        if find_entry(self.client, files.read(path).text):
            again = show_command_here(f"connect {self.client.name} --remove")
            say(f"It has the entry {SERVER} again that `connect` had replaced. To remove that, too: {again}")

    def _find_file(self) -> Path:
        """Return the client's file.

        Raises:
            click.ClickException: the client is not here.
        """
        file = self.client.find_file(self.machine)
        if file is None:
            raise click.ClickException(f"{self.client.title} does not exist for this system.")
        if not self.client.is_here(self.machine):
            where = file.parent if file.parent != self.machine.home else file
            names = self.client.commands[:1]
            command = "".join(f", and the command `{name}` was not found" for name in names)
            raise click.ClickException(
                f"{self.client.title} was not found: {where} does not exist{command}. Start it once and try "
                f"again. To see what it needs: {show_command_here(f'connect {self.client.name} --print')}."
            )
        return Path(file)

    def _change_file(self, file: files.ClientFile, entry: Entry) -> None:
        private = writes_secret(self.client, self.server)
        planned = plan_addition(self.client, file, entry, private=private)
        if planned is None:
            say(f"{SERVER} is in {file.path} already. Nothing was changed.")
            return
        if find_entry(self.client, file.text):
            say(f"{SERVER} is in {file.path} with other values. They are replaced.")
        self._apply(planned)
        if private:
            say(explain_stored_secret(self.server, _CLOSED))

    def _apply(self, planned: PlannedEdit | None) -> None:
        assert planned is not None  # noqa: S101  (the caller has looked)
        file = planned.file
        say(f"File: {file.path}" + ("" if file.content is not None else " (new)"))
        new = files.ClientFile(file.path, planned.content, 0).text
        for line in list_changes(file.text, new, self._list_secrets(file.text, new)):
            say(line)
        verb = "Delete" if planned.content is None else "Change" if file.content is not None else "Create"
        self._confirm(f"{verb} the file?")
        planned.make()
        kept = planned.copy and file.content is not None
        say(f"{verb}d." + (f" The previous content is in {planned.copy}" if kept else ""))

    def _list_secrets(self, *texts: str) -> list[str]:
        """List the secrets that a person must not be shown: those of the server and of its entries."""
        server = self.server
        known = [server.token] if isinstance(server, Remote) else list(server.secrets.values())
        entries = [entry for text in texts if (entry := find_entry(self.client, text))]
        return known + [secret for entry in entries for secret in find_secrets(entry.fields)]

    def _run_command(self, file: files.ClientFile, entry: Entry) -> None:
        """Use the client's own command, and check with its file that it did what it should."""
        found = find_entry(self.client, file.text)
        if found and _without_blanks(found) == _without_blanks(entry):
            say(f"{SERVER} is in {self.client.title} already. Nothing was changed.")
            return
        if found:
            say(f"{SERVER} is in {self.client.title} with other values. They are replaced.")
        say(f"Command: {write_snippet(self.client, self.server)}")
        self._confirm("Run it?")
        if found:
            self._remove_by_command(file, found)
        self._run(build_command(entry))
        written = find_entry(self.client, files.read(file.path).text)
        if not written or _without_blanks(written) != _without_blanks(entry):
            raise click.ClickException(
                f"`claude mcp add` did not write the expected entry to {file.path}. Check that file."
            )

    def _remove_by_command(self, file: files.ClientFile, found: Entry) -> None:
        """Remove an entry by the client's own command, and keep a copy of it: one of each."""
        content = jsonc_edits.render({self.client.key: {SERVER: found.fields}}).encode()
        target = files.find_backup_of(content, file)
        if target is None:
            target = files.find_free_backup(file)
            files.back_up(file._replace(content=content, mode=file.private_mode), target)
        self._run(build_removal())
        say(f"The previous entry is in {target}")

    def _run(self, command: list[str]) -> None:
        path = self.machine.find_command(command[:1])
        if path is None:
            raise click.ClickException(
                f"{self.client.title} is changed by its own command, and there is no `{command[0]}` on the "
                f"PATH. Run this where it is: `{shlex.join(command)}`."
            )
        done = subprocess.run(  # noqa: S603
            [path, *command[1:]],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_COMMAND_TIMEOUT,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        said = (done.stdout + done.stderr).strip()
        if done.returncode:
            raise click.ClickException(f"`{' '.join(command[:3])}` failed: {said}")
        say(said)

    def _confirm(self, question: str) -> None:
        if not self.asks:
            return
        try:
            confirm(question, default=True, abort=True)
        except click.Abort:
            raise click.ClickException(
                "Nothing was changed. To change it without a question: `--yes`."
            ) from None

    def _give_up(self, error: Exception) -> NoReturn:
        """Say why nothing was changed, and print what a person can add by hand."""
        server = self.server.with_placeholders()
        if isinstance(error, InlineServers):
            where = " between those braces, with a comma before it if others are there"
            text = write_inline_snippet(self.client, server)
        else:
            where, text = "", write_snippet(self.client, server)
        say(f"{self._explain(error)} Nothing was changed. This can be added by hand{where}:\n", err=True)
        say(text)
        raise click.exceptions.Exit(1)

    def _explain(self, error: Exception) -> str:
        if isinstance(error, Broken):
            return f"{self.client.find_file(self.machine)} cannot be read: {error}."
        if isinstance(error, InlineServers):
            file = self.client.find_file(self.machine)
            return f"{file} has {self.client.key} = {{ … }}, an inline table, which is not changed."
        if isinstance(error, Unprovable):
            return "The file is written in a way that cannot be changed safely."
        return str(error)

    def _finish(self, entry: Entry) -> None:
        """Start the server as the client would, and say what to do next."""
        resolver = Resolver(self.client, self.machine)
        server = resolver.read(entry.fields)
        assert server is not None  # noqa: S101  (it is our own entry)
        advice = explain_secrets(self.client, self.server, resolver.missing)
        if advice:
            say(advice)
        started = Started()
        if isinstance(server, Remote) and not server.token:
            say(f"The server was not asked, since {TOKEN_VARIABLE} is not set here.")
        else:
            blank = self.client.secrets is Secrets.NONE and self.server.list_blanks()
            started = self._start(server, is_complete=not (resolver.missing or blank))
        report_project_entries(self.client, self._find_file())
        for obstacle in list_obstacles(self.client, self.machine):
            say(f"Note: {obstacle}")
        say(self.client.restart)
        is_sandbox = started.mode == Mode.SANDBOX
        say(f"Try: {_TRY_PHONE if is_sandbox and started.sends else _TRY}")
        if not is_sandbox:
            say(f"Before real texts: {find_repository()}/blob/main/docs/go-live.md")
        elif not started.sends:
            say("No text reaches the simulated phones while DRY_RUN or ELKS_READ_ONLY is on.")

    def _start(self, server: Server, *, is_complete: bool) -> Started:
        """Start the server, say what it answers, and return that."""
        first = f"Connecting to {server.url}" if isinstance(server, Remote) else "Starting the server once"
        say(f"{first}, as {self.client.title} does …")
        started = start_once(server)
        if started.problem:
            remove = show_command_here(f"connect {self.client.name} --remove")
            stays = f"{self.client.title} still has the entry {SERVER}. To remove it: {remove}."
            raise click.ClickException(f"{started.problem}\n{stays}")
        say(started.describe())
        for note in started.notes if is_complete else ():
            say(f"Note: {note}")
        return started


def _without_blanks(entry: Entry) -> dict[str, object]:
    return {name: value for name, value in entry.fields.items() if value not in ({}, [])}
