"""Pictures of MMS: reading data URLs, and recognizing the three formats that 46elks sends."""

import base64
import binascii
import re
import struct
import zlib
from dataclasses import dataclass, field
from hashlib import sha1
from urllib.parse import unquote_to_bytes

_MAGIC = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpg", b"GIF87a": "gif", b"GIF89a": "gif"}
"""The first bytes of each format (docs/send-mms: GIF, PNG and JPEG)."""

_DATA_URL = re.compile(r"data:(?P<type>[^;,]*)(?P<more>(?:;[^;,]*)*),(?P<data>.*)", re.DOTALL)
_WEB_ADDRESS = re.compile(r"https?://[^\s/]+\S*")


@dataclass(frozen=True, slots=True)
class Picture:
    """The content of one picture and its format: `png`, `jpg` or `gif`."""

    content: bytes = field(repr=False)
    filetype: str

    @property
    def digest(self) -> str:
        """The SHA-1 of the content in hexadecimal, as 46elks shows it (docs/get-image-id)."""
        return sha1(self.content, usedforsecurity=False).hexdigest()

    @property
    def media_type(self) -> str:
        """The media type of the content."""
        return "image/jpeg" if self.filetype == "jpg" else f"image/{self.filetype}"


def read_picture(content: bytes) -> Picture | None:
    """Return `content` as a picture, recognized by its first bytes, or None."""
    return next((Picture(content, kind) for magic, kind in _MAGIC.items() if content.startswith(magic)), None)


def parse_data_url(url: str) -> Picture | None:
    """Return the picture in a data URL (RFC 2397), or None if it holds none."""
    found = _DATA_URL.fullmatch(url)
    if found is None:
        return None
    data = unquote_to_bytes(found["data"])
    if not found["more"].lower().endswith(";base64"):
        return read_picture(data)
    try:
        # A form that does not encode `+` turns it into a space.
        return read_picture(base64.b64decode(data.replace(b" ", b"+"), validate=True))
    except binascii.Error:
        return None


def is_web_address(url: str) -> bool:
    """Return whether `url` is an address from which 46elks would load a picture."""
    return _WEB_ADDRESS.fullmatch(url) is not None


def draw_sample(width: int = 96, height: int = 64) -> Picture:
    """Return a small PNG of coloured squares."""
    shades = [[16 * (16 * at // length) for at in range(length)] for length in (width, height)]
    rows = b"".join(b"\x00" + bytes(part for x in shades[0] for part in (x, y, 160)) for y in shades[1])
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    chunks = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )
    return Picture(b"\x89PNG\r\n\x1a\n" + chunks, "png")


SAMPLE = draw_sample()
"""The picture of a phone that answers with one, and in place of pictures at web addresses."""
