"""`elks-mcp policy`: what may be sent now, as in the answer of the tool explain_policy."""

import anyio
import click

from elks_mcp.answers.policy import describe_policy
from elks_mcp.cli.environment import with_settings
from elks_mcp.cli.output import say
from elks_mcp.cli.read_only import open_read_only
from elks_mcp.settings import Configuration


@click.command()
@with_settings()
def policy(configuration: Configuration) -> int:
    """Show what may be sent now, and why.

    Lists each rule with the variable that changes it, and what is left of the budget. Changes nothing.
    """
    anyio.run(_print_report, configuration)
    return 0


async def _print_report(configuration: Configuration) -> None:
    async with open_read_only(configuration) as app:
        say((await describe_policy(app)).in_zone(app.policy.time_zone).in_words())
