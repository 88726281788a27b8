"""Helpers shared by the tests of the wire format."""

import json


def encoded(**fields: object) -> bytes:
    return json.dumps(fields).encode()
