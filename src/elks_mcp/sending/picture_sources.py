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
_WEB_ADDRESS = re.compile(r"https?:/|www\.", re.IGNORECASE)
_ADVICE = "Name a picture in the operator's directory, as in cat.jpg, and not a path or an address."
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
    if _WEB_ADDRESS.match(source):
        save = "Save it in the operator's directory (ELKS_FILES_DIR), and give its name, as in cat.jpg. "
        raise _not_fetched(source, f"{save if folder else ''}{_AS_DATA}")
    if folder is None:
        raise InvalidInput(
            "This server reads no files, so it cannot read a picture from one.",
            hint="Over stdio, the operator can set ELKS_FILES_DIR. Or give a small picture as a data URL.",
        )
    try:
        return await _prepare(source, await anyio.to_thread.run_sync(_read_offered, folder, source))
    except FileNotAllowed as error:
        listed = ", ".join(map(shorten, list_confined(folder, PICTURE_ENDINGS, _MOST_LISTED)))
        hint = f"Pictures there: {listed}." if listed else ""
        raise InvalidInput(f'The picture "{shorten(source)}" cannot be used. {error}', hint=hint) from None


_AS_DATA = (
    f"A small picture can be given as a data URL of at most {MOST_PASTED_PICTURE:,} characters: "
    "data:image/png;base64, and then the picture as base64."
)


def _not_fetched(source: str, hint: str) -> InvalidInput:
    why = "Pictures are not fetched from web addresses."
    return InvalidInput(f'The picture "{shorten(source)}" cannot be used. {why}', hint=hint)


async def read_local_picture(path: Path) -> PreparedImage:
    """Return the picture in a file of any directory, which a person named at a terminal.

    Raises:
        InvalidInput: it cannot be read, or is not a picture that can be sent.
        Misconfigured: Pillow is not installed.
    """
    if _WEB_ADDRESS.match(path.as_posix()):
        raise _not_fetched(path.name, "Save it, and name the file, as in cat.jpg.")
    try:
        content = await anyio.to_thread.run_sync(_read_beginning, path)
    except OSError as error:
        raise InvalidInput(
            f'The picture "{shorten(path.name)}" cannot be read: {error.strerror}.',
            hint="Name a PNG, JPEG or GIF file, as in cat.jpg.",
        ) from None
    return await _prepare(path.name, content)


def _read_beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MOST_FILE_BYTES + 1)


def _read_offered(folder: Path, name: str) -> bytes:
    if not name.lower().endswith(PICTURE_ENDINGS):
        raise FileNotAllowed(f"Its name must end in {', '.join(PICTURE_ENDINGS)}, as in cat.jpg.")
    return read_confined(folder, name, MOST_FILE_BYTES, advice=_ADVICE)


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
