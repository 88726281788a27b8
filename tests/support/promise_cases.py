"""What the tests of the promises share."""

CANARY_TEXT = "kanariefågel i gruvan"
