"""Every setting, declared once: its field, its documentation, and its `Setting`.

Guards read some settings, the rules. Those are declared in `domain/policy.py`, and `Settings` inherits them.
"""

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, field_validator

from elks_mcp.domain.phone import Number
from elks_mcp.domain.policy import OperatorRules, Policy
from elks_mcp.domain.setting_declaration import RuleSetting, Setting, Switch, find_declarations
from elks_mcp.elks.credentials import DEFAULT_BASE_URL, WEBHOOK_SOURCES, Credentials
from elks_mcp.runtime.addresses import Networks, normalize_url
from elks_mcp.runtime.launcher import find_installation, name_program
from elks_mcp.settings.credential_settings import CredentialSettings, mask_username
from elks_mcp.settings.kind_settings import KindSettings
from elks_mcp.settings.parsers import (
    read_account,
    read_api_base_url,
    read_base_url,
    read_budget,
    read_countries,
    read_database_url,
    read_guards,
    read_hosts,
    read_networks,
    read_path,
    read_recipients,
    read_secret_key,
    read_sender,
    read_senders,
    read_signature,
    read_time_zone,
    read_toolsets,
)
from elks_mcp.store import AccountKey, StateLocation

_SIMULATED_NUMBER = Number("+46701740699")
"""The number that the simulated account has if the operator names none."""


class Settings(KindSettings, OperatorRules, CredentialSettings):
    """Everything that the operator can configure."""

    account_username: Annotated[
        str | None,
        BeforeValidator(read_account),
        Setting("ELKS_ACCOUNT", is_private=True, write=mask_username),
    ] = None
    """The API username of the account, if `ELKS_API_USERNAME` is that of a subaccount of it. Budget, orders,
    opt-outs and tokens are then those of the account. `elks-mcp cap set` writes it. Default:
    `ELKS_API_USERNAME`."""

    sandbox_page: Annotated[Switch, Setting("ELKS_SANDBOX_PAGE")] = True
    """Show the simulated phones of `ELKS_SANDBOX` on a page of this machine, at http://127.0.0.1:4646 or, if
    that port is taken, at another one."""

    poll_seconds: Annotated[float | None, Field(ge=1, le=3600), Setting("ELKS_POLL_SECONDS")] = None
    """Seconds between two readings of 46elks' history while a call waits for a reply. Default: 10, or 1 in
    the sandbox."""

    sms_per_minute: Annotated[
        int,
        Field(ge=1, le=100_000),
        RuleSetting("ELKS_SMS_PER_MINUTE", "pace", show=lambda pace: f"{pace} a minute"),
    ] = 95
    """The most texts sent in a minute. 46elks allows 100, unless you have agreed on a different limit."""

    timeout: Annotated[float, Field(ge=0.1, le=120), Setting("ELKS_TIMEOUT")] = 10
    """Seconds that one request to 46elks may take in total."""

    quiet_period: Annotated[
        float,
        Field(ge=0, le=3600),
        RuleSetting(
            "ELKS_QUIET_PERIOD",
            "a text without an answer counts as not accepted after",
            show=lambda seconds: f"{seconds:g} s",
        ),
    ] = 120
    """Seconds after which a text counts as not accepted if 46elks did not answer and its history does not
    list the text. If 46elks takes longer than this to accept a text, the text can be sent twice."""

    dontlog: Annotated[
        Switch,
        RuleSetting(
            "ELKS_DONTLOG",
            "46elks stores the words of sent texts",
            show=lambda on: "no: history shows them without" if on else "yes",
        ),
    ] = False
    """Ask 46elks not to store the words of sent texts. History then lists them without, so a text whose
    answer is lost cannot be looked up: only its delivery report clears it. It needs `ELKS_PUBLIC_URL`.
    [Safety](safety.md#texts-that-46elks-does-not-store) says what else it breaks."""

    contacts: Annotated[Path | None, BeforeValidator(read_path), Setting("ELKS_CONTACTS")] = None
    """The people who can be texted by name: a `.vcf` file, a directory of `.vcf` files, or a `.csv`
    file. It is read again when it changes, and never written. Default: none."""

    files_dir: Annotated[Path | None, BeforeValidator(read_path), Setting("ELKS_FILES_DIR")] = None
    """The directory with the files that an assistant may name: lists of recipients for `plan_batch` (`.csv`,
    `.tsv`, `.txt`, `.xlsx` and `.xlsm`), and pictures for `send_mms` (`.png`, `.jpg`, `.jpeg` and `.gif`).
    Links in it are not followed. It is not used over HTTP. Default: none."""

    state_dir: Annotated[Path | None, BeforeValidator(read_path), Setting("ELKS_STATE_DIR")] = None
    """The directory for queued texts, budgets and opt-outs. Default: the system's directory for
    user data."""

    database_url: Annotated[
        SecretStr | None, BeforeValidator(read_database_url), Setting("ELKS_DATABASE_URL", is_secret=True)
    ] = None
    """A PostgreSQL database to use instead of the directory, so that several machines can share it:
    `postgresql://user:password@host/name`."""

    secret_key: Annotated[
        SecretStr | None,
        BeforeValidator(read_secret_key),
        Setting("ELKS_SECRET_KEY", is_secret=True, can_be_file=True),
    ] = None
    """The key for hashes of numbers and texts, 32 bytes or more. Required with `ELKS_DATABASE_URL`. Default:
    a random key in the state directory."""

    retention_days: Annotated[float, Field(ge=0, le=3650), Setting("ELKS_RETENTION_DAYS")] = 0
    """Days that a text is stored after it is sent. With 0 it is deleted immediately."""

    public_url: Annotated[
        str | None, BeforeValidator(read_base_url), Setting("ELKS_PUBLIC_URL", is_private=True)
    ] = None
    """The `https://` address at which 46elks can reach `elks-mcp serve --http`. With it, delivery reports and
    received texts arrive immediately."""

    allowed_hosts: Annotated[tuple[str, ...], BeforeValidator(read_hosts), Setting("ELKS_ALLOWED_HOSTS")] = ()
    """The host names under which clients may call `elks-mcp serve --http`, separated by commas, each with its
    port unless it is the default one. The names of this machine and of `ELKS_PUBLIC_URL` are always
    allowed."""

    webhook_sources: Annotated[Networks, BeforeValidator(read_networks), Setting("ELKS_WEBHOOK_SOURCES")] = (
        WEBHOOK_SOURCES
    )
    """The addresses or networks that webhooks may come from, separated by commas. Webhooks from other
    addresses are ignored. Default: the four addresses that 46elks documents (2026-11)."""

    trusted_proxies: Annotated[Networks, BeforeValidator(read_networks), Setting("ELKS_TRUSTED_PROXIES")] = ()
    """The addresses or networks of your own proxies, separated by commas. Only their `X-Forwarded-For` header
    is used. Default: none."""

    metrics_from: Annotated[Networks, BeforeValidator(read_networks), Setting("ELKS_METRICS_FROM")] = ()
    """The addresses or networks that may read `/metrics` and `/readyz?verbose` without a token if no proxy is
    in between, separated by commas. Default: only this machine."""

    api_base_url: Annotated[
        str | None, BeforeValidator(read_api_base_url), Setting("ELKS_API_BASE_URL", is_private=True)
    ] = None
    """The address of another API to use instead of 46elks', such as that of `elks-mcp sandbox`."""

    greeter: Annotated[Switch, Setting("ELKS_GREETER")] = True
    """Answer a client's first requests while the server loads, with what was stored at an earlier start. Only
    for a server that a client starts, and not on Windows."""

    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"],
        BeforeValidator(lambda value: str(value).upper()),
        Setting("ELKS_LOG_LEVEL"),
    ] = "INFO"
    """The least severe messages to log on standard error: `DEBUG`, `INFO`, `WARNING` or `ERROR`."""

    _read_sender = field_validator("sender", mode="before")(read_sender)
    _read_countries = field_validator("allowed_countries", mode="before")(read_countries)
    _read_recipients = field_validator("allowed_recipients", mode="before")(read_recipients)
    _read_senders = field_validator("allowed_senders", mode="before")(read_senders)
    _read_budgets = field_validator("budget_per_message", "budget_per_day", mode="before")(read_budget)
    _read_guards = field_validator("guards_off", mode="before")(read_guards)
    _read_signature = field_validator("signature", mode="before")(read_signature)
    _read_toolsets = field_validator("toolsets", mode="before")(read_toolsets)
    _read_time_zone = field_validator("time_zone", mode="before")(read_time_zone)

    @property
    def base_url(self) -> str:
        """The address of 46elks' API."""
        return self.api_base_url or DEFAULT_BASE_URL

    @property
    def credentials(self) -> Credentials | None:
        """The API username and password; None unless both are set."""
        if self.api_username is None or self.api_password is None:
            return None
        return Credentials(self.api_username, self.api_password)

    @property
    def account(self) -> AccountKey:
        """The account whose rows in the state are used, if the server is not a sandbox."""
        sends_as = self.credentials.username if self.credentials else ""
        return AccountKey(self.base_url, self.account_username or sends_as, sends_as)

    @property
    def time_limit(self) -> timedelta:
        """The longest time that one request to 46elks may take."""
        return timedelta(seconds=self.timeout)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The host names that clients may use over HTTP, in addition to those of this machine."""
        published = (urlsplit(normalize_url(self.public_url)).netloc,) if self.public_url else ()
        return (*self.allowed_hosts, *published)

    def poll(self, *, simulated: bool) -> timedelta:
        """Return the time between two readings of 46elks' history while a call waits for a reply.

        `simulated`: whether another process simulates 46elks.
        """
        return timedelta(seconds=self.poll_seconds or (1 if simulated or self.simulated else 10))

    def state_location(self) -> StateLocation:
        """Return where state is stored: in the sandbox, only in memory."""
        if self.simulated:
            return StateLocation()
        return StateLocation(
            folder=self.personal_dir,
            url=self.database_url,
            key=self.secret_key,
            retention=timedelta(days=self.retention_days),
        )

    @property
    def personal_dir(self) -> Path:
        """The directory of this user's own files, also in the sandbox."""
        return self.state_dir or default_state_dir()

    def write_command(self, words: str) -> str:
        """Return a command line about the state that these settings name, to end a sentence with.

        `words`: the command without the program's name, such as `approve A-7F3K`.
        """
        is_shared = self.state_location().url is not None
        needs = " It needs this server's ELKS_DATABASE_URL and ELKS_SECRET_KEY." if is_shared else ""
        return f"{self.name_command(words)}.{needs}"

    def name_command(self, words: str) -> str:
        """Return the same command in backticks, for the middle of a sentence."""
        program = name_program(find_installation(), os.environ)
        state = f' --state-dir "{self.state_dir}"' if self.state_dir else ""
        return f"`{program} {words}{state}`"

    def policy(self) -> Policy:
        """Return the rules in force: those that were set, and defaults derived from other settings."""
        rules: dict[str, Any] = {name: getattr(self, name) for name in OperatorRules.model_fields}
        if self.simulated:
            rules["dry_run"] = self.dry_run and "dry_run" in self.model_fields_set
            rules["sender"] = self.sender or _SIMULATED_NUMBER
        policy = Policy.model_validate(rules)
        if "allowed_countries" in self.model_fields_set:
            return policy
        return policy.model_copy(update={"allowed_countries": frozenset({policy.home})})


def default_state_dir() -> Path:
    """Return the default state directory: where this system keeps a user's data.

    On Windows it is in the user's own folder. Windows redirects what a packaged app, such as Claude Desktop,
    and its servers write below AppData, so commands in a terminal would use another state.
    """
    if sys.platform == "win32":
        return Path.home() / ".elks-mcp"
    from platformdirs import user_data_path  # noqa: PLC0415  (not needed if a directory is named)

    return user_data_path("elks-mcp", appauthor=False)


DECLARATIONS = find_declarations(Settings)
"""The declaration of each setting, by the name of its field in `Settings`."""
