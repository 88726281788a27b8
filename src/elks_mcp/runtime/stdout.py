"""Keeps standard output for the protocol, even if a library prints to it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_OUT, _ERR = 1, 2


def open_closed_streams() -> None:
    """Open the null device for each standard stream that is closed. Call this first.

    Otherwise the next file that is opened gets the number of the closed stream. If that file is the
    database, standard output is written into it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):  # the lowest free number is opened
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(nowhere, True)
            setattr(sys, name, os.fdopen(nowhere, mode, encoding="utf-8"))


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
