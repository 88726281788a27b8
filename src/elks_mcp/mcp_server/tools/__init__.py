"""The tools, by subject. `mcp_server/server.py` says which toolset each is in."""
