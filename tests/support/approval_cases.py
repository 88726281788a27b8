"""What the tests of approval share."""

DRY = {"DRY_RUN": "true"}
