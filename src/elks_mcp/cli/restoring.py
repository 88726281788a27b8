"""`elks-mcp outbox restored`: look up what was sent since a restored backup was made."""

import click

from elks_mcp.cli.arguments import yes_option
from elks_mcp.cli.confirm import confirm
from elks_mcp.cli.environment import with_settings
from elks_mcp.cli.output import say
from elks_mcp.cli.state import State
from elks_mcp.domain.kinds import SMS
from elks_mcp.domain.wording import format_count
from elks_mcp.runtime.launcher import show_command
from elks_mcp.settings import Configuration
from elks_mcp.store.restoring import Restoration, RestoredOrders


@click.command(short_help="After a backup was restored: look up what was sent since.")
@yes_option
@with_settings()
def restored(configuration: Configuration, *, yes: bool) -> int:
    """After a backup was restored, and before a server starts: look up what was sent since.

    The state does not know what was sent after the backup was made. This command puts every order that may
    have left in doubt. A server then reads 46elks' history, and sends only what history does not have and
    what is still in time. Orders that waited for a person become unknown, plans of batches are cancelled, and
    alerts end.
    """
    state = State(configuration)
    found = state.query(lambda database: Restoration(database).count())
    for line in _describe(found):
        say(line)
    if not yes and not confirm("No server runs on this state. Continue?"):
        say("Nothing was changed.")
        return 1
    hidden = {SMS} if configuration.settings.dontlog else frozenset[str]()
    state.query(lambda database: Restoration(database).hold(hidden))
    say(f"Done. Start a server; {show_command('outbox list')} shows what it finds out.")
    return 0


def _describe(found: RestoredOrders) -> list[str]:
    return [
        f"{format_count(found.doubted, 'order')} may have left: 46elks' history will be read first.",
        f"{format_count(found.unknown, 'order')} waited for a person: unknown, and never sent by itself.",
        f"{format_count(found.plans, 'plan')} of a batch may have been started: cancelled.",
        f"{format_count(found.alerts, 'alert')} may have gone on: ended.",
        f"{format_count(found.scheduled, 'order')} will be sent later, also if cancelled after the backup.",
    ]
