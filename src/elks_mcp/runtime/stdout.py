"""Keeps standard output for the protocol, even if a library prints to it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_OUT, _ERR = 1, 2


@contextmanager
def diverted() -> Iterator[None]:
    """Redirect standard output, also of child processes, to standard error in the context."""
    sys.stdout.flush()
    wire = os.dup(_OUT)
    os.dup2(_ERR, _OUT)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(wire, _OUT)
        os.close(wire)


def divert_for_good() -> None:
    """Redirect standard output, with buffered data, to standard error until the process ends."""
    os.dup2(_ERR, _OUT)
