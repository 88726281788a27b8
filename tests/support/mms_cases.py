"""Helpers of the tests of pictures."""

import base64
from pathlib import Path

from mcp_types import CallToolResult, ImageContent

from elks_mcp.sandbox import Sandbox
from tests.images.drawing import draw
from tests.support.connecting import live

PNG = draw("PNG")
STRANGER = "+46701740606"


def with_mms(box: Sandbox, pictures: Path | None = None, **more: str) -> dict[str, str]:
    """Return the environment of a live server that sends pictures."""
    files = {"ELKS_FILES_DIR": str(pictures)} if pictures else {}
    return live(box, ELKS_TOOLSETS="all", ELKS_MMS_PRICE="1.25", **files) | more


def data_url(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def sent_picture(form: dict[str, str]) -> bytes:
    """Return the bytes of the picture in a form that reached 46elks."""
    start, content = form["image"].split(",")
    assert start in {"data:image/png;base64", "data:image/jpeg;base64"}
    return base64.b64decode(content)


def shown_picture(result: CallToolResult) -> bytes:
    """Return the picture in an answer."""
    [image] = [each for each in result.content if isinstance(each, ImageContent)]
    assert image.mime_type in {"image/png", "image/jpeg"}
    return base64.b64decode(image.data)
