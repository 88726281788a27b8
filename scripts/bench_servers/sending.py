"""A minimal MCP server that prices a text and posts it, without any state."""

import os

import httpx2
from mcp.server import MCPServer

server = MCPServer("sending", log_level="WARNING")
client = httpx2.AsyncClient(
    base_url=os.environ["ELKS_API_BASE_URL"],
    auth=httpx2.BasicAuth(os.environ["ELKS_API_USERNAME"], os.environ["ELKS_API_PASSWORD"]),
    trust_env=False,
)


@server.tool()
async def send_sms(to: str, message: str) -> str:
    """Send a text."""
    form = {"from": os.environ["ELKS_PHONE_NUMBER"], "to": to, "message": message}
    (await client.post("/sms", data=form | {"dryrun": "yes"})).raise_for_status()
    answer = await client.post("/sms", data=form)
    answer.raise_for_status()
    return answer.text


if __name__ == "__main__":
    server.run()
