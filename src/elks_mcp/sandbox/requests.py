"""One request to the API, and its answer."""

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from heapq import merge
from http import HTTPStatus
from itertools import count
from typing import Any

BASE_PATH = "/a1"


class RefusedError(Exception):
    """46elks refuses a request with 403; the message is the line that it answers."""


@dataclass(slots=True, eq=False)
class ApiRequest:
    """A request without its password, and the status of its answer.

    `status` is None until it is answered. `fault` is the name of the fault that was injected, or None.
    `error` is the line that it was refused with, or "". `message_id` is the id of the SMS that it sent or
    the call that it made, or None. `answer` is the start of the answer's body, for the recent requests only.
    `subaccount` is the id of the subaccount whose credentials it has, "" for the account's own.
    """

    method: str
    path: str
    query: dict[str, str]
    form: dict[str, str]
    at: datetime
    authorized: bool
    subaccount: str = ""
    status: int | None = None
    fault: str | None = None
    error: str = ""
    message_id: str | None = None
    answer: str = ""
    id: int = field(default_factory=count().__next__, repr=False)
    segments: list[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.segments = [part for part in self.path.removeprefix(BASE_PATH).split("/") if part]
        if self.segments:
            # The resource's name is case-insensitive in practice, ids are not.
            self.segments[0] = self.segments[0].lower()

    @property
    def parameters(self) -> dict[str, str]:
        """The form of a POST, the query of any other request."""
        return self.form if self.method == "POST" else self.query

    @property
    def resource(self) -> str:
        """The path as 46elks reads it: without `/a1`, and with the resource in lower case."""
        return "/" + "/".join(self.segments)


class RecentRequests:
    """The last requests, with their answers, for the phone page.

    Those that send are kept apart from those that read, so that a client that polls does not displace them.
    """

    def __init__(self) -> None:
        self._sends: deque[ApiRequest] = deque(maxlen=200)
        self._others: deque[ApiRequest] = deque(maxlen=100)

    def __iter__(self) -> Iterator[ApiRequest]:
        """Iterate over the requests, oldest first."""
        return merge(self._sends, self._others, key=lambda request: request.id)

    def add(self, request: ApiRequest) -> None:
        """Add a request, and forget the answer of the one that it displaces."""
        kept = self._sends if request.method == "POST" else self._others
        if len(kept) == kept.maxlen:
            kept[0].answer = ""
        kept.append(request)

    def clear(self) -> None:
        """Remove all requests."""
        self._sends.clear()
        self._others.clear()


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """An answer. With `cut_at` the connection ends after that many bytes of the body."""

    status: int
    body: bytes
    content_type: str
    headers: dict[str, str] = field(default_factory=dict)
    cut_at: int | None = None

    @property
    def error(self) -> str:
        """The line of an error, or "" for other answers."""
        is_line = self.status >= HTTPStatus.BAD_REQUEST and self.content_type.startswith("text/plain")
        return self.body.decode(errors="replace") if is_line else ""


def plain(status: int, line: str, **headers: str) -> ApiAnswer:
    """Return an error in 46elks' form: one short line in English."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ApiAnswer(status, line.encode(), "text/plain; charset=utf-8", named)


def as_json(content: dict[str, Any] | list[Any]) -> ApiAnswer:
    """Return a JSON answer with status 200, which 46elks also uses for created objects."""
    return ApiAnswer(200, json.dumps(content, ensure_ascii=False).encode(), "application/json")
