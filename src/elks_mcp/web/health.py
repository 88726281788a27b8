"""The health of a running server, part by part, and its metrics for Prometheus."""

import platform
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from functools import cache
from importlib.metadata import version
from itertools import chain

from elks_mcp.answers.policy import compute_budget
from elks_mcp.app import App
from elks_mcp.domain.escalation import AlertState
from elks_mcp.domain.orders import OrderState
from elks_mcp.errors import ElksError
from elks_mcp.runtime.metrics import as_label, gauge, info
from elks_mcp.store import PauseReason

_STUCK = timedelta(minutes=1)
"""An outbox whose last look at its queue is older than this counts as stuck."""


async def check_parts(app: App) -> Mapping[str, str]:
    """Return the state of each part: "ok", or a word for what is wrong. None holds a secret."""
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


async def write_metrics(app: App, *, streams: int) -> str:
    """Return the metrics of the server and its account, in the text format of Prometheus.

    Figures from the database are left out while it cannot be read. `streams`: how many clients subscribe now.
    """
    parts = {part: float(word == "ok") for part, word in (await check_parts(app)).items()}
    lines = [
        *info("elks_mcp_build_info", _find_versions()),
        *app.counters.write(),
        *gauge("elks_mcp_up", parts),
        *gauge("elks_mcp_listeners", {"": streams}),
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
    sums = await store.totals.sum_up()
    budget = await compute_budget(app, sums.spent)
    figures = {
        "elks_mcp_queue_depth": sums.counts.get(OrderState.QUEUED, 0),
        "elks_mcp_queue_oldest_seconds": sums.waiting.total_seconds(),
        "elks_mcp_spent_24h": budget.spent.amount if budget.spent else None,
        "elks_mcp_budget_left": budget.left.amount if budget.left else None,
    }
    known = [gauge(name, {"": value}) for name, value in figures.items() if value is not None]
    if app.policy.offers_alerts:
        alerts = await store.alert_runs.count()
        by_state = {as_label(state.value): float(alerts.get(state, 0)) for state in AlertState}
        known.append(gauge("elks_mcp_alerts", by_state, "state"))
    states = {as_label(state.value): float(sums.counts.get(state, 0)) for state in OrderState}
    return [*gauge("elks_mcp_orders", states, "state"), *chain.from_iterable(known)]
