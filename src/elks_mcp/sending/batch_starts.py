"""Start and resume batches: prices and opt-outs are checked first.

Every batch starts here, whether a person approved it in the client, in a terminal or on a page.
"""

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING

import anyio

from elks_mcp.domain.batches import Batch, BatchPlan
from elks_mcp.domain.orders import Approver, Draft, Order, OrderState
from elks_mcp.domain.taint import ShownText
from elks_mcp.elks.client import ElksClient
from elks_mcp.errors import Misconfigured, NotFound, ProviderError, Refused
from elks_mcp.sending.checks import DraftChecks
from elks_mcp.sending.options import OutboxOptions
from elks_mcp.sending.prices import check_prices
from elks_mcp.store import BatchChecks
from elks_mcp.store.values import DraftCheck

if TYPE_CHECKING:
    from elks_mcp.store.store import Store

log = logging.getLogger(__name__)


class BatchStarts:
    """Starts and resumes the batches of one account."""

    def __init__(self, client: ElksClient, checks: DraftChecks, options: OutboxOptions) -> None:
        self._client = client
        self._checks = checks
        self._options = options

    async def start(
        self, store: "Store", plan: BatchPlan, approver: Approver, shown: Collection[ShownText] = ()
    ) -> Batch:
        """Place the orders of an approved plan, unless it was started, and return the batch.

        Cancelling the caller cannot leave the outcome open. `shown`: the strangers' texts that this process
        showed to the caller's model.

        Raises:
            Refused: a guard now refuses the whole batch, a price rose, or the plan changed or expired.
            ProviderError: 46elks prices none of its texts, or history cannot be read.
            Misconfigured: the contacts decide who may be texted, and cannot be read.
        """
        if plan.is_started:
            return await store.batches.get(plan.id, pace=self._options.pace)
        await check_prices(self._client, ((plan.draft(row), row.price) for row in plan.rows))
        await self._look_up()
        is_unasked = approver is Approver.POLICY
        check = self._checks.recheck_row_unasked if is_unasked else self._checks.recheck_row
        with anyio.CancelScope(shield=True):
            checks = self._build_checks(check)
            started = await store.batches.start(plan.id, plan.digest, approver, checks, shown)
        return started.batch

    async def resume(self, store: "Store", batch: Batch) -> Batch:
        """Let the rows of a paused batch go out, and return it in its new state.

        Cancelling the caller cannot leave the outcome open.

        Raises:
            Refused: the batch was cancelled, or paused for too long; a price rose; or the budget does not
                allow the rest.
            ProviderError: 46elks prices none of its texts, or history cannot be read.
            Misconfigured: the contacts decide who may be texted, and cannot be read.
        """
        checks = await self._check_again(store, batch.id)
        with anyio.CancelScope(shield=True):
            resumed = await store.batches.resume(batch.id, checks)
        return resumed  # noqa: RET504  (the scope could have swallowed an exception)

    async def start_approved(self, store: "Store") -> bool:
        """Start the batches that a person approved outside the client.

        Return whether one was started or rejected. A batch that cannot be priced or checked now stays
        approved, and is tried again later.
        """
        decided = False
        for batch_id in await store.batch_approvals.list_approved():
            try:
                await self.start(store, await store.batches.get_plan(batch_id), Approver.TERMINAL)
            except (ProviderError, Misconfigured) as error:
                log.warning("%s was approved and cannot be checked for now: %s", batch_id, error)
                continue
            except (NotFound, Refused) as error:
                log.warning("%s was approved and cannot be started: %s", batch_id, error)
                await store.batch_approvals.reject(batch_id, str(error))
            decided = True
        return decided

    async def continue_interrupted(self, store: "Store") -> bool:
        """Continue the batches whose server ended; return whether there was one.

        A batch that cannot be checked now is tried again later. One whose price rose, or that the budget does
        not allow any more, is left to a person.
        """
        decided = False
        for batch_id in await store.batch_interruptions.list_interrupted():
            try:
                checks = await self._check_again(store, batch_id)
                decided |= await store.batch_interruptions.continue_interrupted(batch_id, checks)
            except (ProviderError, Misconfigured) as error:
                log.warning("%s was interrupted and cannot be checked for now: %s", batch_id, error)
            except Refused as error:
                log.warning("%s was interrupted and cannot continue: %s", batch_id, error)
                await store.batch_interruptions.leave_paused(batch_id, str(error))
        return decided

    async def _check_again(self, store: "Store", batch_id: str) -> BatchChecks:
        """Check the prices of a batch's paused rows, and return the checks for their resumption."""
        paused = [order for _, order in await store.batches.list_orders(batch_id, OrderState.PAUSED)]
        await check_prices(self._client, ((_build_draft(order), order.price) for order in paused))
        await self._look_up()
        return self._build_checks(self._checks.recheck_row)

    async def _look_up(self) -> None:
        """Read the latest incoming texts, as a recipient may have opted out, and the contacts."""
        if self._options.refresh_history:
            await self._options.refresh_history()
        await self._checks.read_contacts()

    def _build_checks(self, row: DraftCheck) -> BatchChecks:
        return BatchChecks(row, self._checks.recheck_sum, self._options.pace, dedupes=self._checks.dedupes)


def _build_draft(order: Order) -> Draft:
    """Return the draft of an order whose recipient is known."""
    if order.to is None:
        raise ValueError(f"the recipient of {order.id} was forgotten")
    return Draft(to=order.to, payload=order.payload, sender=order.sender)
