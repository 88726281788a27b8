"""MCP clients: where each keeps its servers, in which form, and how to change that.

It knows nothing of texts or of 46elks, and the command line is its only user.
"""
