"""The environment, read."""

import sys
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elks_mcp.domain.allowed_recipients import ContactReference
from elks_mcp.domain.money import Money
from elks_mcp.domain.phone import Number, SenderId
from elks_mcp.domain.policy import Confirm, Mode, largest_day, largest_price
from elks_mcp.errors import Misconfigured
from elks_mcp.sandbox import Sandbox
from elks_mcp.settings import NAMES, Settings, default_state_dir, load
from elks_mcp.store import StateLocation

CREDENTIALS = {"ELKS_API_USERNAME": "u1", "ELKS_API_PASSWORD": "p1"}


def settings(**environ: str) -> Settings:
    """Read an environment without other variables."""
    configuration = load(environ)
    assert (configuration.mistaken, configuration.unknown) == ({}, ())
    return configuration.settings


def test_without_configuration_the_server_is_in_dry_run_for_sweden() -> None:
    policy = settings().policy()
    assert (policy.mode, policy.live) == (Mode.DRY_RUN, False)
    assert policy.allowed_countries == {"SE"}
    assert (policy.max_parts, policy.confirm, policy.sender) == (6, Confirm.AUTO, None)
    assert settings().credentials is None
    assert settings().base_url == "https://api.46elks.com/a1"


@pytest.mark.parametrize("word", ["false", "FALSE", "0", "no", "off", " Off "])
def test_a_no_in_any_common_word_makes_it_live(word: str) -> None:
    assert settings(DRY_RUN=word).policy().mode is Mode.LIVE


@pytest.mark.parametrize("word", ["true", "True", "1", "yes", "on"])
def test_a_yes_in_any_common_word_keeps_it_dry(word: str) -> None:
    assert settings(DRY_RUN=word).policy().mode is Mode.DRY_RUN


@given(st.text())
def test_any_other_word_for_dry_run_stops_the_start(word: str) -> None:
    known = {"true", "false", "1", "0", "yes", "no", "on", "off", ""}
    if word.strip().lower() in known or word.strip().startswith("${"):
        return
    with pytest.raises(Misconfigured, match="DRY_RUN"):
        load({"DRY_RUN": word})


@pytest.mark.parametrize("unset", ["", "   ", "${DRY_RUN}", "${user_config.dry_run}", "${input:x}"])
@pytest.mark.parametrize("name", NAMES)
def test_blank_and_unexpanded_values_count_as_unset(name: str, unset: str) -> None:
    assert load({name: unset}).settings == Settings()


def test_in_the_sandbox_an_unset_dry_run_is_false_and_a_set_one_is_obeyed() -> None:
    assert settings(ELKS_SANDBOX="true").policy().live
    assert settings(ELKS_SANDBOX="true").policy().mode is Mode.SANDBOX
    assert not settings(ELKS_SANDBOX="true", DRY_RUN="true").policy().live
    assert settings(ELKS_SANDBOX="true", DRY_RUN="true").policy().mode is Mode.SANDBOX


def test_in_the_sandbox_the_sender_is_the_simulated_accounts_number_unless_one_is_named() -> None:
    assert settings(ELKS_SANDBOX="true").policy().sender == Number(Sandbox().number)
    named = settings(ELKS_SANDBOX="true", ELKS_PHONE_NUMBER="Klara")
    assert named.policy().sender == SenderId("Klara")
    assert settings().policy().sender is None


def test_on_windows_packaged_apps_and_terminals_see_the_same_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert default_state_dir() == Path.home() / ".elks-mcp"


def test_state_is_in_the_users_data_folder_or_a_named_one_or_in_memory_in_the_sandbox(tmp_path: Path) -> None:
    assert settings().state_location() == StateLocation(folder=default_state_dir())
    assert default_state_dir().is_absolute()
    named = settings(ELKS_STATE_DIR=str(tmp_path), ELKS_RETENTION_DAYS="1.5").state_location()
    assert named == StateLocation(folder=tmp_path, retention=timedelta(days=1.5))
    assert named.file == tmp_path / "outbox.sqlite3"
    simulated = settings(
        ELKS_SANDBOX="true", ELKS_STATE_DIR=str(tmp_path), ELKS_RETENTION_DAYS="9"
    ).state_location()
    assert simulated == StateLocation()
    assert (simulated.file, simulated.is_durable) == (None, False)


def test_a_folder_is_read_as_a_shell_would(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert settings(ELKS_STATE_DIR="~/elks").state_dir == tmp_path / "elks"
    assert settings(ELKS_STATE_DIR="elks").state_dir == tmp_path / "elks"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_a_postgresql_database_replaces_the_file_and_its_password_is_not_shown(scheme: str) -> None:
    url, key = f"{scheme}://elks:hunter2@db.example.com/elks", "k" * 32
    configured = settings(ELKS_DATABASE_URL=url, ELKS_SECRET_KEY=key)
    location = configured.state_location()
    assert location.url
    assert location.key
    assert location.url.get_secret_value() == "postgresql://elks:hunter2@db.example.com/elks"
    assert location.key.get_secret_value() == key
    assert (location.file, location.is_durable) == (None, True)
    for shown in (repr(configured), str(configured), repr(location)):
        assert "hunter2" not in shown
        assert key not in shown


def test_a_secret_key_can_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k" * 64 + "\n", encoding="utf-8")
    key = settings(ELKS_SECRET_KEY_FILE=str(tmp_path / "key")).secret_key
    assert key
    assert key.get_secret_value() == "k" * 64


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ELKS_DATABASE_URL", "mysql://elks:hunter2@db.example.com/elks"),
        ("ELKS_SECRET_KEY", "hunter2"),
        ("ELKS_PUBLIC_URL", "https://elks:hunter2@sms.example.com"),
    ],
)
def test_no_error_repeats_a_secret_address_or_key(name: str, value: str) -> None:
    with pytest.raises(Misconfigured, match=name) as refused:
        load({name: value})
    assert "hunter2" not in str(refused.value)


def test_the_public_address_has_no_slash_at_its_end() -> None:
    assert settings(ELKS_PUBLIC_URL="https://sms.example.com/elks/").public_url == (
        "https://sms.example.com/elks"
    )
    assert settings().public_url is None


def test_limits_that_need_the_store_have_defaults_and_can_be_set() -> None:
    policy = settings().policy()
    assert policy.max_per_number == 5
    assert [str(largest_day(policy, currency)) for currency in ("SEK", "NOK", "DKK", "EUR", "")] == [
        "100.00 SEK",
        "100.00 NOK",
        "100.00 DKK",
        "10.00 EUR",
        "10.00",
    ]
    policy = settings(ELKS_BUDGET_PER_DAY="2,50", ELKS_MAX_PER_NUMBER="2").policy()
    assert (largest_day(policy, "EUR"), policy.max_per_number) == (Money(25_000, "EUR"), 2)
    assert (settings().quiet_period, settings(ELKS_QUIET_PERIOD="0").quiet_period) == (120, 0)


def test_read_only_overrides_every_other_setting() -> None:
    assert not settings(ELKS_READ_ONLY="1", DRY_RUN="false", ELKS_SANDBOX="true").policy().live


def test_senders_are_numbers_or_names() -> None:
    assert settings(ELKS_PHONE_NUMBER="070-174 06 05").sender == Number("+46701740605")
    assert settings(ELKS_PHONE_NUMBER="Klara").sender == SenderId("Klara")
    several = settings(ELKS_ALLOWED_SENDERS="Klara, +46701740605")
    assert several.allowed_senders == (SenderId("Klara"), Number("+46701740605"))


def test_the_senders_country_is_allowed_and_decides_how_numbers_are_read() -> None:
    policy = settings(ELKS_PHONE_NUMBER="+4741234567").policy()
    assert (policy.allowed_countries, policy.home) == (frozenset({"NO"}), "NO")
    assert settings(ELKS_ALLOWED_COUNTRIES="se, fi").policy().allowed_countries == {"SE", "FI"}


def test_recipients_are_read_as_in_the_senders_country() -> None:
    finnish = settings(ELKS_PHONE_NUMBER="+358401234567", ELKS_ALLOWED_RECIPIENTS="040 123 4568")
    assert finnish.allowed_recipients == {Number("+358401234568")}
    assert settings(ELKS_ALLOWED_RECIPIENTS="070-174 06 05").allowed_recipients == {Number("+46701740605")}


def test_recipients_can_be_contacts_if_there_are_contacts() -> None:
    listed = settings(
        ELKS_ALLOWED_RECIPIENTS="070-174 06 05, Åsa Lind (…06),@jour", ELKS_CONTACTS="people.csv"
    )
    names = {ContactReference("Åsa Lind (…06)"), ContactReference("@jour")}
    assert listed.allowed_recipients == {Number("+46701740605"), *names}
    assert listed.policy().limits_to_contacts


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ('"Öberg, Åsa"', {"Öberg, Åsa"}),
        (' @jour , "Öberg, Åsa","Bo (…05), work" ', {"@jour", "Öberg, Åsa", "Bo (…05), work"}),
        ('Sven "Kalle" B,Bo', {'Sven "Kalle" B', "Bo"}),
        ('"Sven ""Kalle"" B, jr"', {'Sven "Kalle" B, jr'}),
        ('"Öberg, Åsa" , , Bo,', {"Öberg, Åsa", "Bo"}),
        ("Öberg, Åsa", {"Öberg", "Åsa"}),
    ],
)
def test_a_name_with_a_comma_is_listed_in_quotation_marks(value: str, names: set[str]) -> None:
    configuration = load({"ELKS_ALLOWED_RECIPIENTS": value, "ELKS_CONTACTS": "people.csv"})
    allowed = configuration.settings.allowed_recipients
    assert allowed == {ContactReference(name) for name in names}
    assert configuration.slips == ()


def test_the_budget_is_in_the_accounts_currency() -> None:
    policy = settings(ELKS_BUDGET_PER_MESSAGE="2,50").policy()
    assert largest_price(policy, "EUR") == Money(25_000, "EUR")
    assert [str(largest_price(settings().policy(), currency)) for currency in ("SEK", "EUR", "")] == [
        "10.00 SEK",
        "1.00 EUR",
        "1.00",
    ]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ELKS_TIMEOUT", "abc", "ELKS_TIMEOUT='abc'"),
        ("ELKS_TIMEOUT", "0", "0.1 is the least"),
        ("ELKS_MAX_PARTS", "ten", "it must be a whole number"),
        ("ELKS_MAX_PARTS", "0", "ELKS_MAX_PARTS='0'"),
        ("ELKS_MAX_PARTS", "2.5", "ELKS_MAX_PARTS='2.5'"),
        ("ELKS_SMS_PER_MINUTE", "100001", "ELKS_SMS_PER_MINUTE"),
        ("ELKS_CONFIRM", "sometimes", "'auto', 'always' or 'never'"),
        ("ELKS_ALLOWED_COUNTRIES", "Sweden", "use two-letter codes"),
        ("ELKS_ALLOWED_COUNTRIES", ",", "the list is empty"),
        ("ELKS_ALLOWED_RECIPIENTS", ",", "the list is empty"),
        ("ELKS_ALLOWED_SENDERS", " , ", "the list is empty"),
        ("ELKS_ALLOWED_RECIPIENTS", "701740605", "has no country code. It can be read as"),
        ("ELKS_ALLOWED_RECIPIENTS", "07O-174 06 05", "it contains 'O'"),
        ("ELKS_ALLOWED_RECIPIENTS", "Åsa Lind +46701740605", "it contains 'Å'"),
        ("ELKS_ALLOWED_RECIPIENTS", "+46701740605,Åsa", "names of contacts and groups need ELKS_CONTACTS"),
        ("ELKS_ALLOWED_RECIPIENTS", "@jour", "names of contacts and groups need ELKS_CONTACTS"),
        ("ELKS_ALLOWED_RECIPIENTS", 'Bo,"Öberg, Åsa', "close the quotation mark around a name"),
        ("ELKS_ALLOWED_RECIPIENTS", '"Öberg, Åsa" B, Bo', "close the quotation mark around a name"),
        ("ELKS_ALLOWED_RECIPIENTS", "contacts", "names of contacts and groups need ELKS_CONTACTS"),
        ("ELKS_PHONE_NUMBER", "46elks", "it begins with a digit"),
        ("ELKS_GUARDS_OFF", "impersonation", "cannot be switched off"),
        ("ELKS_GUARDS_OFF", "nonsense", "'nonsense' is not a guard; these can be switched off: textable"),
        ("ELKS_BUDGET_PER_MESSAGE", "-1", "is not an amount of money"),
        ("ELKS_BUDGET_PER_MESSAGE", "NaN", "is not an amount of money"),
        ("ELKS_API_BASE_URL", "http://api.46elks.com/a1", "use https://"),
        ("ELKS_API_BASE_URL", "https://u:p@api.46elks.com/a1", "credentials do not belong in an address"),
        ("ELKS_API_BASE_URL", "api.46elks.com", "use https://"),
        ("ELKS_API_BASE_URL", "https://api.46elks.com/a1?x=1", "without ? and #"),
        ("ELKS_LOG_LEVEL", "loud", "ELKS_LOG_LEVEL='LOUD'"),
        ("ELKS_GUARDS_OFF", "opted_out", "cannot be switched off"),
        ("ELKS_GUARDS_OFF", "night,daily_budget", "cannot be switched off"),
        ("ELKS_BUDGET_PER_DAY", "much", "is not an amount of money"),
        ("ELKS_BUDGET_PER_DAY", "-1", "is not an amount of money"),
        ("ELKS_MAX_PER_NUMBER", "0", "1 is the least"),
        ("ELKS_MAX_PER_NUMBER", "many", "it must be a whole number"),
        ("ELKS_QUIET_PERIOD", "-1", "0 is the least"),
        ("ELKS_QUIET_PERIOD", "3601", "'3601' is not valid: 3600.0 is the most"),
        ("ELKS_RETENTION_DAYS", "-1", "0 is the least"),
        ("ELKS_RETENTION_DAYS", "3651", "'3651' is not valid: 3650.0 is the most"),
        ("ELKS_SECRET_KEY", "k" * 31, "it needs 32 bytes or more"),
        ("ELKS_SECRET_KEY", "å" * 15, "it needs 32 bytes or more"),
        ("ELKS_DATABASE_URL", "mysql://u:p@db/elks", "use postgresql://"),
        ("ELKS_DATABASE_URL", "sqlite:///outbox.db", "for SQLite, leave it unset, and set ELKS_STATE_DIR"),
        ("ELKS_DATABASE_URL", "outbox.sqlite3", "use postgresql://"),
        ("ELKS_PUBLIC_URL", "http://sms.example.com", "use https://"),
        ("ELKS_PUBLIC_URL", "https://u:p@sms.example.com", "credentials do not belong in an address"),
        ("ELKS_PUBLIC_URL", "https://sms.example.com/x?y=1", "without ? and #"),
        ("ELKS_PUBLIC_URL", "https://sms.example.com/#x", "without ? and #"),
    ],
)
def test_an_unreadable_value_is_named_with_acceptable_ones(name: str, value: str, said: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        load({name: value})
    assert name in str(refused.value)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:4646/a1", "http://localhost/a1/", "https://api.46elks.com/a1"]
)
def test_the_api_can_be_elsewhere_over_tls_or_on_this_machine(url: str) -> None:
    assert settings(ELKS_API_BASE_URL=url).base_url == url.rstrip("/")


def test_credentials_and_number_can_stand_in_files(tmp_path: Path) -> None:
    for name, value in (("user", "u1\n"), ("password", "p1\r\n"), ("number", "+46701740605")):
        (tmp_path / name).write_text(value, encoding="utf-8")
    configuration = load(
        {
            "ELKS_API_USERNAME_FILE": str(tmp_path / "user"),
            "ELKS_API_PASSWORD_FILE": str(tmp_path / "password"),
            "ELKS_PHONE_NUMBER_FILE": str(tmp_path / "number"),
        }
    )
    credentials = configuration.settings.credentials
    assert credentials
    assert (credentials.username, credentials.password.get_secret_value()) == ("u1", "p1")
    assert configuration.settings.sender == Number("+46701740605")
    assert configuration.origins["api_password"] == "ELKS_API_PASSWORD_FILE"
    assert configuration.unknown == ()


def test_a_file_that_cannot_be_read_or_a_value_beside_it_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(
        Misconfigured, match="ELKS_API_PASSWORD_FILE names a file that cannot be read"
    ) as unread:
        load({"ELKS_API_PASSWORD_FILE": str(tmp_path / "hunter2")})
    assert "hunter2" not in str(unread.value), "the secret itself may stand where the path should"
    (tmp_path / "password").write_text("secret", encoding="utf-8")
    with pytest.raises(Misconfigured, match="are both set") as refused:
        load({"ELKS_API_PASSWORD": "secret", "ELKS_API_PASSWORD_FILE": str(tmp_path / "password")})
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("ELKS_API_USER", "ELKS_API_USERNAME"),
        ("ELKS_USERNAME", "ELKS_API_USERNAME"),
        ("ELKS_PASSWORD", "ELKS_API_PASSWORD"),
        ("ELKS_FROM", "ELKS_PHONE_NUMBER"),
        ("ELKS_DRY_RUN", "DRY_RUN"),
        ("ELKS_ALLOWED_COUNTRY", "ELKS_ALLOWED_COUNTRIES"),
        ("ELKS_PHONENUMBER", "ELKS_PHONE_NUMBER"),
        ("ELKS_ALLOWED_NUMBERS", "ELKS_ALLOWED_RECIPIENTS"),
        ("DRYRUN", "DRY_RUN"),
        ("ELKS_DAILY_BUDGET", ""),
        ("ELKS_TOOLSET", "ELKS_TOOLSETS"),
        ("ELKS_INBOUND_ONLY", ""),
        ("ELKS_BUDGET_DAY", "ELKS_BUDGET_PER_DAY"),
        ("ELKS_MAX_PER_NUMBERS", "ELKS_MAX_PER_NUMBER"),
        ("ELKS_STATEDIR", "ELKS_STATE_DIR"),
        ("ELKS_BLOCKED_NUMBERS", ""),
    ],
)
def test_a_name_that_is_nearly_right_is_pointed_out(wrong: str, right: str) -> None:
    configuration = load({wrong: "x"})
    assert configuration.mistaken == {wrong: right}
    assert configuration.unknown == ()


def test_unknown_names_of_ours_are_noted_and_other_variables_are_ignored() -> None:
    configuration = load({"ELKS_MCP_SERVICE_HOST": "10.0.0.1", "PATH": "/bin", "ELKS_MCP_PORT": "1"})
    assert configuration.mistaken == {}
    assert configuration.unknown == ("ELKS_MCP_PORT", "ELKS_MCP_SERVICE_HOST")


def test_a_password_is_never_repeated_in_an_error() -> None:
    with pytest.raises(Misconfigured) as refused:
        load({"ELKS_API_PASSWORD": "hunter2", "ELKS_TIMEOUT": "x", "DRY_RUN": "y"})
    assert "hunter2" not in str(refused.value)
    assert "ELKS_TIMEOUT" in str(refused.value)
    assert "DRY_RUN" in str(refused.value)


def test_the_lines_at_the_start_show_no_secret_and_no_number() -> None:
    """Clients write a server's standard error to a log."""
    with pytest.raises(Misconfigured) as refused:
        load(
            {
                "ELKS_API_BASE_URL": "https://user:hunter2@api.46elks.com/a1",
                "ELKS_ALLOWED_RECIPIENTS": "+46.70.174.06.05x,701740606",
                "ELKS_PHONE_NUMBER": "701740607",
            }
        )
    for private in ("hunter2", "174.06", "1740605", "1740606", "1740607"):
        assert private not in str(refused.value)


def test_a_live_server_sends_the_queue_and_a_simulated_one_needs_no_account() -> None:
    account = {"ELKS_API_USERNAME": "u", "ELKS_API_PASSWORD": "p"}
    live, simulated = {**account, "DRY_RUN": "false"}, {"ELKS_SANDBOX": "true", "ELKS_DAILY_LIMIT": "10"}
    for sends in (live, simulated):
        assert load(sends).find_sending_obstacle() is None
    for more in ({"DRY_RUN": "true"}, {"ELKS_READ_ONLY": "true"}):
        assert load({**simulated, **more}).find_sending_obstacle()
        assert load({**live, **more}).find_sending_obstacle()
