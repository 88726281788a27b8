"""One call of the API: as it came, and as it was answered."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any

BASE_PATH = "/a1"


@dataclass(slots=True, eq=False)
class ApiRequest:
    """What came in, without its password, and the status it was answered with.

    ``status`` is None until there is an answer, if there ever is one. ``fault`` names the fault that was
    injected into it, if any. ``error`` is the line that it was refused with.
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
        """What was asked: the form of a POST, the query of everything else."""
        return self.form if self.method == "POST" else self.query

    @property
    def resource(self) -> str:
        """The path as 46elks understands it: without ``/a1``, the resource in lower case."""
        return "/" + "/".join(self.segments)


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """What goes back. With *cut_at* the connection ends after so many bytes of the body."""

    status: int
    body: bytes
    content_type: str
    headers: dict[str, str] = field(default_factory=dict)
    cut_at: int | None = None

    @property
    def error(self) -> str:
        """The line that says what is wrong, or nothing."""
        is_line = self.status >= HTTPStatus.BAD_REQUEST and self.content_type.startswith("text/plain")
        return self.body.decode(errors="replace") if is_line else ""


def plain(status: int, line: str, **headers: str) -> ApiAnswer:
    """Make an error as 46elks does: one short English line."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ApiAnswer(status, line.encode(), "text/plain; charset=utf-8", named)


def as_json(content: dict[str, Any] | list[Any]) -> ApiAnswer:
    """Make an answer with status 200, which is also what 46elks gives for something new."""
    return ApiAnswer(200, json.dumps(content, ensure_ascii=False).encode(), "application/json")
