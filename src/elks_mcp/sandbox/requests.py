"""One request to the API, and its answer."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any

BASE_PATH = "/a1"


@dataclass(slots=True, eq=False)
class ApiRequest:
    """A request without its password, and the status of its answer.

    `status` is None until it is answered. `fault` is the name of the fault that was injected, or None.
    `error` is the line that it was refused with, or "".
    """

    method: str
    path: str
    query: dict[str, str]
    form: dict[str, str]
    at: datetime
    authorised: bool
    status: int | None = None
    fault: str | None = None
    error: str = ""
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
