"""The operator's configuration, read from the environment.

`read` reports values that cannot be read as `Configuration.faults`, and `load` raises an error for them. A
value that is blank, or that a client left unexpanded (`${…}`), counts as unset.
"""

from elks_mcp.settings.credential_settings import mask_username
from elks_mcp.settings.mistaken_names import explain_mistake, explain_unexpanded
from elks_mcp.settings.reading import (
    ALSO_AS_FILE,
    NAMES,
    Configuration,
    RuleInForce,
    is_set,
    is_unexpanded,
    load,
    read,
)
from elks_mcp.settings.requirements import check_account, check_names
from elks_mcp.settings.settings import DECLARATIONS, Settings, default_state_dir

__all__ = [
    "ALSO_AS_FILE",
    "DECLARATIONS",
    "NAMES",
    "Configuration",
    "RuleInForce",
    "Settings",
    "check_account",
    "check_names",
    "default_state_dir",
    "explain_mistake",
    "explain_unexpanded",
    "is_set",
    "is_unexpanded",
    "load",
    "mask_username",
    "read",
]
