"""A process of the crash test that works on batches, by commands that are lines of JSON.

It is the real program without an interface: the settings of its environment, the store, the worker.
"""

import json
import os
import sys
from typing import Any

import anyio

from elks_mcp.app import App, open_app
from elks_mcp.domain.batches import Batch
from elks_mcp.errors import ElksError
from elks_mcp.sending.batch_plans import BatchRequest
from elks_mcp.sending.batches import BatchDryRun, Batches, BatchRepeated
from elks_mcp.sending.plan import Decision
from elks_mcp.settings import load
from elks_mcp.spreadsheets.csv_tables import read_csv
from elks_mcp.spreadsheets.recipient_lists import build_recipient_list

MESSAGE = "{text}"
"""The message of all batches: each row has a text of its own."""


async def main() -> None:
    """Answer commands until the end of the standard input."""
    async with open_app(load(os.environ)) as app:
        _write({"ready": True})
        async for line in anyio.wrap_file(sys.stdin):
            command = json.loads(line)
            try:
                answer = await _carry_out(app, command)
            except ElksError as error:
                answer = {"error": str(error)}
            _write({"id": command["id"]} | answer)


async def _carry_out(app: App, command: dict[str, Any]) -> dict[str, Any]:
    if command["do"] == "plan":
        recipients = build_recipient_list(read_csv(command["list"].encode()), "SE")
        plan = await app.batch_planner.plan(BatchRequest(message=MESSAGE, recipients=recipients))
        return {"batch": plan.id, "rows": len(plan.rows)}
    if command["do"] == "start":
        return await _start(app, command["batch"])
    return _describe(await _CHANGES[command["do"]](app.batches, command["batch"]))


_CHANGES = {
    "pause": Batches.pause,
    "resume": Batches.resume,
    "cancel": Batches.cancel,
    "get": Batches.get,
}


async def _start(app: App, batch_id: str) -> dict[str, Any]:
    """Start a batch as if a person approved it."""
    prepared = await app.batches.prepare(batch_id, can_ask=True)
    if isinstance(prepared, BatchRepeated):
        return _describe(prepared.batch)
    if isinstance(prepared, BatchDryRun):
        return {"error": "It is a dry run."}
    return _describe(await app.batches.start(prepared, Decision.APPROVED))


def _describe(batch: Batch) -> dict[str, Any]:
    return {
        "state": batch.state,
        "unfinished": batch.unfinished,
        "is_started": batch.started_at is not None,
    }


def _write(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    anyio.run(main)
