"""Helpers shared by the tests of the promises."""

CANARY_TEXT = "kanariefågel i gruvan"
