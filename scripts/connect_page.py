"""Write docs/connect.md: what each client needs, from the same source as `elks-mcp connect`."""

from pathlib import PurePosixPath, PureWindowsPath

from elks_mcp.clients.catalog import CLIENTS, Change, Client
from elks_mcp.clients.client_paths import Machine, find_packaged_file
from elks_mcp.clients.servers import Program
from elks_mcp.clients.snippets import write_snippet
from elks_mcp.runtime.launcher import find_repository

_MACHINES = {
    "macOS": Machine("darwin", PurePosixPath("~"), {}),
    "Linux": Machine("linux", PurePosixPath("~"), {}),
    "Windows": Machine(
        "win32",
        PureWindowsPath("%USERPROFILE%"),
        {"APPDATA": "%APPDATA%", "LOCALAPPDATA": "%LOCALAPPDATA%"},
    ),
}
_LANGUAGES = {"toml": "toml", "yaml": "yaml", "json": "json"}


def write_page() -> str:
    """Return the page."""
    return "\n".join([_INTRODUCTION, *(line for client in CLIENTS for line in _describe(client))])


def _describe(client: Client) -> list[str]:
    is_command = client.change is Change.COMMAND
    language = "sh" if is_command else _LANGUAGES[client.format]
    snippet = write_snippet(client, _example()).rstrip()
    how = f"`elks-mcp connect {client.name}` prints this" if client.change is Change.PRINT else ""
    does = how or f"`elks-mcp connect {client.name}` does this for you"
    files = [f"- {system}: `{file}`" for system, file in _list_files(client)]
    return [
        f"## {client.title}",
        "",
        f"{does}. By hand: run this command." if is_command else f"{does}. By hand: add this to the file.",
        "",
        *([] if is_command else [*files, ""]),
        *([_TWO_FILES, ""] if client.name == "claude-desktop" else []),
        *([_describe_nested(client), ""] if client.nested_key else []),
        f"```{language}",
        snippet,
        "```",
        "",
        *([client.restart, ""] if client.restart else []),
    ]


def _describe_nested(client: Client) -> str:
    places = f"`{client.key}.{client.nested_key}` instead of `{client.key}`"
    return f"{client.title} also reads servers under {places}, and so does `elks-mcp doctor --client`."


def _list_files(client: Client) -> list[tuple[str, str]]:
    found = [(system, client.find_file(machine)) for system, machine in _MACHINES.items()]
    if client.name == "claude-desktop":
        found.insert(-1, ("Windows", find_packaged_file(_MACHINES["Windows"], "Claude_…")))
    return [(system, str(file)) for system, file in found if file]


def _example() -> Program:
    repository = find_repository() or "https://github.com/OWNER/elks-mcp"
    names = ("ELKS_API_USERNAME", "ELKS_API_PASSWORD", "ELKS_PHONE_NUMBER")
    program = Program(
        "uvx", ("--from", f"git+{repository}", "elks-mcp"), {"DRY_RUN": "true"}, dict.fromkeys(names, "")
    )
    return program.with_placeholders()


_TWO_FILES = """\
On Windows the app has been an MSIX package since 2026. It reads the first file if there is one, and else the
second, so use the one that exists. If neither exists, create the first; if you have no folder `Claude_…`
(… stands for letters and digits), create the second."""

_INTRODUCTION = """\
# Connect a client

```sh
elks-mcp connect --list
elks-mcp connect claude-desktop --sandbox
```

`connect` shows the client's file and the change, asks, and starts the server once as the client would. If an
account is configured, the server also reads its balance, so that a wrong password is detected. With
`--sandbox` the assistant texts simulated phones, and needs no account. `elks-mcp doctor --client NAME` checks
later what the client really starts.

- **Your file.** Only our entry is added. Comments, line endings and all other text stay as they are. This is
  verified before the file is written: a parser reads the old and the new text, and if there is any other
  difference, nothing is changed. The original file is kept beside it
  (`….before-elks-mcp`). `--remove` restores it byte for byte, even with an entry of your own that ours has
  replaced, as long as nothing else was changed since then. A backup is never overwritten: further ones get
  a number at the end of their names. Gemini CLI refuses a file with a byte order mark or a trailing comma, so
  `connect gemini` does not change such a file, and `doctor --client gemini` says what is wrong with it.
- **Your settings.** Every setting in the environment of the terminal is passed on to the client, with your
  limits, and `connect` says which. With `--env-file FILE` the client gets only the path of the file, and
  with `--sandbox` nothing but `ELKS_SANDBOX`.
- **Your password.** With `--env-file FILE` the client gets only the path of the file, which is the best way
  for all clients. Otherwise VS Code asks for the password, Codex, Claude Code and Gemini CLI take it from
  their own environment, and other clients have it in their file. On macOS and Linux, `connect` makes
  that file unreadable for other users.
- **One server for many clients.** `--http https://sms.example.com/mcp` names a server over HTTP. Its token
  comes from the variable `SMS46ELKS_TOKEN`.
- **Absolute paths.** Desktop programs do not see the `PATH` of a shell, so `connect` writes the path of the
  command. If you copy from this page and the client does not find `uvx`, write its path.

Replace the values in the examples with your own. To only try the simulated phones, set nothing but
`ELKS_SANDBOX` to `true`.
"""
