"""Make a picture small, upright and free of hidden facts, with Pillow, loaded at first use.

The result is drawn from the pixels alone: no EXIF, GPS position, XMP, comment, thumbnail, further frame or
appended file of the original is in it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from threading import Lock
from types import ModuleType
from typing import Any

from elks_mcp.errors import Misconfigured
from elks_mcp.images.image_headers import DAMAGED, ImageFormat, ImageHeader, UnusableImage, check_image
from elks_mcp.runtime.launcher import find_installation

Image = Any
"""A picture of Pillow."""


@dataclass(frozen=True, slots=True)
class SizeLimit:
    """How large a result may be."""

    bytes: int
    side: int
    """Pixels of the longer side."""


FOR_MMS = SizeLimit(bytes=300_000, side=1600)
"""46elks accepts 320 kB of text and pictures together (https://46elks.com/guides/sending-mms)."""

FOR_MODELS = SizeLimit(bytes=400_000, side=1024)
"""Clients cut or refuse larger pictures in an answer."""


@dataclass(frozen=True, slots=True)
class ShrunkImage:
    """A picture as it goes out or is shown."""

    content: bytes = field(repr=False)
    media_type: str
    width: int
    height: int
    is_first_frame: bool = False
    """Whether the original was an animation, of which this is the first frame."""

    @property
    def digest(self) -> str:
        """The SHA-256 of the content, in hexadecimal."""
        return sha256(self.content).hexdigest()


_one_at_a_time = Lock()
"""A large picture takes about 160 MB while it is decoded."""


def shrink(content: bytes, limit: SizeLimit) -> ShrunkImage:
    """Return the picture in a file, within `limit`. The same file always becomes the same bytes.

    Raises:
        UnusableImage: the file is not a picture, is damaged, or would take too much memory.
        Misconfigured: Pillow is not installed.
    """
    header = check_image(content)
    pillow = _load_pillow()
    with _one_at_a_time:
        try:
            drawn = _draw(pillow, content, header, limit.side)
        except UnusableImage:
            raise
        except Exception:  # noqa: BLE001  (what a decoder raises for a damaged file is not documented)
            raise UnusableImage(DAMAGED) from None
        for smaller, encoded, media_type in _encode(drawn, limit.side, keeps_png=header.format != "JPEG"):
            if len(encoded) <= limit.bytes:
                width, height = smaller.size
                return ShrunkImage(encoded, media_type, width, height, header.frames > 1)
    raise UnusableImage("The picture cannot be made small enough.")


def _load_pillow() -> ModuleType:
    try:
        import PIL.Image  # noqa: PLC0415  (only for pictures, and not always installed)
        import PIL.ImageOps  # noqa: PLC0415
    except ImportError:
        source = find_installation().source
        package = f"elks-mcp[images] @ {source}" if source else "elks-mcp[images]"
        raise Misconfigured(
            "The package pillow, which prepares pictures, is not installed.",
            hint=f'Install it with `uv tool install "{package}"`.',
        ) from None
    return PIL


def _draw(pillow: ModuleType, content: bytes, header: ImageHeader, side: int) -> Image:
    """Return the first frame, upright, on white, as a new picture without anything else."""
    with pillow.Image.open(BytesIO(content), formats=[header.format.value]) as opened:
        claimed = opened.size
        if claimed[0] * claimed[1] > header.width * header.height:  # a second header that Pillow obeys
            raise UnusableImage(DAMAGED)
        if header.format is ImageFormat.JPEG:
            opened.draft("RGB", (side, side))  # decodes a large one at a fraction of its size
        opened.load()
        if opened.size[0] * opened.size[1] > claimed[0] * claimed[1]:
            raise UnusableImage(DAMAGED)
        has_alpha = opened.mode in {"RGBA", "LA", "PA"} or "transparency" in opened.info
        mode = "RGBA" if has_alpha else "RGB"
        layer = opened if opened.mode == mode else opened.convert(mode)
        layer.thumbnail((side, side))  # now, since each copy of a large one takes as much memory again
        layer = pillow.ImageOps.exif_transpose(layer)
    drawn = pillow.Image.new("RGB", layer.size, "white")
    drawn.paste(layer, mask=layer.getchannel("A") if has_alpha else None)
    return drawn


_SIDES = 1600, 1280, 1024, 800, 640, 480, 320
_QUALITIES = 85, 72, 58


def _encode(drawn: Image, side: int, *, keeps_png: bool) -> Iterator[tuple[Image, bytes, str]]:
    """Yield encoded pictures, each smaller than the one before."""
    for step in (each for each in _SIDES if each <= side):
        smaller = drawn.copy()
        smaller.thumbnail((step, step))
        if keeps_png and step == side:
            yield smaller, _save(smaller, "PNG", optimize=True), "image/png"
        for quality in _QUALITIES:
            yield smaller, _save(smaller, "JPEG", quality=quality, optimize=True), "image/jpeg"


def _save(image: Image, kind: str, **options: Any) -> bytes:
    target = BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()
