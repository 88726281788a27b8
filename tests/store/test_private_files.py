"""P8: the key, and everything else that this program creates, is private to the user."""

import os
import re
import stat
import sys
from itertools import product
from pathlib import Path

import pytest
from click.testing import Result

from elks_mcp.errors import Misconfigured
from elks_mcp.store import StateLocation
from elks_mcp.store.db.hashes import Hasher
from tests.support.connecting import PHONE, call, connected, live, new_box, posted, words
from tests.support.process import invoke, run
from tests.support.stores import opened, place_one

pytestmark = pytest.mark.anyio
on_posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")

CREDENTIALS = {
    "ELKS_API_USERNAME": "u1",
    "ELKS_API_PASSWORD": "p",
    "ELKS_API_BASE_URL": "http://localhost:9/a1",
}


def run_command(command: str, **environ: str) -> Result:
    """Run a command in this process."""
    return invoke(command.split(), {**CREDENTIALS, **environ})


def a_state(folder: Path, key: bytes | None = None) -> Path:
    """Make a state directory, with this key if one is given."""
    folder.mkdir(mode=0o700)
    if key is not None:
        (folder / "secret.key").write_bytes(key)
        (folder / "secret.key").chmod(0o600)
    return folder


# ── keys ──


SHORT_KEYS = (b"", b" \n", b"k" * 31, b"k" * 31 + b" " * 40)


@pytest.mark.parametrize("key", SHORT_KEYS)
async def test_p8_an_empty_or_short_key_of_a_state_directory_is_refused(tmp_path: Path, key: bytes) -> None:
    """P8: with a key that can be guessed, hashes of numbers and the addresses of webhooks are public."""
    folder = a_state(tmp_path / "state", key)
    box = new_box()
    async with connected(live(box, ELKS_STATE_DIR=str(folder)), box=box) as client:
        answer = await call(client, "send_sms", to=PHONE, message="Hej")
    assert answer.is_error
    assert "secret.key has " in words(answer)
    assert "needs 32 or more" in words(answer)
    assert posted(box) == []
    assert not (folder / "outbox.sqlite3").exists()


@pytest.mark.parametrize(
    ("command", "key"), [*product(["token list", "outbox", "policy"], SHORT_KEYS), ("doctor", b"k")]
)
@pytest.mark.usefixtures("stand_in")
def test_p8_every_command_refuses_a_short_key_of_a_state_directory(
    tmp_path: Path, command: str, key: bytes
) -> None:
    folder = a_state(tmp_path / "state", key)
    if command in {"outbox", "policy"}:
        (folder / "outbox.sqlite3").touch(mode=0o600)
    ended = run_command(command, ELKS_STATE_DIR=str(folder), ELKS_SANDBOX="")
    assert ended.exit_code == (1 if command == "doctor" else 2)
    assert "needs 32 or more: it could be guessed" in ended.output
    assert "Restore it from a backup." in ended.output


def test_p8_a_server_over_http_does_not_start_with_a_short_key(tmp_path: Path) -> None:
    folder = a_state(tmp_path / "state", b"k")
    ended = run("serve", "--http", "--port", "0", **CREDENTIALS, ELKS_STATE_DIR=str(folder))
    assert (ended.returncode, "needs 32 or more: it could be guessed" in ended.stderr) == (2, True)


@pytest.mark.parametrize("key", ["k" * 31, "å" * 15, "k"])
def test_p8_a_short_key_in_the_environment_is_refused(tmp_path: Path, key: str) -> None:
    ended = run_command("token list", ELKS_SECRET_KEY=key, ELKS_STATE_DIR=str(tmp_path / "state"))
    assert ended.exit_code == 2
    assert re.search(
        r"ELKS_SECRET_KEY \(\d+ characters\) is not valid: it needs 32 bytes or more", ended.stderr
    )
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("key", ["", "\n", "k" * 31 + "\n"])
def test_p8_a_short_key_in_a_file_the_operator_names_is_refused(tmp_path: Path, key: str) -> None:
    file = tmp_path / "key"
    file.write_text(key, encoding="utf-8")
    ended = run_command("token list", ELKS_SECRET_KEY_FILE=str(file), ELKS_STATE_DIR=str(tmp_path / "state"))
    said = (
        "ELKS_SECRET_KEY_FILE names a file that is empty" if not key.strip() else "it needs 32 bytes or more"
    )
    assert (ended.exit_code, said in ended.stderr) == (2, True)
    assert key.strip() == "" or key.strip() not in ended.stderr


@pytest.mark.usefixtures("stand_in")
def test_a_password_file_that_is_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "password").touch()
    ended = invoke(
        ["doctor"], {"ELKS_API_USERNAME": "u1", "ELKS_API_PASSWORD_FILE": str(tmp_path / "password")}
    )
    assert (ended.exit_code, "ELKS_API_PASSWORD_FILE names a file that is empty" in ended.stdout) == (1, True)


def test_p8_32_bytes_are_enough_and_31_are_not() -> None:
    assert Hasher(b"k" * 32).number(PHONE)
    with pytest.raises(Misconfigured, match="has 31 bytes and needs 32 or more"):
        Hasher(b"k" * 31)


# ── links, owners and rights ──


def put_link(path: Path, elsewhere: Path, *, dangling: bool) -> None:
    """Put a link in the place of a file or folder, to where that is now or to nothing."""
    if dangling and path.is_file():
        path.unlink()
    elif path.exists():
        path.rename(elsewhere.with_name("moved") if dangling else elsewhere)
    elif not dangling:
        elsewhere.touch()
    path.symlink_to(elsewhere)


@on_posix
@pytest.mark.parametrize("name", ["", "secret.key", "outbox.sqlite3", "outbox.sqlite3-wal"])
@pytest.mark.parametrize("dangling", [False, True])
async def test_p8_a_symbolic_link_as_the_state_is_refused(
    tmp_path: Path, name: str, *, dangling: bool
) -> None:
    location = StateLocation(folder=tmp_path / "state")
    async with opened(location) as store:
        await place_one(store)
    put_link(tmp_path / "state" / name, tmp_path / "elsewhere", dangling=dangling)
    with pytest.raises(Misconfigured, match="is a symbolic link"):
        async with opened(location):
            pass
    assert (tmp_path / "elsewhere").exists() is not dangling


@on_posix
@pytest.mark.usefixtures("stand_in")
def test_p8_the_commands_say_why_a_link_is_refused(tmp_path: Path) -> None:
    a_state(tmp_path / "real")
    (tmp_path / "state").symlink_to(tmp_path / "real")
    for command, code in (("token list", 2), ("doctor", 1)):
        ended = run_command(command, ELKS_STATE_DIR=str(tmp_path / "state"))
        assert (ended.exit_code, "is a symbolic link" in ended.output) == (code, True)
        assert "Set ELKS_STATE_DIR to the directory that it points to." in ended.output
    assert list((tmp_path / "real").iterdir()) == []


@pytest.mark.skipif("os.name != 'posix' or os.geteuid() != 0", reason="only root gives files away")
@pytest.mark.parametrize("name", ["", "secret.key", "outbox.sqlite3"])
async def test_p8_a_file_of_another_user_is_refused(tmp_path: Path, name: str) -> None:
    location = StateLocation(folder=tmp_path / "state")
    async with opened(location):
        pass
    os.chown(tmp_path / "state" / name, 65534, 65534)
    with pytest.raises(Misconfigured, match="belongs to another user"):
        async with opened(location):
            pass


@on_posix
async def test_p8_files_that_others_could_read_are_closed_to_them_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    location = StateLocation(folder=tmp_path / "state")
    async with opened(location) as store:
        await place_one(store)
    ours = [tmp_path / "state", tmp_path / "state" / "secret.key", tmp_path / "state" / "outbox.sqlite3"]
    (tmp_path / "state" / "outbox.sqlite3-journal").touch(mode=0o644)
    for path in ours:
        path.chmod(path.stat().st_mode | 0o066)
    async with opened(location):
        modes = [stat.S_IMODE(path.stat().st_mode) for path in ours]
        assert modes == [0o700, 0o600, 0o600]
    for path in ours:
        assert [each for each in caplog.messages if f"could access {path} (mode" in each]


@on_posix
def test_p8_with_a_key_from_the_environment_new_files_are_private_too(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        folder = tmp_path / "deep" / "state"
        ended = run_command(
            "token new agent --scope read", ELKS_STATE_DIR=str(folder), ELKS_SECRET_KEY="k" * 32
        )
    finally:
        os.umask(previous)
    assert ended.exit_code == 0
    made = [folder, *folder.iterdir()]
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in made} == {0}


# ── what the operator names ──


@on_posix
@pytest.mark.usefixtures("stand_in")
def test_p8_the_doctor_names_files_with_secrets_that_everybody_may_read(tmp_path: Path) -> None:
    password, key, env = tmp_path / "password", tmp_path / "key", tmp_path / "elks.env"
    password.write_text("hush", encoding="utf-8")
    key.write_text("k" * 32, encoding="utf-8")
    env.write_text("ELKS_MAX_PARTS=3", encoding="utf-8")
    environ = {
        "ELKS_API_USERNAME": "u1",
        "ELKS_API_BASE_URL": "http://localhost:9/a1",
        "ELKS_API_PASSWORD_FILE": str(password),
        "ELKS_SECRET_KEY_FILE": str(key),
        "ELKS_STATE_DIR": str(tmp_path / "state"),
    }
    for mode, noted in ((0o644, 3), (0o640, 0)):
        for file in (password, key, env):
            file.chmod(mode)
        result = invoke(["--env-file", str(env), "doctor"], environ)
        assert result.output.count("names a file that every user of this machine may read") == noted
        assert "hush" not in result.output
