"""What the operator configured: one class, read from the environment.

`read` reports values that cannot be read as faults, and `load` raises an error for them. A blank value,
or one that a client left unexpanded (`${…}`), counts as unset.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta, tzinfo
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    SecretStr,
    ValidationError,
)

from elks_mcp.domain.phone import Number, Sender
from elks_mcp.domain.policy import Confirm, Policy
from elks_mcp.elks.service import DEFAULT_BASE_URL, WEBHOOK_SOURCES, Credentials
from elks_mcp.errors import Misconfigured
from elks_mcp.runtime.addresses import Networks, normalize_url
from elks_mcp.runtime.validation import wanted
from elks_mcp.settings.parsers import (
    read_api_base_url,
    read_base_url,
    read_budget,
    read_countries,
    read_database_url,
    read_folder,
    read_guards,
    read_hosts,
    read_networks,
    read_numbers,
    read_secret_key,
    read_sender,
    read_senders,
    read_switch,
    read_text,
    read_time_zone,
)
from elks_mcp.settings.problems import (
    PRIVATE,
    SettingProblem,
    Unreadable,
    describe_value,
    explain_problems,
    find_credential_slips,
    find_secrets,
    find_slip,
    may_show,
)
from elks_mcp.store import AccountKey, StateLocation
from elks_mcp.store.private_files import is_open_to_all

Switch = Annotated[bool, BeforeValidator(read_switch)]


class Settings(BaseModel):
    """Everything that can be configured, by the name of its environment variable."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api_username: Annotated[str | None, Field(alias="ELKS_API_USERNAME")] = None
    """API username of the 46elks account (46elks.com: Account → API)."""

    api_password: Annotated[SecretStr | None, Field(alias="ELKS_API_PASSWORD")] = None
    """API password; not the one of the web site."""

    phone_number: Annotated[Sender | None, BeforeValidator(read_sender), Field(alias="ELKS_PHONE_NUMBER")] = (
        None
    )
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
        BeforeValidator(read_countries),
        Field(alias="ELKS_ALLOWED_COUNTRIES", min_length=1),
    ] = None
    """Countries texts may go to, as in `SE,NO`. Default: the country of `ELKS_PHONE_NUMBER`, else SE."""

    allowed_recipients: Annotated[
        frozenset[Number], BeforeValidator(read_numbers), Field(alias="ELKS_ALLOWED_RECIPIENTS")
    ] = frozenset()
    """The only numbers that may be texted, separated by commas. Default: any in an allowed country."""

    allowed_senders: Annotated[
        tuple[Sender, ...], BeforeValidator(read_senders), Field(alias="ELKS_ALLOWED_SENDERS")
    ] = ()
    """The only senders besides `ELKS_PHONE_NUMBER` that may be used, separated by commas.
    Default: any that does not impersonate."""

    max_parts: Annotated[int, Field(alias="ELKS_MAX_PARTS", ge=1, le=255)] = 6
    """How many parts a text may take; each is billed."""

    budget_per_message: Annotated[
        int | None, BeforeValidator(read_budget), Field(alias="ELKS_BUDGET_PER_MESSAGE")
    ] = None
    """What one message may cost, in the account's currency. Default: 10 in SEK, NOK and DKK, else 1."""

    budget_per_day: Annotated[
        int | None, BeforeValidator(read_budget), Field(alias="ELKS_BUDGET_PER_DAY")
    ] = None
    """What any 24 hours may cost, in the account's currency. Default: 100 in SEK, NOK and DKK, else 10."""

    max_per_number: Annotated[int, Field(alias="ELKS_MAX_PER_NUMBER", ge=1, le=100_000)] = 5
    """Texts one number may get in 10 minutes, and a quarter of what it may get in a day."""

    guards_off: Annotated[frozenset[str], BeforeValidator(read_guards), Field(alias="ELKS_GUARDS_OFF")] = (
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

    state_dir: Annotated[Path | None, BeforeValidator(read_folder), Field(alias="ELKS_STATE_DIR")] = None
    """The folder for queued texts, limits and opt-outs. Default: this user's data folder."""

    database_url: Annotated[
        SecretStr | None, BeforeValidator(read_database_url), Field(alias="ELKS_DATABASE_URL")
    ] = None
    """A PostgreSQL to keep them in instead, for several machines: `postgresql://user:password@host/name`."""

    secret_key: Annotated[
        SecretStr | None, BeforeValidator(read_secret_key), Field(alias="ELKS_SECRET_KEY")
    ] = None
    """What hashes of numbers and texts are made with, 32 bytes or more. Needed with `ELKS_DATABASE_URL`;
    else one is made in the state folder."""

    retention_days: Annotated[float, Field(alias="ELKS_RETENTION_DAYS", ge=0, le=3650)] = 0
    """Days that texts are kept after they are sent. With 0 they are gone at once."""

    public_url: Annotated[str | None, BeforeValidator(read_base_url), Field(alias="ELKS_PUBLIC_URL")] = None
    """Where 46elks reaches `elks-mcp serve --http`, `https://…`: it then tells of deliveries and incoming
    texts at once."""

    allowed_hosts: Annotated[
        tuple[str, ...], BeforeValidator(read_hosts), Field(alias="ELKS_ALLOWED_HOSTS")
    ] = ()
    """Names by which clients call `elks-mcp serve --http`, separated by commas, with the port if it is not
    the scheme's own. This machine's own names and that of `ELKS_PUBLIC_URL` are taken anyway."""

    webhook_sources: Annotated[
        Networks, BeforeValidator(read_networks), Field(alias="ELKS_WEBHOOK_SOURCES")
    ] = WEBHOOK_SOURCES
    """The addresses 46elks calls from, separated by commas; what comes from others is dropped.
    Default: the four that 46elks names (2026-11)."""

    trusted_proxies: Annotated[
        Networks, BeforeValidator(read_networks), Field(alias="ELKS_TRUSTED_PROXIES")
    ] = ()
    """Your own proxies, by address or network, whose `X-Forwarded-For` is believed. Default: none."""

    metrics_from: Annotated[Networks, BeforeValidator(read_networks), Field(alias="ELKS_METRICS_FROM")] = ()
    """Addresses or networks from which `/metrics` and `/readyz?verbose` may be read without a token, if no
    proxy is in between. Default: this machine only."""

    api_base_url: Annotated[
        str | None, BeforeValidator(read_api_base_url), Field(alias="ELKS_API_BASE_URL")
    ] = None
    """Another address for 46elks' API, for instance that of `elks-mcp sandbox`."""

    time_zone: Annotated[
        InstanceOf[tzinfo] | None, BeforeValidator(read_time_zone), Field(alias="ELKS_TIME_ZONE")
    ] = None
    """The time zone in which people and assistants are told times, by its IANA name: `Europe/Stockholm`.
    Default: the zone of the machine, which in a container is often UTC."""

    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"],
        BeforeValidator(lambda value: str(value).upper()),
        Field(alias="ELKS_LOG_LEVEL"),
    ] = "INFO"
    """How much is logged on standard error."""

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
    def account(self) -> AccountKey:
        """The account whose rows of the state are used; in the sandbox it is the simulated one instead."""
        return AccountKey(self.base_url, self.credentials.username if self.credentials else "")

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names by which the server over HTTP is called, besides this machine's own."""
        published = (urlsplit(normalize_url(self.public_url)).netloc,) if self.public_url else ()
        return (*self.allowed_hosts, *published)

    @property
    def poll(self) -> timedelta:
        """How long after one reading of history comes the next, while somebody waits."""
        return timedelta(seconds=self.poll_seconds or (1 if self.sandbox else 10))

    def state_location(self) -> StateLocation:
        """Say where state is kept: in the sandbox, nowhere."""
        if self.sandbox:
            return StateLocation()
        return StateLocation(
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
            time_zone=self.time_zone,
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


def explain_unexpanded(name: str) -> str:
    """Say about a variable that a client left unexpanded what that comes to."""
    return f"{name} is nothing but a variable that your client did not expand (${{…}}): it counts as unset."


@dataclass(frozen=True, slots=True)
class Configuration:
    """Settings, where each came from, and what of the environment is no setting or cannot be read."""

    settings: Settings
    origins: Mapping[str, str]
    """The variable each set setting was read from, by the setting's name."""

    mistaken: Mapping[str, str]
    """Variables that are set and look like settings, with the name that is meant; "" where none is near."""

    unknown: tuple[str, ...]
    """Other variables that begin with ELKS_."""

    unexpanded: tuple[str, ...] = ()
    """Settings that a client left unexpanded (`${…}`); they count as unset."""

    slips: tuple[str, ...] = ()
    """Sentences about values that can be read and are likely not what was meant; none repeats a value."""

    faults: tuple[SettingProblem, ...] = ()
    """What cannot be read; `settings` lacks these values, so nothing may be done by them."""

    def lacks(self, *variables: str) -> bool:
        """Tell whether one of these settings, or the file that may hold them, cannot be read."""
        return any(fault.setting in {*variables, ENV_FILE} for fault in self.faults)

    exposed: tuple[str, ...] = ()
    """What names a file with a secret that every user of this machine may read."""


NAMES: Mapping[str, str] = {field.alias or name: name for name, field in Settings.model_fields.items()}
"""The setting behind each environment variable."""

ALSO_AS_FILE = ("ELKS_API_USERNAME", "ELKS_API_PASSWORD", "ELKS_PHONE_NUMBER", "ELKS_SECRET_KEY")

_SECRETS_AS_FILE = ("ELKS_API_PASSWORD", "ELKS_SECRET_KEY")

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


ENV_FILE = "--env-file"
"""The option that stands for a setting in a fault."""


def load(environ: Mapping[str, str]) -> Configuration:
    """Read the environment.

    Raises:
        Misconfigured: a value cannot be read; the text names the variable, without numbers and secrets.
    """
    configuration = read(environ)
    if configuration.faults:
        raise Misconfigured(explain_problems(configuration.faults))
    return configuration


def read(environ: Mapping[str, str]) -> Configuration:
    """Read the environment; a value that cannot be read becomes a fault, and every fault is reported."""
    present = {name: value.strip() for name, value in environ.items() if is_set(value)}
    values, origins, faults = _gather(present)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        secrets = find_secrets({**present, **values})
        faults += [_describe(each, origins, secrets) for each in error.errors(include_url=False)]
        values = _without(values, {fault.setting for fault in faults})
        settings = Settings.model_validate(values)
    mistaken, unknown = _taint_log(present)
    known = {*NAMES, *(f"{name}_FILE" for name in ALSO_AS_FILE)}
    files = {name: present.get(f"{name}_FILE") for name in _SECRETS_AS_FILE}
    return Configuration(
        settings,
        {NAMES[name]: origin for name, origin in origins.items() if name in values},
        mistaken,
        unknown,
        unexpanded=tuple(sorted(name for name in known & environ.keys() if is_unexpanded(environ[name]))),
        slips=_find_slips(values, settings),
        faults=tuple(faults),
        exposed=tuple(f"{name}_FILE" for name, path in files.items() if path and is_open_to_all(Path(path))),
    )


def _gather(present: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str], list[SettingProblem]]:
    """Gather the values of all settings, and the variable that each came from."""
    values, origins, faults = {}, {}, []
    for name in NAMES:
        path = present.get(f"{name}_FILE") if name in ALSO_AS_FILE else None
        try:
            value = present.get(name) if path is None else _read_named_file(name, path, present)
        except Unreadable as error:
            faults.append(SettingProblem(name, str(error)))
            continue
        if value is not None and not _is_utf8(value):
            faults.append(SettingProblem(name, f"{name} holds bytes that are not UTF-8."))
        elif value is not None:
            values[name], origins[name] = value, name if path is None else f"{name}_FILE"
    return values, origins, faults


def _is_utf8(value: str) -> bool:
    """Tell whether a value can be sent; Python marks the bytes of the environment that it cannot decode."""
    return not any("\ud800" <= char <= "\udfff" for char in value)


def _without(values: Mapping[str, str], names: set[str]) -> dict[str, str]:
    """Leave out what cannot be read, and what is read by it."""
    if "ELKS_PHONE_NUMBER" in names:
        names = names | {"ELKS_ALLOWED_RECIPIENTS"}
    return {name: value for name, value in values.items() if name not in names}


def _find_slips(values: Mapping[str, str], settings: Settings) -> tuple[str, ...]:
    unused = {"ELKS_API_USERNAME", "ELKS_API_PASSWORD"} if settings.sandbox else set()
    used = {name: value for name, value in values.items() if name not in unused}
    slips = [f"{name} may be wrong. {slip}" for name, value in used.items() if (slip := find_slip(value))]
    return (*slips, *find_credential_slips(used.get("ELKS_API_USERNAME"), used.get("ELKS_API_PASSWORD")))


def is_set(value: str) -> bool:
    """Tell a value from a blank one, and from one that a client left unexpanded (`${…}`)."""
    return bool(value.strip()) and not is_unexpanded(value)


def is_unexpanded(value: str) -> bool:
    """Tell whether a value is nothing but a variable that a client left unexpanded (`${…}`)."""
    return re.fullmatch(r"\$\{[^}]*\}", value.strip()) is not None


def _read_named_file(name: str, path: str, present: Mapping[str, str]) -> str:
    if name in present:
        raise Unreadable(f"{name} and {name}_FILE are both set; set one of them.")
    try:
        text = read_text(Path(path)).strip()
    except Unreadable as error:
        # The path is not shown: somebody may have put the secret itself there.
        raise Unreadable(f"{name}_FILE names a file that cannot be read: {error}.") from None
    if not text:
        raise Unreadable(f"{name}_FILE names a file that is empty.")
    return text


def _describe(fault: Any, origins: Mapping[str, str], secrets: frozenset[str]) -> SettingProblem:
    """Say what is wrong with a value, from one of pydantic's `ErrorDetails`.

    What stands in a file is not shown: the path may name another file than the operator meant.
    """
    name, value = str(fault["loc"][0]), str(fault["input"])
    shown = name not in PRIVATE and origins[name] == name and may_show(value, secrets)
    error = fault.get("ctx", {}).get("error")
    said = wanted(fault)
    if isinstance(error, Unreadable) and not shown:
        said = error.advice
    label = describe_value(origins[name], value, shown=shown)
    # The words in between keep `mask` from taking the value and a limit behind it for one number.
    text = f"{label} is not valid: {said.rstrip('.')}. {find_slip(value)}"
    return SettingProblem(name, text.rstrip())


def _taint_log(present: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    known = {*NAMES, *(f"{name}_FILE" for name in ALSO_AS_FILE)}
    ours = [name for name in sorted(present) if name.startswith("ELKS_") or name in _MISTAKES]
    taint_log = [name for name in ours if name not in known]
    mistaken = {name: right for name in taint_log if (right := _meant(name, known)) is not None}
    return mistaken, tuple(name for name in taint_log if name not in mistaken)


def _meant(name: str, known: set[str]) -> str | None:
    if name in _MISTAKES:
        return _MISTAKES[name]
    import difflib  # noqa: PLC0415  (only where something is mistaken)

    near = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
    if near:
        return near[0]
    return "" if _SOUNDS_LIKE_A_LIMIT.search(name) else None
