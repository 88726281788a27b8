"""The next steps with a batch, as an interface names them: as tools, or as commands."""

from dataclasses import dataclass

from elks_mcp.answers.orders import explain_pause
from elks_mcp.answers.schedule import describe_sending_server
from elks_mcp.app import App
from elks_mcp.domain.batches import Batch, BatchState
from elks_mcp.sending.server_setup import locate_approval


@dataclass(frozen=True, slots=True)
class BatchSteps:
    """The names of the steps that a reader can take; a sentence can begin or end with each."""

    start: str
    resume: str
    rest: str
    """Plans those again who did not get the text."""

    approve: str = ""
    """The place where a person approves it, with a full stop."""

    sender: str = ""
    """A sentence on which process sends the rest, if it is running."""

    pause: str = ""
    """Why nothing is sent at the moment, if it is running: of the account, not of the batch."""


async def find_pause(app: App, batch: Batch) -> str:
    """Return why nothing of a running batch is sent at the moment; "" if it is."""
    pause = await (await app.storage.open()).queue.find_pause() if batch.is_moving else None
    return explain_pause(pause) if pause else ""


async def list_tools(app: App, batch: Batch) -> BatchSteps:
    """Return the steps of a model."""
    where = locate_approval(batch.approval_code, app.command, app.approval_page)
    sender = _explain_sender(app)
    if batch.state is BatchState.RUNNING:
        sender = sender if batch.is_moving else await describe_sending_server(app, "Each text")
        sender = f"{sender} Do not plan or start it again."
    return BatchSteps(*TOOL_STEPS, approve=where, sender=sender, pause=await find_pause(app, batch))


TOOL_STEPS = "start_batch", "stop_batch", "restOf"
"""`start`, `resume` and `rest` of a model."""


def _explain_sender(app: App) -> str:
    if not app.storage.location.is_durable:
        return "This server sends the rest while it runs: its state is in memory."
    if not app.policy.live:
        return "The rest is sent by a live server; this one sends nothing."
    return "This server, or another live one with the same state, sends the rest while it runs."
