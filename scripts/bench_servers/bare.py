"""A bare MCP server on the SDK with one trivial tool: the minimal cost of any server on it."""

from mcp.server import MCPServer

server = MCPServer("bare", log_level="WARNING")


@server.tool()
async def ping() -> str:
    """Answer."""
    return "pong"


if __name__ == "__main__":
    server.run()
