"""The HTTP interface: MCP over HTTP, webhooks, health and metrics."""
