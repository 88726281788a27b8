"""Helpers shared by the tests of approval."""

DRY = {"DRY_RUN": "true"}
