"""A simulated 46elks on a free port of this machine.

It prints its address and credentials as one line of JSON.
"""

import json
import socket
import sys

import uvicorn

from elks_mcp.sandbox import Sandbox


def main() -> None:
    """Serve until terminated."""
    box = Sandbox(balance=10**12)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # otherwise every answer waits 40 ms
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/a1"
    json.dump({"url": url, "username": box.username, "password": box.password}, sys.stdout)
    print(flush=True)
    uvicorn.Server(uvicorn.Config(box.app, log_config=None, ws="none", date_header=False)).run([listener])


if __name__ == "__main__":
    main()
