"""`elks-mcp approve` and `pending` for a batch: the same question, and the number of recipients."""

from pathlib import Path

import pytest

from elks_mcp.domain.batches import Batch, BatchPlan, BatchRow, BatchState
from elks_mcp.domain.money import Money
from elks_mcp.domain.phone import Number
from elks_mcp.store import StateLocation
from elks_mcp.store.store import Store
from tests.support.clocks import ManualClock
from tests.support.command_cases import do, run_command
from tests.support.state_folders import with_tables
from tests.support.stores import change_rows
from tests.support.terminal import at_terminal

QUESTION = "type the number of recipients"


@pytest.fixture
def location(tmp_path: Path) -> StateLocation:
    return with_tables(tmp_path / "state")


def wait_for_approval(location: StateLocation, texts: int = 12) -> Batch:
    """Have a batch that waits for a person in a terminal, two of whose texts go to one number."""
    numbers = [f"+467017406{at + 10:02}" for at in range(texts - 1)]
    rows = tuple(
        BatchRow(
            row=at + 2,
            to=Number(numbers[min(at, texts - 2)]),
            text=f"Hej {at}!",
            parts=1,
            price=Money(5200, "SEK"),
        )
        for at in range(texts)
    )

    async def work(store: Store) -> Batch:
        plan = BatchPlan(
            id="",
            caller="",
            name="Kallelse",
            sender=Number("+46701740699"),
            rows=rows,
            planned_at=ManualClock().now(),
        )
        return await store.batch_approvals.ask((await store.batches.add(plan)).id)

    batch: Batch = do(location, work)
    return batch


def find_batch(location: StateLocation, batch: Batch) -> Batch:
    """Find a batch in its current state."""
    found: Batch = do(location, lambda store: store.batches.get(batch.id))
    return found


def test_a_person_approves_a_batch_by_the_number_of_its_recipients(location: StateLocation) -> None:
    batch = wait_for_approval(location)
    environ = {"ELKS_STATE_DIR": str(location.folder)}
    with at_terminal("approve", str(batch.approval_code).lower(), environ=environ) as terminal:
        terminal.read_until(QUESTION).type(" 11 ")
        assert terminal.finish() == 0
    assert terminal.shown.startswith(
        "Send 12 texts to 11 recipients (Kallelse) from +46701740699?\nCost: 6.24 SEK, 12 parts.\n"
    )
    assert f"Approved. A running server starts {batch.id} now" in terminal.shown
    approved = find_batch(location, batch)
    assert (approved.state, approved.is_approved) == (BatchState.WAITING, True)
    again = run_command(location, "approve", batch.id)
    assert again.exit_code != 0  # it needs a terminal


@pytest.mark.parametrize("typed", ["", "12", "yes"])
def test_another_number_changes_nothing(location: StateLocation, typed: str) -> None:
    batch = wait_for_approval(location)
    environ = {"ELKS_STATE_DIR": str(location.folder)}
    with at_terminal("approve", str(batch.approval_code), environ=environ) as terminal:
        terminal.read_until(QUESTION).type(typed)
        assert terminal.finish() == 1
    assert "Not approved: this is not the number of recipients. Nothing was changed." in terminal.shown
    assert find_batch(location, batch) == batch


def test_p2_a_plan_that_changes_while_a_person_reads_is_not_approved(location: StateLocation) -> None:
    batch = wait_for_approval(location)
    environ = {"ELKS_STATE_DIR": str(location.folder)}
    with at_terminal("approve", str(batch.approval_code), environ=environ) as terminal:
        terminal.read_until(QUESTION)
        change_rows(location, "update batches set plan = replace(plan, 'Hej 7!', 'Hej då!')")
        terminal.type("11")
        assert terminal.finish() != 0
    assert f"{batch.id} is not the plan that was approved." in terminal.shown
    assert not find_batch(location, batch).is_approved


def test_a_waiting_batch_is_listed_with_its_size_and_price(location: StateLocation) -> None:
    batch = wait_for_approval(location)
    result = run_command(location, "pending")
    assert result.stdout.startswith(
        f"{batch.approval_code}  batch {batch.id}: 12 texts to 11 recipients from +46701740699, 12 parts, "
        "6.24 SEK; because of many; expires in "
    )
    assert result.stdout.endswith("To see one and approve it: `elks-mcp approve A-…`.\n")


END = "It does not wait for approval"


@pytest.mark.parametrize(
    ("change", "state"),
    [("cancelled_at = planned_at, plan = null", "cancelled"), ("planned_at = 0", "expired")],
)
def test_a_batch_that_no_longer_waits_cannot_be_approved(
    location: StateLocation, change: str, state: str
) -> None:
    batch = wait_for_approval(location)
    change_rows(location, f"update batches set {change}")  # noqa: S608  (the test's own words)
    with at_terminal("approve", batch.id, environ={"ELKS_STATE_DIR": str(location.folder)}) as terminal:
        assert terminal.finish() == 1
    assert f"{END}: {batch.id} is {state}." in terminal.shown
    assert run_command(location, "pending").stdout == "No texts are waiting for approval.\n"
