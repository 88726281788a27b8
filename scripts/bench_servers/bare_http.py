"""A bare MCP server over HTTP that lists the same tools as ours, and only answers "pong"."""

import json
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver.tools import Tool
from mcp_types import ToolAnnotations

_LISTED = Path(__file__).parents[2] / "tests" / "mcp_server" / "snapshots" / "tools.json"


async def ping() -> str:
    """Answer."""
    return "pong"


def _tools() -> list[Tool]:
    """Return tools that are listed as ours are."""
    listed: list[dict[str, Any]] = json.loads(_LISTED.read_text(encoding="utf-8"))
    return [_looking_like(each) for each in listed]


def _looking_like(listed: dict[str, Any]) -> Tool:
    made = Tool.from_function(ping, structured_output=False)
    tool = Tool(
        **{
            **made.__dict__,
            "name": listed["name"],
            "title": listed["title"],
            "description": listed["description"],
            "parameters": listed["inputSchema"],
            "annotations": ToolAnnotations(**listed["annotations"]),
        }
    )
    tool.__dict__["output_schema"] = listed["outputSchema"]  # for the list only; answers are not validated
    return tool


if __name__ == "__main__":
    server = MCPServer("bare", log_level="WARNING", tools=_tools())
    config = uvicorn.Config(
        server.streamable_http_app(), log_config=None, access_log=False, ws="none", server_header=False
    )
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        print(f"serving at http://127.0.0.1:{listener.getsockname()[1]}/mcp", file=sys.stderr, flush=True)
        uvicorn.Server(config).run([listener])
