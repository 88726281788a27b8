"""The format, dimensions and frames of a picture, from its headers: nothing is decoded.

A few bytes can claim a picture of gigabytes, so the claim is checked before a decoder sees the file. The
format is known by content, never by a name.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from elks_mcp.domain.wording import format_count

MOST_FILE_BYTES = 15_000_000
"""The most bytes of a file, before the picture is made smaller."""

MOST_PIXELS = 40_000_000
"""More than phones take today; decoded it needs about 160 MB."""

MOST_FRAMES = 200
"""The most frames of an animation, of which only the first is used."""

MOST_SCANS = 100
"""The most scans of a JPEG. A progressive one has about 10, one that a program optimized about 20."""

MOST_SCANNED_PIXELS = 1_000_000_000
"""The most pixels of all scans of a JPEG together: a scan of few bytes may touch each pixel."""

MOST_SEGMENTS = 1_000
"""The most segments of a JPEG before its dimensions, and after them."""


class UnusableImage(Exception):
    """A file is not a picture that can be used. The text says why, and what to do."""


class ImageFormat(StrEnum):
    """The formats that 46elks sends (https://46elks.se/docs/send-mms)."""

    PNG = "PNG"
    JPEG = "JPEG"
    GIF = "GIF"


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """The claims of a file about itself."""

    format: ImageFormat
    width: int
    height: int
    frames: int = 1
    """Counted up to one more than `MOST_FRAMES`."""

    scans: int = 1
    """How often a decoder goes through a JPEG. Counted up to one more than `MOST_SCANS`."""


def check_image(content: bytes) -> ImageHeader:
    """Return what a file claims to be, if a decoder may read it.

    Raises:
        UnusableImage: it is too large, in no known format, damaged, or would take too much memory.
    """
    if len(content) > MOST_FILE_BYTES:
        raise UnusableImage(f"The file is larger than {MOST_FILE_BYTES // 1_000_000} MB.")
    try:
        header = _read_header(content)
    except IndexError:
        raise UnusableImage(DAMAGED) from None
    if not header.width or not header.height:
        raise UnusableImage(DAMAGED)
    if header.width * header.height > MOST_PIXELS:
        size = f"{header.width} × {header.height} pixels"
        most = f"{MOST_PIXELS // 1_000_000} million pixels are the most"
        raise UnusableImage(f"The picture has {size}; {most}. Make it smaller.")
    if header.frames > MOST_FRAMES:
        raise UnusableImage(f"The animation has more than {format_count(MOST_FRAMES, 'frame')}.")
    if header.scans > MOST_SCANS or header.scans * header.width * header.height > MOST_SCANNED_PIXELS:
        raise UnusableImage(
            "Decoding the picture would take more than the most scans. Save it again, not as progressive."
        )
    return header


DAMAGED = "The picture is damaged, and cannot be read."

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_GIF = (b"GIF87a", b"GIF89a")


def _read_header(content: bytes) -> ImageHeader:
    if content.startswith(_PNG):
        return _read_png(content)
    if content.startswith(_JPEG):
        return _read_jpeg(content)
    if content.startswith(_GIF):
        return _read_gif(content)
    raise UnusableImage("The file is not a PNG, JPEG or GIF picture. Save the picture as one of these.")


def _number(content: bytes, at: int, size: int, order: str = "big") -> int:
    part = content[at : at + size]
    if len(part) < size:
        raise IndexError
    return int.from_bytes(part, "little" if order == "little" else "big")


def _read_png(content: bytes) -> ImageHeader:
    """Read the chunks up to the pixels; `acTL` has the number of frames of an animation."""
    if content[12:16] != b"IHDR":
        raise IndexError
    width, height, frames = _number(content, 16, 4), _number(content, 20, 4), 1
    at = len(_PNG)
    while content[at + 4 : at + 8] not in {b"IDAT", b"IEND", b""}:
        if content[at + 4 : at + 8] == b"acTL":
            frames = _number(content, at + 8, 4)
        at += _number(content, at, 4) + 12
    return ImageHeader(ImageFormat.PNG, width, height, frames)


_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_SCAN, _END = 0xDA, 0xD9


def _read_jpeg(content: bytes) -> ImageHeader:
    """Read the segments up to the frame header, which has the dimensions."""
    at = 2
    for _ in range(MOST_SEGMENTS):
        begin = _MARKER_BEGIN.match(content, at)
        if begin is None:
            raise IndexError
        at = begin.end() - 1
        marker = _number(content, at + 1, 1)
        if marker in _FRAME_HEADERS:
            height, width = _number(content, at + 5, 2), _number(content, at + 7, 2)
            after = at + 2 + max(2, _number(content, at + 2, 2))
            return ImageHeader(ImageFormat.JPEG, width, height, scans=_count_scans(content, after))
        if marker in {_SCAN, _END}:
            raise IndexError
        at += 2 if marker in _ALONE else 2 + max(2, _number(content, at + 2, 2))
    raise IndexError


_MARKER_BEGIN = re.compile(rb"\xff+")
"""The begin of a marker, which may be padded with more such bytes."""

_WITH_LENGTH_OR_END = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
"""A marker that has a length, or ends the picture: not a padding or restart marker, and not a byte 0xFF of
compressed data, which is followed by 0. Like libjpeg, it is searched for after a scan and after a segment."""


def _count_scans(content: bytes, at: int) -> int:
    """Count the scans from a place to the end of the picture, up to one more than `MOST_SCANS`."""
    scans = 0
    for _ in range(MOST_SEGMENTS):
        found = _WITH_LENGTH_OR_END.search(content, at)
        if scans > MOST_SCANS or found is None:
            return scans
        at, marker = found.start(), content[found.start() + 1]
        if marker == _END:
            return scans
        scans += marker == _SCAN
        length = int.from_bytes(content[at + 2 : at + 4], "big")
        at += 2 if marker in _ALONE else 2 + max(2, length)
    raise IndexError


_GIF_EXTENSION, _GIF_FRAME, _GIF_END = 0x21, 0x2C, 0x3B


def _read_gif(content: bytes) -> ImageHeader:
    """Read all blocks: a frame can be larger than the screen."""
    width, height = _number(content, 6, 2, "little"), _number(content, 8, 2, "little")
    at, frames = 13 + _color_table(_number(content, 10, 1)), 0
    while at < len(content) and frames <= MOST_FRAMES:
        block = content[at]
        if block == _GIF_EXTENSION:
            at = _skip_blocks(content, at + 2)
        elif block == _GIF_FRAME:
            frames += 1
            left, top, wide, high = (_number(content, at + 1 + 2 * step, 2, "little") for step in range(4))
            width, height = max(width, left + wide), max(height, top + high)
            at = _skip_blocks(content, at + 11 + _color_table(_number(content, at + 9, 1)))
        else:
            break
    if not frames:
        raise IndexError
    return ImageHeader(ImageFormat.GIF, width, height, frames)


def _color_table(flags: int) -> int:
    """Return the bytes of the color table that flags announce."""
    return 3 << ((flags & 0x07) + 1) if flags & 0x80 else 0


def _skip_blocks(content: bytes, at: int) -> int:
    """Return where a chain of data blocks ends."""
    while size := _number(content, at, 1):
        at += size + 1
    return at + 1
