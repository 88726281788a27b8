"""What the operator configured: one class, read from the environment.

A value that cannot be read stops the start. A blank one, or one that a client left unexpanded
(`${…}`), counts as unset.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from elks_mcp.api import DEFAULT_BASE_URL, Credentials, is_loopback
from elks_mcp.errors import InvalidInput, Misconfigured
from elks_mcp.guards import GUARD_NAMES, NOT_SWITCHABLE
from elks_mcp.logs import mask
from elks_mcp.money import Money
from elks_mcp.phone import Number, Sender, parse_number, parse_sender
from elks_mcp.policy import Confirm, Policy
from elks_mcp.sources import WEBHOOK_SOURCES, Networks
from elks_mcp.store import SHORTEST_KEY, Place
from elks_mcp.wording import parse_switch, wanted


def _read_sender(value: object) -> Sender:
    return _worded(parse_sender, value)


def _read_senders(value: object) -> tuple[Sender, ...]:
    return tuple(_worded(parse_sender, item) for item in _some_items(value))


def _read_numbers(value: object, info: ValidationInfo) -> frozenset[Number]:
    home = Policy(sender=info.data.get("phone_number")).home
    return frozenset(_worded(lambda raw: parse_number(raw, home), item) for item in _some_items(value))


def _read_countries(value: object) -> frozenset[str]:
    countries = frozenset(item.upper() for item in _some_items(value))
    if odd := next((country for country in countries if not re.fullmatch("[A-Z]{2}", country)), None):
        raise ValueError(f"{odd!r} is no country; use two-letter codes, as in SE,NO")
    return countries


def _read_guards(value: object) -> frozenset[str]:
    names = frozenset(_items(value))
    switchable = [name for name in GUARD_NAMES if name not in NOT_SWITCHABLE]
    if odd := next((name for name in sorted(names) if name not in switchable), None):
        fault = "cannot be switched off" if odd in NOT_SWITCHABLE else "is no guard"
        raise ValueError(f"{odd!r} {fault}; these can be switched off: {', '.join(switchable)}")
    return names


def _read_budget(value: object) -> int:
    return Money.parse(str(value)).units


def _read_base_url(value: object) -> str:
    url = str(value).strip().rstrip("/")
    parts = urlsplit(url)
    if parts.username or parts.password:
        raise ValueError("credentials do not belong in it; use ELKS_API_USERNAME and ELKS_API_PASSWORD")
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url))):
        raise ValueError("use https://…, or http:// on this machine only")
    return url


def _read_public_url(value: object) -> str:
    url = _read_base_url(value)
    if urlsplit(url).query or urlsplit(url).fragment:
        raise ValueError("use an address without ? and #")
    return url


def _read_database_url(value: object) -> SecretStr:
    url = str(value).strip()
    if urlsplit(url).scheme not in {"postgresql", "postgres"}:
        raise ValueError("use postgresql://…; for SQLite leave it unset, and set ELKS_STATE_DIR if need be")
    return SecretStr(re.sub("^postgres:", "postgresql:", url))


def _read_secret_key(value: object) -> SecretStr:
    if len(str(value)) < SHORTEST_KEY:
        raise ValueError(f"it needs {SHORTEST_KEY} characters or more; try `openssl rand -hex 32`")
    return SecretStr(str(value))


def _read_folder(value: object) -> Path:
    return Path(str(value)).expanduser().absolute()


def _read_networks(value: object) -> Networks:
    try:
        networks = tuple(ip_network(item) for item in _some_items(value))
    except ValueError as error:
        raise ValueError(f"{error}; use addresses or networks, as in 192.0.2.7,10.0.0.0/8") from None
    if any(network.prefixlen == 0 for network in networks):
        raise ValueError("it would believe everybody; name addresses or networks")
    return networks


def _read_hosts(value: object) -> tuple[str, ...]:
    hosts = tuple(item.lower() for item in _some_items(value))
    for host in hosts:
        if not re.fullmatch(r"[a-z0-9.-]+(:[0-9]{1,5})?|\[[0-9a-f:.]+\](:[0-9]{1,5})?", host):
            raise ValueError(f"{host!r} is no name of a host; use sms.example.com or sms.example.com:8046")
    return hosts


def _items(value: object) -> list[str]:
    return [item.strip() for item in str(value).split(",") if item.strip()]


def _some_items(value: object) -> list[str]:
    """Read a list that limits something; an empty one would limit nothing."""
    items = _items(value)
    if not items:
        raise ValueError("it lists nothing; unset it, or list something")
    return items


T = TypeVar("T")


def _worded(parse: Callable[[str], T], value: object) -> T:
    """Parse as everywhere else, with the error in the form that pydantic wants."""
    try:
        return parse(str(value))
    except InvalidInput as error:
        raise ValueError(str(error)) from None


Switch = Annotated[bool, BeforeValidator(parse_switch)]


class Settings(BaseModel):
    """Everything that can be configured, by the name of its environment variable."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api_username: Annotated[str | None, Field(alias="ELKS_API_USERNAME")] = None
    """API username of the 46elks account (46elks.com: Account → API)."""

    api_password: Annotated[SecretStr | None, Field(alias="ELKS_API_PASSWORD")] = None
    """API password; not the one of the web site."""

    phone_number: Annotated[
        Sender | None, BeforeValidator(_read_sender), Field(alias="ELKS_PHONE_NUMBER")
    ] = None
    """The sender where none is named: a number of the account (`+46…`) or a text sender id."""

    dry_run: Annotated[Switch | None, Field(alias="DRY_RUN")] = None
    """Nothing is sent or charged; 46elks only tells prices. Default true; in the sandbox, false."""

    sandbox: Annotated[Switch, Field(alias="ELKS_SANDBOX")] = False
    """Text simulated handsets inside this server instead of 46elks. Needs no account."""

    read_only: Annotated[Switch, Field(alias="ELKS_READ_ONLY")] = False
    """Nothing can be sent, whatever else is set."""

    confirm: Annotated[Confirm, Field(alias="ELKS_CONFIRM")] = Confirm.AUTO
    """When a person is asked before a text goes out: `auto` where a guard wants it and the client can ask,
    `always` before every one, `never`."""

    allowed_countries: Annotated[
        frozenset[str] | None,
        BeforeValidator(_read_countries),
        Field(alias="ELKS_ALLOWED_COUNTRIES", min_length=1),
    ] = None
    """Countries texts may go to, as in `SE,NO`. Default: the country of `ELKS_PHONE_NUMBER`, else SE."""

    allowed_recipients: Annotated[
        frozenset[Number], BeforeValidator(_read_numbers), Field(alias="ELKS_ALLOWED_RECIPIENTS")
    ] = frozenset()
    """The only numbers that may be texted, separated by commas. Default: any in an allowed country."""

    allowed_senders: Annotated[
        tuple[Sender, ...], BeforeValidator(_read_senders), Field(alias="ELKS_ALLOWED_SENDERS")
    ] = ()
    """The only senders besides `ELKS_PHONE_NUMBER` that may be used, separated by commas.
    Default: any that does not impersonate."""

    max_parts: Annotated[int, Field(alias="ELKS_MAX_PARTS", ge=1, le=255)] = 6
    """How many parts a text may take; each is billed."""

    budget_per_message: Annotated[
        int | None, BeforeValidator(_read_budget), Field(alias="ELKS_BUDGET_PER_MESSAGE")
    ] = None
    """What one message may cost, in the account's currency. Default: 10 in SEK, NOK and DKK, else 1."""

    budget_per_day: Annotated[
        int | None, BeforeValidator(_read_budget), Field(alias="ELKS_BUDGET_PER_DAY")
    ] = None
    """What any 24 hours may cost, in the account's currency. Default: 100 in SEK, NOK and DKK, else 10."""

    max_per_number: Annotated[int, Field(alias="ELKS_MAX_PER_NUMBER", ge=1, le=100_000)] = 5
    """Texts one number may get in 10 minutes, and a quarter of what it may get in a day."""

    guards_off: Annotated[frozenset[str], BeforeValidator(_read_guards), Field(alias="ELKS_GUARDS_OFF")] = (
        frozenset()
    )
    """Guards to switch off by name, separated by commas, as in `night,link`."""

    inbound: Annotated[Literal["all", "known"], Field(alias="ELKS_INBOUND")] = "all"
    """Whose texts an assistant may read: `all`, or `known`: only from numbers that something was sent to.
    STOP counts from anybody."""

    poll_seconds: Annotated[float | None, Field(alias="ELKS_POLL_SECONDS", ge=1, le=3600)] = None
    """Seconds from one reading of 46elks' history to the next while somebody waits for a reply.
    Default 10; in the sandbox, 1."""

    sms_per_minute: Annotated[int, Field(alias="ELKS_SMS_PER_MINUTE", ge=1, le=100_000)] = 95
    """The pace of sending. 46elks allows 100 a minute unless agreed otherwise."""

    timeout: Annotated[float, Field(alias="ELKS_TIMEOUT", ge=0.1, le=120)] = 10
    """Seconds that one request to 46elks may take, all in all."""

    quiet_period: Annotated[float, Field(alias="ELKS_QUIET_PERIOD", ge=0, le=3600)] = 120
    """Seconds after which a text that got no answer, and is not in 46elks' history, counts as not accepted.
    Less than 46elks may take to accept one means that it can go out twice."""

    state_dir: Annotated[Path | None, BeforeValidator(_read_folder), Field(alias="ELKS_STATE_DIR")] = None
    """The folder for queued texts, limits and opt-outs. Default: this user's data folder."""

    database_url: Annotated[
        SecretStr | None, BeforeValidator(_read_database_url), Field(alias="ELKS_DATABASE_URL")
    ] = None
    """A PostgreSQL to keep them in instead, for several machines: `postgresql://user:password@host/name`."""

    secret_key: Annotated[
        SecretStr | None, BeforeValidator(_read_secret_key), Field(alias="ELKS_SECRET_KEY")
    ] = None
    """What hashes of numbers and texts are made with, 32 characters or more. Needed with `ELKS_DATABASE_URL`;
    else one is made in the state folder."""

    retention_days: Annotated[float, Field(alias="ELKS_RETENTION_DAYS", ge=0, le=3650)] = 0
    """Days that texts are kept after they are sent. With 0 they are gone at once."""

    public_url: Annotated[str | None, BeforeValidator(_read_public_url), Field(alias="ELKS_PUBLIC_URL")] = (
        None
    )
    """Where 46elks reaches `elks-mcp serve --http`, `https://…`: it then tells of deliveries and incoming
    texts at once."""

    allowed_hosts: Annotated[
        tuple[str, ...], BeforeValidator(_read_hosts), Field(alias="ELKS_ALLOWED_HOSTS")
    ] = ()
    """Names by which clients call `elks-mcp serve --http`, separated by commas, with the port if it is not
    the scheme's own. This machine's own names and that of `ELKS_PUBLIC_URL` are taken anyway."""

    webhook_sources: Annotated[
        Networks, BeforeValidator(_read_networks), Field(alias="ELKS_WEBHOOK_SOURCES")
    ] = WEBHOOK_SOURCES
    """The addresses 46elks calls from, separated by commas; what comes from others is dropped.
    Default: the four that 46elks names (2026-11)."""

    trusted_proxies: Annotated[
        Networks, BeforeValidator(_read_networks), Field(alias="ELKS_TRUSTED_PROXIES")
    ] = ()
    """Your own proxies, by address or network, whose `X-Forwarded-For` is believed. Default: none."""

    api_base_url: Annotated[str | None, BeforeValidator(_read_base_url), Field(alias="ELKS_API_BASE_URL")] = (
        None
    )
    """Another address for 46elks' API, for instance that of `elks-mcp sandbox`."""

    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"],
        BeforeValidator(lambda value: str(value).upper()),
        Field(alias="ELKS_LOG_LEVEL"),
    ] = "INFO"
    """How much is logged on standard error."""

    @model_validator(mode="after")
    def _sandbox_is_here(self) -> Self:
        if self.sandbox and self.api_base_url:
            raise ValueError(
                "ELKS_SANDBOX and ELKS_API_BASE_URL exclude each other: the sandbox is in this server"
            )
        return self

    @property
    def base_url(self) -> str:
        """Where 46elks' API is."""
        return self.api_base_url or DEFAULT_BASE_URL

    @property
    def credentials(self) -> Credentials | None:
        """Username and password, where both are set."""
        if self.api_username is None or self.api_password is None:
            return None
        return Credentials(self.api_username, self.api_password)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names by which the server over HTTP is called, besides this machine's own."""
        published = (urlsplit(self.public_url).netloc.lower(),) if self.public_url else ()
        return (*self.allowed_hosts, *published)

    @property
    def poll(self) -> timedelta:
        """How long after one reading of history comes the next, while somebody waits."""
        return timedelta(seconds=self.poll_seconds or (1 if self.sandbox else 10))

    def place(self) -> Place:
        """Say where state is kept: in the sandbox, nowhere."""
        if self.sandbox:
            return Place()
        return Place(
            folder=self.state_dir or default_state_dir(),
            url=self.database_url,
            key=self.secret_key,
            retention=timedelta(days=self.retention_days),
        )

    def policy(self) -> Policy:
        """Put the rules together, with the defaults that depend on other settings."""
        policy = Policy(
            dry_run=not self.sandbox if self.dry_run is None else self.dry_run,
            read_only=self.read_only,
            simulated=self.sandbox,
            confirm=self.confirm,
            sender=self.phone_number,
            allowed_senders=self.allowed_senders,
            allowed_recipients=self.allowed_recipients,
            max_parts=self.max_parts,
            budget_per_message=self.budget_per_message,
            budget_per_day=self.budget_per_day,
            max_per_number=self.max_per_number,
            guards_off=self.guards_off,
            hides_unknown=self.inbound == "known",
        )
        countries = self.allowed_countries or frozenset({policy.home})
        return policy.model_copy(update={"allowed_countries": countries})


def default_state_dir() -> Path:
    """Say where state is kept unless told otherwise: where this system keeps a user's data."""
    from platformdirs import user_data_path  # noqa: PLC0415  (who says where has no need of it)

    return user_data_path("elks-mcp", appauthor=False)


def explain_mistake(wrong: str, right: str) -> str:
    """Say about a mistaken name what to do."""
    if right:
        return f"{wrong} is set, but the name is {right}."
    return f"{wrong} is set, and this version has no such setting: unset it, so that nobody relies on it."


@dataclass(frozen=True, slots=True)
class Configuration:
    """Settings, where each came from, and names that look like settings and are none."""

    settings: Settings
    origins: Mapping[str, str]
    """The variable each set setting was read from, by the setting's name."""

    mistaken: Mapping[str, str]
    """Variables that are set and look like settings, with the name that is meant; "" where none is near."""

    unknown: tuple[str, ...]
    """Other variables that begin with ELKS_."""


NAMES: Mapping[str, str] = {field.alias or name: name for name, field in Settings.model_fields.items()}
"""The setting behind each environment variable."""

ALSO_AS_FILE = ("ELKS_API_USERNAME", "ELKS_API_PASSWORD", "ELKS_PHONE_NUMBER", "ELKS_SECRET_KEY")

_MISTAKES = {
    "ELKS_API_USER": "ELKS_API_USERNAME",
    "ELKS_USERNAME": "ELKS_API_USERNAME",
    "ELKS_USER": "ELKS_API_USERNAME",
    "ELKS_PASSWORD": "ELKS_API_PASSWORD",
    "ELKS_API_PASS": "ELKS_API_PASSWORD",
    "ELKS_FROM": "ELKS_PHONE_NUMBER",
    "ELKS_DRY_RUN": "DRY_RUN",
    "DRYRUN": "DRY_RUN",
    "ELKS_ALLOWED_NUMBERS": "ELKS_ALLOWED_RECIPIENTS",
}
"""Names people try."""

_SOUNDS_LIKE_A_LIMIT = re.compile(
    "BUDGET|LIMIT|MAX|ALLOW|DENY|BLOCK|CONFIRM|READ_?ONLY|DRY_?RUN|SENDER|RECIPIENT|TOOLSET|INBOUND"
)
"""Nobody shall believe that a limit holds which nobody reads, be it misspelt or not there yet."""


def load(environ: Mapping[str, str]) -> Configuration:
    """Read the environment.

    Raises:
        Misconfigured: a value cannot be read; the text names the variable.
    """
    present = {name: value.strip() for name, value in environ.items() if is_set(value)}
    values = {name: present[name] for name in NAMES if name in present}
    origins = {NAMES[name]: name for name in values}
    for name in ALSO_AS_FILE:
        if path := present.get(f"{name}_FILE"):
            values[name] = _read_file(name, path, also=values.get(name))
            origins[NAMES[name]] = f"{name}_FILE"
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise Misconfigured("; ".join(_explain(error))) from None
    mistaken, unknown = _strangers(present)
    return Configuration(settings, origins, mistaken, unknown)


def is_set(value: str) -> bool:
    """Tell a value from a blank one, and from one that a client left unexpanded (`${…}`)."""
    return bool(value.strip()) and not re.fullmatch(r"\$\{[^}]*\}", value.strip())


def _read_file(name: str, path: str, also: str | None) -> str:
    if also is not None:
        raise Misconfigured(f"{name} and {name}_FILE are both set; set one of them")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        # The path is not shown: somebody may have put the secret itself there.
        raise Misconfigured(f"{name}_FILE names a file that cannot be read: {reason}") from None


def _explain(error: ValidationError) -> list[str]:
    """Say what is wrong with each variable. It may end in a client's log: no secret, no number."""
    lines = []
    for fault in error.errors(include_url=False):
        name = str(fault["loc"][0]) if fault["loc"] else ""
        message = mask(wanted(fault))
        if not name:
            lines.append(message)
        elif name in _PRIVATE:
            lines.append(f"{name}: {message}")
        else:
            lines.append(f"{name}={mask(repr(str(fault['input'])[:80]))}: {message}")
    return lines


_PRIVATE = frozenset(
    {
        "ELKS_API_USERNAME",
        "ELKS_API_PASSWORD",
        "ELKS_API_BASE_URL",
        "ELKS_DATABASE_URL",
        "ELKS_SECRET_KEY",
        "ELKS_PUBLIC_URL",
    }
)


def _strangers(present: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    known = {*NAMES, *(f"{name}_FILE" for name in ALSO_AS_FILE)}
    ours = [name for name in sorted(present) if name.startswith("ELKS_") or name in _MISTAKES]
    strangers = [name for name in ours if name not in known]
    mistaken = {name: right for name in strangers if (right := _meant(name, known)) is not None}
    return mistaken, tuple(name for name in strangers if name not in mistaken)


def _meant(name: str, known: set[str]) -> str | None:
    if name in _MISTAKES:
        return _MISTAKES[name]
    import difflib  # noqa: PLC0415  (only where something is mistaken)

    near = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
    if near:
        return near[0]
    return "" if _SOUNDS_LIKE_A_LIMIT.search(name) else None
