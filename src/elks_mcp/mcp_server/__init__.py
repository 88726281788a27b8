"""The MCP server: the front door for assistants."""
