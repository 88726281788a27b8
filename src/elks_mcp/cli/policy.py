"""`elks-mcp policy`: the policy report, as the tool explain_policy returns it."""

import anyio

from elks_mcp.answers.policy import describe_policy
from elks_mcp.cli.output import say
from elks_mcp.cli.read_only import open_read_only
from elks_mcp.settings import Configuration


def run(configuration: Configuration) -> int:
    """Print the policy report; return the exit code, 0.

    Raises:
        StateUnavailable, Misconfigured: there is a state, and it cannot be read.
    """
    anyio.run(_print_report, configuration)
    return 0


async def _print_report(configuration: Configuration) -> None:
    async with open_read_only(configuration) as app:
        say((await describe_policy(app)).in_zone(app.policy.time_zone).in_words())
