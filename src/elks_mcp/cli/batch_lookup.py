"""The batch that a command names."""

import click

from elks_mcp.app import App
from elks_mcp.cli.state import State
from elks_mcp.domain.batches import Batch

batch_id = click.argument("number", metavar="B-…")


async def find_batch(app: App, number: str) -> tuple[App, Batch]:
    """Return the batch of the account with this id or approval code, and the app of its caller.

    A person at a terminal may act for every caller, as with orders.

    Raises:
        Misconfigured: there are no credentials.
        NotFound: the account has no such batch, or there is no state.
    """
    app.require_account()
    state = State(app.configuration)
    if not state.exists:
        raise state.explain_absence()
    store = await app.storage.open()
    batch = await store.batches.get(number, pace=app.outbox.pace)
    return app.of(app.caller.model_copy(update={"agent": batch.caller})), batch
