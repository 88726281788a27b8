"""Results in JSON and in words, for MCP, HTTP and the command line. Nothing here knows MCP."""
