"""What the tests of the wire format share."""

import json


def encoded(**fields: object) -> bytes:
    return json.dumps(fields).encode()
