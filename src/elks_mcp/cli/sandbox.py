"""`elks-mcp sandbox`: run a simulated 46elks in a web server."""

import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click

from elks_mcp.cli.arguments import port_option, shared_options
from elks_mcp.cli.environment import find_state_dir
from elks_mcp.cli.sockets import listen
from elks_mcp.clients.snippets import Snippet, write_snippets
from elks_mcp.runtime.launcher import show_command_here
from elks_mcp.sandbox import FIRST_PHONE, Sandbox
from elks_mcp.sandbox.serving import SandboxServer

PASSWORD_FILE = "sandbox.password"  # noqa: S105  (the name of a file)
_MIN_PASSWORD_LENGTH = 16

_WELCOME = """\
A simulated 46elks runs at {url}. It sends nothing and costs nothing.

  The phones          {url}
  The API             {url}/a1
  API username        {username}
  API password        {password}
  The account's number {number}
  Webhooks            {webhooks}

Try it:
  curl {url}/a1/sms -u {username}:{password} \\
    -d from={number} -d to={first} --data-urlencode "message=Hej! Kommer du?"

To let elks-mcp use it, unset ELKS_SANDBOX and set these variables, in a terminal or in a file that
--env-file names:
  ELKS_API_BASE_URL={url}/a1
  ELKS_API_USERNAME={username}
  ELKS_API_PASSWORD={password}
  ELKS_PHONE_NUMBER={number}
  DRY_RUN=false

The password stays the same. It is stored in {file}. To print it: {show_password}.

Ctrl-C stops the sandbox and discards all its data."""

_NO_WEBHOOKS = "none; to allow some, name the port of your program with --webhook-port"


@click.command()
@port_option(4646)
@click.option(
    "--webhook-port",
    "webhook_ports",
    multiple=True,
    metavar="PORT",
    type=click.IntRange(1, 65535),
    help="A port of this machine that webhooks may be sent to. May be given several times.",
)
@click.option("--password", "only_password", is_flag=True, help="Print the API password, and exit.")
@shared_options
@click.pass_context
def sandbox(
    context: click.Context, *, port: int, webhook_ports: tuple[int, ...], only_password: bool
) -> None:
    """Run a simulated 46elks, whose phones you see in a browser.

    Its API password is created once and stored in the state directory.
    """
    folder = find_state_dir(context)
    if only_password:
        click.echo(_find_or_create_password(folder))
    else:
        _run(port, webhook_ports, folder)


def _run(port: int, webhook_ports: Sequence[int], folder: Path) -> None:
    """Serve the sandbox on this machine until it is stopped; `folder` is the state directory.

    Raises:
        click.ClickException: the port is taken, or the password cannot be stored.
    """
    with listen("127.0.0.1", port) as listener:
        box = Sandbox(password=_find_or_create_password(folder), webhook_ports=webhook_ports)
        ports = ", ".join(f"port {each}" for each in webhook_ports)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        box.page.snippets = _write_snippets(box, url)
        box.rules.picture_address = f"{url}/a1/images"
        welcome = _WELCOME.format(
            url=url,
            username=box.username,
            password=box.password,
            show_password=show_command_here("sandbox --password"),
            number=box.number,
            first=FIRST_PHONE,
            webhooks=f"to {ports} of this machine" if ports else _NO_WEBHOOKS,
            file=folder / PASSWORD_FILE,
        )
        click.echo(welcome)
        with suppress(KeyboardInterrupt):
            SandboxServer(box, log_level="critical", timeout_graceful_shutdown=1).run([listener])


def _write_snippets(box: Sandbox, url: str) -> dict[str, Snippet]:
    """Return what each client needs to text this sandbox's phones, by the client's title."""
    return write_snippets(
        {
            "ELKS_API_BASE_URL": f"{url}/a1",
            "ELKS_API_USERNAME": box.username,
            "ELKS_API_PASSWORD": box.password,
            "ELKS_PHONE_NUMBER": box.number,
            "DRY_RUN": "false",
        }
    )


def _find_or_create_password(folder: Path) -> str:
    """Return the password in a state directory, created if there is none.

    Raises:
        click.ClickException: it cannot be stored, or is too short.
    """
    file = folder / PASSWORD_FILE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not file.exists():
            _write_password(file)
        password = file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(
            f"The sandbox's password cannot be stored in {file}: {error}. "
            "Name another directory with --state-dir."
        ) from None
    if len(password) < _MIN_PASSWORD_LENGTH:
        raise click.ClickException(
            f"The password in {file} is too short. Delete the file; a new one is created at the next start."
        )
    return password


def _write_password(file: Path) -> None:
    """Create a password, under another name first, so that all processes get the same one."""
    draft = file.with_name(f"{PASSWORD_FILE}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as written:
        written.write(secrets.token_hex(16))
    try:
        os.link(draft, file)
    except FileExistsError:
        pass  # another process was first
    finally:
        draft.unlink()
