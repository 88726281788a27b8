"""How a running server is: in a word for each part, and in figures."""

import platform
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from functools import cache
from importlib.metadata import version
from itertools import chain

from elks_mcp.answers.policy import compute_budget
from elks_mcp.app import App
from elks_mcp.domain.orders import OrderState
from elks_mcp.errors import ElksError
from elks_mcp.runtime.metrics import as_label, gauge, info
from elks_mcp.store import PauseReason

_STUCK = timedelta(minutes=1)
"""An outbox that did not look for so long does not move."""


async def examine(app: App) -> Mapping[str, str]:
    """Say of each part whether it is as it must be, in a word that holds no secret."""
    state = {"database": "ok", "credentials": "ok", "outbox": "ok"}
    pause = None
    try:
        pause = await (await app.storage.open()).queue.find_pause()
    except ElksError as error:
        state["database"] = error.code
    if not app.has_account:
        state["credentials"] = "missing"
    elif pause is PauseReason.CREDENTIALS:
        state["credentials"] = "not accepted"
    if app.clock.now() - app.outbox.looked_at > _STUCK:
        state["outbox"] = "stuck"
    return state


async def write_metrics(app: App, *, listeners: int) -> str:
    """Write what there is to know of the server and its account; of a database that is away, that it is."""
    parts = {part: float(word == "ok") for part, word in (await examine(app)).items()}
    lines = [
        *info("elks_mcp_build_info", _find_versions()),
        *app.counters.write(),
        *gauge("elks_mcp_up", parts),
        *gauge("elks_mcp_listeners", {"": listeners}),
    ]
    with suppress(ElksError):
        lines += await _write_account(app)
    return "\n".join([*lines, ""])


@cache
def _find_versions() -> Mapping[str, str]:
    return {
        "version": version("elks-mcp"),
        "mcp_version": version("mcp"),
        "python_version": platform.python_version(),
    }


async def _write_account(app: App) -> list[str]:
    store = await app.storage.open()
    from elks_mcp.store.totals import TotalsStore  # noqa: PLC0415  (the store is loaded by now)

    sums = await TotalsStore(store.database).sum_up()
    budget = await compute_budget(app, sums.spent)
    figures = {
        "elks_mcp_queue_depth": sums.counts.get(OrderState.QUEUED, 0),
        "elks_mcp_queue_oldest_seconds": sums.waiting.total_seconds(),
        "elks_mcp_spent_24h": budget.spent.amount if budget.spent else None,
        "elks_mcp_budget_left": budget.left.amount if budget.left else None,
    }
    known = [gauge(name, {"": value}) for name, value in figures.items() if value is not None]
    states = {as_label(state.value): float(sums.counts.get(state, 0)) for state in OrderState}
    return [*gauge("elks_mcp_orders", states, "state"), *chain.from_iterable(known)]
