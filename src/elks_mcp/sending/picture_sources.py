"""Read the picture of an MMS: a file of the operator, a data URL, or a person's own file."""

import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from pathlib import Path

import anyio.to_thread

from elks_mcp.domain.contacts import shorten
from elks_mcp.domain.mms_payload import MOST_PASTED_PICTURE, PreparedImage
from elks_mcp.errors import InvalidInput
from elks_mcp.images.image_headers import MOST_FILE_BYTES, UnusableImage
from elks_mcp.images.shrinking import FOR_MMS, shrink
from elks_mcp.runtime.confined_files import FileNotAllowed, list_confined, read_confined

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".gif")
_DATA_URL = re.compile(r"data:image/[a-z]+;base64,(.*)", re.IGNORECASE | re.DOTALL)
_MOST_LISTED = 10


async def read_picture(source: str, folder: Path | None) -> PreparedImage:
    """Return the picture that a caller named, as it goes out.

    Args:
        source: a relative name in `folder`, or a data URL.
        folder: whose files may be read; None for no files.

    Raises:
        InvalidInput: it cannot be read, or is not a picture that can be sent.
        Misconfigured: Pillow is not installed.
    """
    if source[:5].lower() == "data:":
        return await _prepare("given in the call", _read_data_url(source))
    if folder is None:
        raise InvalidInput(
            "This server reads no files.",
            hint="Over stdio, the operator can set ELKS_FILES_DIR. Or give a small picture as a data URL.",
        )
    try:
        return await _prepare(source, await anyio.to_thread.run_sync(_read_offered, folder, source))
    except FileNotAllowed as error:
        listed = ", ".join(map(shorten, list_confined(folder, PICTURE_ENDINGS, _MOST_LISTED)))
        hint = f"Pictures there: {listed}." if listed else ""
        raise InvalidInput(f'The file "{shorten(source)}" cannot be used. {error}', hint=hint) from None


async def read_local_picture(path: Path) -> PreparedImage:
    """Return the picture in a file of any directory, which a person named at a terminal.

    Raises:
        InvalidInput: it cannot be read, or is not a picture that can be sent.
        Misconfigured: Pillow is not installed.
    """
    try:
        content = await anyio.to_thread.run_sync(_read_beginning, path)
    except OSError as error:
        raise InvalidInput(f'The file "{shorten(path.name)}" cannot be read: {error.strerror}.') from None
    return await _prepare(path.name, content)


def _read_beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MOST_FILE_BYTES + 1)


def _read_offered(folder: Path, name: str) -> bytes:
    if not name.lower().endswith(PICTURE_ENDINGS):
        raise FileNotAllowed(f"Its name must end in {', '.join(PICTURE_ENDINGS)}.")
    return read_confined(folder, name, MOST_FILE_BYTES)


def _read_data_url(url: str) -> bytes:
    found = _DATA_URL.fullmatch(url.strip())
    if found is None:
        raise InvalidInput(
            "The data URL cannot be read.",
            hint="Write data:image/png;base64, and then the picture as base64.",
        )
    if len(found[1]) > MOST_PASTED_PICTURE:
        raise InvalidInput(
            f"The data URL has {len(found[1]):,} characters of base64; {MOST_PASTED_PICTURE:,} are the most.",
            hint="Name a file in the operator's directory instead (ELKS_FILES_DIR).",
        )
    try:
        return b64decode("".join(found[1].split()), validate=True)
    except (NotBase64, ValueError):
        raise InvalidInput("The data URL is not base64.", hint="Encode the picture again.") from None


async def _prepare(name: str, content: bytes) -> PreparedImage:
    try:
        shrunk = await anyio.to_thread.run_sync(shrink, content, FOR_MMS)
    except UnusableImage as error:
        raise InvalidInput(f'The picture "{shorten(name)}" cannot be used. {error}') from None
    return PreparedImage(
        name=shorten(name),
        data_url=f"data:{shrunk.media_type};base64,{b64encode(shrunk.content).decode()}",
        digest=shrunk.digest,
        width=shrunk.width,
        height=shrunk.height,
        size=len(shrunk.content),
        is_first_frame=shrunk.is_first_frame,
    )
