"""Keeping standard output for the protocol, whatever a library prints."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_OUT, _ERR = 1, 2


@contextmanager
def diverted() -> Iterator[None]:
    """Send what anybody writes to standard output to standard error meanwhile, children included."""
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
    """Send it there until the process ends, whatever still lies in buffers included."""
    os.dup2(_ERR, _OUT)
