"""The words with which the program is started: options, and a variable of the shell.

The greeter needs them before anything else is loaded, so this module imports nothing.
"""

ENV_FILE, STATE_DIR = "--env-file", "--state-dir"
"""The options of every command, and of the server for one client."""

COMPLETION = "_ELKS_MCP_COMPLETE"
"""The variable with which a shell asks for completions; zsh does that without a terminal."""
