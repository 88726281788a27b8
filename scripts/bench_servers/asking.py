"""A minimal MCP server that requests the account from 46elks, and nothing more.

One HTTP client is kept for all calls. The tool returns the JSON unchanged.
"""

import os

import httpx2
from mcp.server import MCPServer

server = MCPServer("asking", log_level="WARNING")
client = httpx2.AsyncClient(
    base_url=os.environ["ELKS_API_BASE_URL"],
    auth=httpx2.BasicAuth(os.environ["ELKS_API_USERNAME"], os.environ["ELKS_API_PASSWORD"]),
    trust_env=False,
)


@server.tool()
async def balance() -> str:
    """Return the balance of the account."""
    answer = await client.get("/me")
    answer.raise_for_status()
    return answer.text


if __name__ == "__main__":
    server.run()
