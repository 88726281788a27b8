"""The tests can fail: each of these breakages of the program is caught by tests that are quick.

A breakage is a change of a few words in a copy of the package; the tests named with it run against the copy,
in a process of their own, and must not pass. If the code was rewritten, the breakage has to be rewritten too.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STORE, RACES, SCHEDULE, WINDOWS, CRASHES, OUTBOX, ROAD = (
    "tests/store",
    "tests/store/test_races.py",
    "tests/store/test_schedule.py",
    "tests/store/test_send_windows.py",
    "tests/test_crash_points.py",
    "tests/sending",
    "tests/elks",
)


@dataclass(frozen=True)
class Mutant:
    """One way to break the program."""

    name: str
    file: str
    words: tuple[tuple[str, str], ...]
    """What stands there, and what stands there instead."""

    caught_by: str
    tests: str
    """Which of its tests: an expression, as `pytest -k` takes it."""

    elsewhere: tuple[tuple[str, str, str], ...] = ()
    """What has to change in other files with it: the file, what stands there, and what instead."""

    def changes(self) -> Iterator[tuple[Path, str, str]]:
        """List all changes, by files within the package."""
        for words, instead in self.words:
            yield Path(self.file), words, instead
        for file, words, instead in self.elsewhere:
            yield Path(file), words, instead


MUTANTS = (
    Mutant(
        "post before the claim is committed",
        "store/claims.py",
        (('"state": OrderState.SENDING,', '"state": OrderState.QUEUED,'),),
        CRASHES,
        "one_message_goes_out and dies",
        elsewhere=(
            (
                "store/queue.py",
                '    orders.c.lease == bindparam("token"),\n    orders.c.state == OrderState.SENDING,\n',
                '    orders.c.lease == bindparam("token"),\n',
            ),
        ),
    ),
    Mutant(
        "no quiet period",
        "store/doubts.py",
        (("read_at < row.changed_at + quiet:", "read_at < row.changed_at:"),),
        STORE,
        "two_late_readings and sqlite",
    ),
    Mutant(
        "one reading is enough",
        "store/doubts.py",
        (
            ("if row.absent_at is None:", "if row.absent_at is None and not quiet:"),
            (
                "elif read_at < row.absent_at + _pause_between(quiet):",
                "elif row.absent_at and read_at < row.absent_at:",
            ),
        ),
        STORE,
        "two_late_readings and sqlite",
    ),
    Mutant(
        "a reading that shows something like it counts as one without it",
        "store/doubts.py",
        (("change(tx, row.id, absent_at=None, due_at=clear_by)", "change(tx, row.id, absent_at=read_at)"),),
        STORE,
        "looked_like_it and sqlite",
    ),
    Mutant(
        "no lease check before the first byte",
        "sending/attempt.py",
        (("return not self._deadline.has_passed", "return True"),),
        OUTBOX,
        "wakes_after_the_time_to_begin or was_frozen",
    ),
    Mutant(
        "no lease check before the form",
        "elks/send_gate.py",
        (("require(self._permission.is_in_time())", "pass"),),
        ROAD,
        "may_not_send_any_more",
    ),
    Mutant(
        "a form that is not taken back",
        "elks/send_gate.py",
        (
            (
                "self._cork is not None and self._socket is not None and not self._permission.is_in_time()",
                "not self._permission.is_in_time()",
            ),
            ("self._hold_back(on=True)", "pass"),
        ),
        ROAD,
        "stood_still_between",
    ),
    Mutant(
        "no lease check when settling",
        "store/queue.py",
        (("orders.c.lease == claim.lease, in_play)", "in_play)"),),
        STORE,
        "another_took_over and sqlite",
    ),
    Mutant(
        "a budget that is read and then written",
        "store/db/transactions.py",
        (("work, writes=True, decides=True)", "work, writes=True, decides=False)"),),
        RACES,
        "eight_processes and postgres",
    ),
    Mutant(
        "a writer of SQLite that begins as a reader",
        "store/db/transactions.py",
        (("work, writes=True, decides=True)", "work, writes=False, decides=True)"),),
        STORE,
        "has_the_lock_before_looking",
    ),
    Mutant(
        "what somebody was sending when they died is queued again at once",
        "store/queue.py",
        (
            (
                "tx, order_id, state=OrderState.IN_DOUBT, status_reason",
                "tx, order_id, state=OrderState.QUEUED, status_reason",
            ),
        ),
        CRASHES,
        "one_message_goes_out and dies",
    ),
    Mutant(
        "a late receipt does not count",
        "store/queue.py",
        (
            (
                "        return accept_unshared(tx, claim.order_id, receipt)",
                """        found = _find_tried(tx, claim)
        return accept_unshared(tx, claim.order_id, receipt) if found else None""",
            ),
        ),
        STORE,
        "receipt_counts and sqlite",
    ),
    Mutant(
        "a message too many is taken for ours",
        "domain/doubts.py",
        (("if len(same) > len(equals):", "if not same:"),),
        STORE,
        "left_to_a_person and sqlite",
    ),
    Mutant(
        "history that begins after the first attempt",
        "store/doubts.py",
        (
            (
                "times.where(_in_doubt(tx, self._kind))",
                "times.where(_in_doubt(tx, self._kind), orders.c.due_at <= tx.now)",
            ),
        ),
        STORE,
        "begins_after_it and sqlite",
    ),
    Mutant(
        "a repeat that is not noticed",
        "store/prior.py",
        (("repeated = _find_repeated(rows) if dedupe else None", "repeated = None"),),
        STORE,
        "same_text_again and sqlite",
    ),
    Mutant(
        "a yes that works twice",
        "store/orders.py",
        (("if row.state != OrderState.WAITING:", "if row.state == OrderState.EXPIRED:"),),
        STORE,
        "lets_an_order_go_once and sqlite",
    ),
    Mutant(
        "a schedule that is early",
        "store/schedule.py",
        (("orders.c.due_at <= tx.now, orders.c.expires_at >= tx.now", "orders.c.expires_at >= tx.now"),),
        SCHEDULE,
        "before_its_time and sqlite",
    ),
    Mutant(
        "a schedule that is late",
        "store/schedule.py",
        (("orders.c.due_at <= tx.now, orders.c.expires_at >= tx.now", "orders.c.due_at <= tx.now"),),
        SCHEDULE,
        "was_missed_expires and sqlite",
    ),
    Mutant(
        "a last look that does not mind the time",
        "store/queue.py",
        (("~has_opted_out(), _IS_IN_TIME)", "~has_opted_out())"),),
        SCHEDULE,
        "last_look and sqlite",
    ),
    Mutant(
        "what is queued again is early",
        "store/db/changes.py",
        (("max(due_at, row.send_at or due_at)", "due_at"),),
        SCHEDULE,
        "queued_again_after",
    ),
    Mutant(
        "a price that rose is paid",
        "sending/schedule.py",
        (("if price <= due.price:", "if price:"),),
        "tests/sending/test_schedule.py",
        "price_that_rose",
    ),
    Mutant(
        "a budget that counts only what was before",
        "store/totals.py",
        (("_find_largest(moment, amount, counted, length)), else_", "before), else_"),),
        WINDOWS,
        "35_days",
    ),
    Mutant(
        "a period that is a moment too short",
        "store/totals.py",
        (("shifted(moment, length), Moment", "shifted(moment, length - timedelta(microseconds=1)), Moment"),),
        WINDOWS,
        "simplest_sum",
    ),
    Mutant(
        "a clock put back that frees the budget",
        "store/totals.py",
        (("or_(at <= NOW, state != OrderState.SCHEDULED)", "at <= NOW"),),
        WINDOWS,
        "clock_was_put_back and sqlite",
    ),
    Mutant(
        "nobody looks for a STOP last of all",
        "store/queue.py",
        (("where(_IS_HELD, ~has_opted_out(), _IS_IN_TIME)", "where(_IS_HELD, _IS_IN_TIME)"),),
        STORE,
        "after_a_stop_nobody and sqlite",
    ),
    Mutant(
        "a pace that nobody moves on",
        "store/claims.py",
        (("self.next += self._pace.gap", "self.next += 0 * self._pace.gap"),),
        RACES,
        "keep_one_pace and sqlite",
    ),
    Mutant(
        "sent texts that cost nothing",
        "store/db/changes.py",
        (("charge=case((_COST > 0, _COST), else_=orders.c.price)", "charge=0"),),
        STORE,
        "budget_holds and sqlite",
    ),
    Mutant(
        "an echo of our own text is its sender's word",
        "store/self_caused.py",
        (("    return any(\n", "    return False and any(\n"),),
        "tests/store/test_self_caused.py",
        "nobodys_word",
    ),
    Mutant(
        "parallel calls spread a stranger's text",
        "sending/orders.py",
        (("self.checks.recheck_unasked if is_unasked else self.checks.recheck", "self.checks.recheck"),),
        "tests/mcp_server/test_taint.py",
        "at_the_same_time",
    ),
    Mutant(
        "another account's orders are sent",
        "store/claims.py",
        (('        o.account_id == bindparam("account"),\n        o.state', "        o.state"),),
        STORE,
        "accounts_do_not_see and sqlite",
    ),
    Mutant(
        "texts that stay",
        "store/db/changes.py",
        (('return {} if tx.keeps_texts else {"content": None}', "return {}"),),
        STORE,
        "gone_once_its_order and sqlite",
    ),
    Mutant(
        "texts that stay in the file",
        "store/db/engines.py",
        (('"secure_delete=ON"', '"secure_delete=OFF"'),),
        STORE,
        "gone_once_its_order and sqlite or gone_from_every_page",
    ),
    Mutant(
        "a disk that is not waited for",
        "store/db/engines.py",
        (('"synchronous=FULL"', '"synchronous=OFF"'),),
        STORE,
        "lose_and_to_keep_nothing",
    ),
    Mutant(
        "a log that loses data with several processes",
        "store/db/engines.py",
        (("SAFE_WAL = (3, 51, 3)", "SAFE_WAL = (3, 7, 0)"),),
        STORE,
        "lose_and_to_keep_nothing",
    ),
    Mutant(
        "a post that is tried again by itself",
        "elks/transport.py",
        (
            (
                'return await self._request(self._one_shot, "POST", path, data=form, permission=permission)',
                """try:
                return await self._request(self._one_shot, "POST", path, data=form, permission=permission)
            except _ConnectionCut:
                return await self._request(self._one_shot, "POST", path, data=form, permission=permission)""",
            ),
        ),
        CRASHES,
        "undisturbed and sqlite",
    ),
)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Make a copy of the package to break."""
    cache = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(ROOT / "src" / "elks_mcp", tmp_path / "elks_mcp", ignore=cache))


def run_tests(package: Path, file: str, tests: str) -> subprocess.CompletedProcess[str]:
    """Run tests against a copy of the package."""
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-n0",
            "-p",
            "no:cacheprovider",
            "-m",
            "not long",
            file,
            "-k",
            tests,
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


@pytest.mark.long
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_breakage_is_caught(package: Path, mutant: Mutant) -> None:
    for file, words, instead in mutant.changes():
        source = (package / file).read_text(encoding="utf-8")
        assert source.count(words) == 1, f"not there, or not once: {words}"
        (package / file).write_text(source.replace(words, instead), encoding="utf-8")
    ended = run_tests(package, mutant.caught_by, mutant.tests)
    assert ended.returncode == pytest.ExitCode.TESTS_FAILED, ended.stdout[-3000:]


@pytest.mark.long
@pytest.mark.parametrize("file", sorted({mutant.caught_by for mutant in MUTANTS}))
def test_what_catches_breakages_passes_where_nothing_is_broken(package: Path, file: str) -> None:
    tests = " or ".join(f"({mutant.tests})" for mutant in MUTANTS if mutant.caught_by == file)
    ended = run_tests(package, file, tests)
    assert ended.returncode == pytest.ExitCode.OK, ended.stdout[-3000:]


def test_every_breakage_is_still_one() -> None:
    for mutant in MUTANTS:
        for file, words, _ in mutant.changes():
            source = (ROOT / "src" / "elks_mcp" / file).read_text(encoding="utf-8")
            assert source.count(words) == 1, mutant.name
