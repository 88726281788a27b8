"""The tools, one file for each toolset."""
