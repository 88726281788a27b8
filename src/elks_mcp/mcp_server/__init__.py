"""The MCP server: the interface for assistants."""
