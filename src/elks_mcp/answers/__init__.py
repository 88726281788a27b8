"""Results in JSON and as text, for all interfaces. Nothing here sends, or knows MCP."""
