"""`elks-mcp balance` and `stats`: the account's balance, and statistics on deliveries."""

import click

from elks_mcp.answers.lookups import read_balance, read_statistics
from elks_mcp.answers.statistics import StatisticsAnswer
from elks_mcp.cli.exit_codes import ExitCode
from elks_mcp.cli.history import continue_list
from elks_mcp.cli.output import wrap
from elks_mcp.cli.session import Session, session_command


@click.command()
@session_command()
def balance(session: Session) -> int:
    """Show the balance of the 46elks account."""
    answer = session.do(read_balance, session.app)
    session.print(answer, wrap(answer.in_words()))
    return ExitCode.DONE


@click.command()
@click.option(
    "--limit",
    default=50,
    show_default=True,
    type=click.IntRange(10, 100),
    help="How many of the latest sent texts to count, without --since.",
)
@click.option("--since", default="", help="Count all from this day or time on: 2026-12-01T09:00.")
@click.option("--until", default="", help="Count only up to this day, or before this time.")
@session_command()
def stats(session: Session, *, limit: int, since: str, until: str) -> int:
    """Show how many texts were delivered, at what cost, how fast."""

    async def read() -> StatisticsAnswer:
        return await read_statistics(session.app, limit, continue_list, since=since, until=until)

    answer = session.do(read)
    session.print(answer, wrap(answer.in_zone(session.app.policy.time_zone).in_words()))
    return ExitCode.DONE
