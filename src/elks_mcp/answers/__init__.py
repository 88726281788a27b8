"""Results in JSON and in words, for all front doors. Nothing here knows MCP."""
