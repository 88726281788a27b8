"""What a server says about its settings when it starts."""

import logging

from elks_mcp.domain.doubts import explain_short_quiet_period
from elks_mcp.settings import Configuration, explain_mistake, explain_unexpanded

log = logging.getLogger(__name__)


def warn(configuration: Configuration) -> None:
    """Log what the operator should know."""
    for fault in configuration.faults:
        log.error("%s", fault.text)
    for slip in (*configuration.slips, *map(explain_unexpanded, configuration.unexpanded)):
        log.warning("%s", slip)
    for wrong, right in configuration.mistaken.items():
        log.warning("%s", explain_mistake(wrong, right))
    if configuration.unknown:
        log.warning("unknown variables: %s", ", ".join(configuration.unknown))

    settings = configuration.settings
    if weak := explain_short_quiet_period(settings.quiet_period, settings.timeout):
        log.warning("%s", weak)
