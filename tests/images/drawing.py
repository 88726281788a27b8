"""Pictures for tests, also broken and hostile ones."""

import struct
import zlib
from io import BytesIO
from random import Random
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

SECRET = b"59.3293N-18.0686E-SECRET"


def draw(kind: str = "PNG", size: tuple[int, int] = (60, 40), mode: str = "RGB", **options: Any) -> bytes:
    """Draw a picture whose left half is red and whose right half is blue."""
    image = Image.new("RGB", size, "red")
    image.paste("blue", (size[0] // 2, 0, *size))
    target = BytesIO()
    image.convert(mode).save(target, kind, **options)
    return target.getvalue()


def draw_noise(kind: str, size: tuple[int, int]) -> bytes:
    """Draw a picture that can hardly be compressed."""
    image = Image.frombytes("RGB", size, Random(7).randbytes(3 * size[0] * size[1]))  # noqa: S311
    target = BytesIO()
    image.save(target, kind, **({"quality": 97} if kind == "JPEG" else {}))
    return target.getvalue()


def draw_with_secrets(kind: str) -> bytes:
    """Draw a picture that says in every way of its format where it was taken."""
    exif = Image.Exif()
    exif[0x010E] = SECRET.decode()  # ImageDescription
    exif[0x8825] = {1: "N", 2: (59.0, 19.0, 45.0), 29: SECRET.decode()}  # GPS
    options: dict[str, Any] = {"exif": exif.tobytes()}
    if kind == "JPEG":
        options |= {"comment": SECRET, "xmp": b"<x:xmpmeta>" + SECRET + b"</x:xmpmeta>"}
    if kind == "PNG":
        info = PngInfo()
        info.add_text("Comment", SECRET.decode())
        info.add_itxt("XML:com.adobe.xmp", SECRET.decode())
        options["pnginfo"] = info
    if kind == "GIF":
        options = {"comment": SECRET}
    return draw(kind, icc_profile=SECRET * 10, **options) + SECRET


def png_claiming(width: int, height: int, data: bytes = b"\x00") -> bytes:
    """Write a PNG whose header claims dimensions."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def jpeg_claiming(width: int, height: int) -> bytes:
    """Return a JPEG whose frame header claims dimensions."""
    content = bytearray(draw("JPEG"))
    at = content.index(b"\xff\xc0")
    content[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(content)


def jpeg_of_scans(scans: int, size: tuple[int, int] = (60, 40), between: bytes = b"") -> bytes:
    """Write a progressive JPEG that repeats its last scan, each time after `between`, to have `scans`."""
    target = BytesIO()
    Image.new("L", size, 128).save(target, "JPEG", progressive=True)
    content = target.getvalue()
    last = content.rindex(b"\xff\xda")
    missing = scans - content.count(b"\xff\xda")
    return content[:-2] + (between + content[last:-2]) * missing + b"\xff\xd9"


def gif_of(frames: int, size: tuple[int, int] = (1, 1)) -> bytes:
    """Write a GIF of frames, each of `size` on a screen of one pixel."""
    screen = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, *size, 0) + b"\x02\x02\x44\x01\x00"
    return screen + frame * frames + b"\x3b"


def open_result(content: bytes) -> Image.Image:
    """Decode a picture."""
    image = Image.open(BytesIO(content))
    image.load()
    return image
