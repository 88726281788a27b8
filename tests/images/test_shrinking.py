"""Pictures of people and strangers: bombs, broken files, hidden facts, polyglots."""

import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from elks_mcp.errors import Misconfigured
from elks_mcp.images.image_headers import (
    MOST_FILE_BYTES,
    MOST_FRAMES,
    MOST_SCANNED_PIXELS,
    MOST_SCANS,
    ImageFormat,
    UnusableImage,
    check_image,
)
from elks_mcp.images.shrinking import FOR_MMS, FOR_MODELS, ShrunkImage, shrink

from .drawing import (
    SECRET,
    draw,
    draw_noise,
    draw_with_secrets,
    gif_of,
    jpeg_claiming,
    jpeg_of_scans,
    open_result,
    png_claiming,
)

KINDS = ["PNG", "JPEG", "GIF"]
RED, BLUE = (200, 0, 0), (0, 0, 200)


def color(result: ShrunkImage, x: int, y: int) -> tuple[int, ...]:
    """Return the main colour of a pixel, as 200 or 0."""
    pixel = open_result(result.content).convert("RGB").getpixel((x, y))
    assert isinstance(pixel, tuple)
    return tuple(200 if part > 150 else 0 for part in pixel)


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_known_by_its_content(kind: str) -> None:
    header = check_image(draw(kind))
    assert (header.format, header.width, header.height, header.frames) == (ImageFormat(kind), 60, 40, 1)
    result = shrink(draw(kind), FOR_MMS)
    assert (result.width, result.height) == open_result(result.content).size == (60, 40)
    assert result.media_type == ("image/jpeg" if kind == "JPEG" else "image/png")
    assert shrink(draw(kind), FOR_MMS) == result, "the same file always becomes the same bytes"


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_hidden_in_a_picture_is_in_the_result(kind: str) -> None:
    original = draw_with_secrets(kind)
    assert SECRET in original
    result = shrink(original, FOR_MMS)
    assert SECRET not in result.content
    assert b"SECRET" not in result.content
    shown = open_result(result.content)
    assert dict(shown.getexif()) == {}
    assert {"exif", "xmp", "comment", "icc_profile", "XML:com.adobe.xmp"}.isdisjoint(shown.info)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_camera_says(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    result = shrink(draw("JPEG", exif=exif.tobytes()), FOR_MMS)
    is_turned = orientation >= 5
    assert (result.width, result.height) == ((40, 60) if is_turned else (60, 40))
    first = color(result, 2, 2)
    assert first == (RED if orientation in {1, 4, 5, 6} else BLUE)


def test_transparent_parts_become_white() -> None:
    for mode in ("RGBA", "LA"):
        image = Image.new(mode, (10, 10), 0)
        target = BytesIO()
        image.save(target, "PNG")
        result = open_result(shrink(target.getvalue(), FOR_MMS).content).convert("RGB")
        assert result.getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("limit", [FOR_MMS, FOR_MODELS], ids=["mms", "models"])
def test_a_large_picture_is_made_small_enough(kind: str, limit: object) -> None:
    assert limit in {FOR_MMS, FOR_MODELS}
    chosen = FOR_MMS if limit == FOR_MMS else FOR_MODELS
    result = shrink(draw_noise(kind, (1800, 900)), chosen)
    assert len(result.content) <= chosen.bytes
    assert max(result.width, result.height) <= chosen.side
    assert abs(result.width / result.height - 2) < 0.05


def test_an_animation_becomes_its_first_frame() -> None:
    for kind in ("GIF", "PNG"):
        target = BytesIO()
        first, second = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
        first.save(target, kind, save_all=True, append_images=[second], duration=100)
        assert check_image(target.getvalue()).frames == 2
        result = shrink(target.getvalue(), FOR_MMS)
        assert (result.is_first_frame, color(result, 4, 4)) == (True, RED)
        assert check_image(result.content).frames == 1


BOMBS: dict[str, Callable[[], bytes]] = {
    "PNG of 10 gigapixels": lambda: png_claiming(100_000, 100_000),
    "PNG of the largest side": lambda: png_claiming(2**31 - 1, 1),
    "PNG just over the limit": lambda: png_claiming(8_001, 5_000),
    "JPEG of 4 gigapixels": lambda: jpeg_claiming(65_535, 65_535),
    "GIF with one huge frame": lambda: gif_of(1, (65_535, 65_535)),
    "GIF of very many frames": lambda: gif_of(500_000),
    "GIF just over the limit": lambda: gif_of(MOST_FRAMES + 1),
    "a file that is too large": lambda: draw("PNG") + bytes(MOST_FILE_BYTES),
}


@pytest.mark.parametrize("bomb", BOMBS, ids=str)
def test_a_picture_that_would_take_all_memory_is_refused_before_it_is_decoded(bomb: str) -> None:
    with pytest.raises(UnusableImage, match=r"the most|larger than|more than"):
        check_image(BOMBS[bomb]())


MEASURE = """
import re, sys
from pathlib import Path
from elks_mcp.images.shrinking import FOR_MMS, shrink
result = shrink(sys.stdin.buffer.read(), FOR_MMS)
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(result.width, peak[1])
"""
"""Unlike `ru_maxrss`, this peak does not include that of the process which started this one."""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how much memory a process used itself")
@pytest.mark.parametrize("mode", ["P", "RGBA"])
def test_the_largest_picture_is_held_in_memory_no_more_than_twice(mode: str) -> None:
    content = draw("PNG", (8_000, 5_000), mode)
    done = subprocess.run([sys.executable, "-c", MEASURE], input=content, capture_output=True, check=True)
    width, used = map(int, done.stdout.split())
    assert width == 1600
    assert used < 450_000, "in kilobytes"


def test_a_second_header_with_more_pixels_is_refused_before_decoding() -> None:
    small, large = draw("PNG", (10, 10), "L"), draw("PNG", (3000, 3000), "L")
    header = slice(8, 33)  # the first chunk
    with pytest.raises(UnusableImage, match="damaged"):
        shrink(small[:33] + large[header] + small[33:], FOR_MMS)


def test_the_refusal_of_a_bomb_loads_no_decoder() -> None:
    script = (
        "import sys\n"
        "from elks_mcp.images.shrinking import FOR_MMS, shrink\n"
        "from elks_mcp.images.image_headers import UnusableImage\n"
        "assert 'PIL' not in sys.modules\n"
        "import struct\n"
        "png = b'\\x89PNG\\r\\n\\x1a\\n' + struct.pack('>I4sII', 13, b'IHDR', 99999, 99999)\n"
        "try:\n    shrink(png, FOR_MMS)\nexcept UnusableImage as error:\n    print(error)\n"
        "assert 'PIL' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "99999 × 99999 pixels" in done.stdout


def test_without_pillow_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    content = draw("PNG")
    for name in ("PIL", "PIL.Image", "PIL.ImageOps"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(Misconfigured, match="pillow") as caught:
        shrink(content, FOR_MMS)
    assert "elks-mcp[images]" in caught.value.hint


def test_a_server_loads_no_decoder_before_a_picture_is_used() -> None:
    script = (
        "import sys\n"
        "from elks_mcp.domain.toolsets import Toolset\n"
        "from elks_mcp.mcp_server.server import list_tools\n"
        "import elks_mcp.cli.mms, elks_mcp.web.asgi\n"
        "assert 'send_mms' in [tool.name for tool in list_tools(frozenset(Toolset))]\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'PIL']\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"<svg/>", b"%PDF-1.7", b"BM" + bytes(60), b"RIFF0000WEBP", b"MM\x00*" + bytes(60)],
)
def test_a_file_in_another_format_is_refused(content: bytes) -> None:
    with pytest.raises(UnusableImage, match="not a PNG, JPEG or GIF"):
        shrink(content, FOR_MMS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_a_file_that_was_cut_off_is_called_damaged(kind: str, kept: float) -> None:
    original = draw_noise(kind, (90, 60))
    with pytest.raises(UnusableImage, match="damaged"):
        shrink(original[: int(len(original) * kept)], FOR_MMS)


def test_a_picture_without_pixels_is_called_damaged() -> None:
    for content in (png_claiming(0, 5), png_claiming(50, 50), gif_of(0), b"\xff\xd8\xff\xd9"):
        with pytest.raises(UnusableImage, match="damaged"):
            shrink(content, FOR_MMS)


@given(kind=st.sampled_from(KINDS), at=st.floats(0, 1), changed=st.binary(min_size=1, max_size=40))
def test_any_damage_ends_in_a_picture_or_in_a_sentence(kind: str, at: float, changed: bytes) -> None:
    content = bytearray(draw(kind))
    place = int(at * len(content))
    content[place : place + len(changed)] = changed
    try:
        result = shrink(bytes(content), FOR_MMS)
    except UnusableImage as error:
        said = str(error)
    else:
        said = "."
        assert len(result.content) <= FOR_MMS.bytes
        assert check_image(result.content).frames == 1
    assert said.endswith(".")


@given(st.binary(max_size=200), st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b""]))
def test_any_bytes_end_in_a_sentence(content: bytes, start: bytes) -> None:
    with pytest.raises(UnusableImage):
        shrink(start + content, FOR_MMS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", [b"PK\x03\x04", b"<script>alert(1)</script>", b"%PDF-1.7", b"#!/bin/sh\n"])
def test_a_file_that_is_also_something_else_is_only_a_picture_afterwards(kind: str, other: bytes) -> None:
    result = shrink(draw(kind) + other * 30, FOR_MMS)
    assert other not in result.content
    assert color(result, 2, 2) == RED


@pytest.mark.parametrize("scans", [MOST_SCANS, MOST_SCANS + 1])
@pytest.mark.parametrize(
    "between",
    [
        b"",
        b"\xff" * 300,  # padding
        b"\xff\xff\x00\x00",  # a byte of data
        b"\xff\xd0\xff\xd7",  # restart markers
        b"\xff\x02\xff\xff",  # no length follows this marker
        b"\xff\xfe\x00\x06\xff\xd9\xff\xda",  # a comment that contains an end and a scan
        b"\xff\xdd\x00\x04\x00\x00",  # a segment
    ],
)
def test_a_jpeg_of_very_many_scans_is_refused_before_it_is_decoded(scans: int, between: bytes) -> None:
    content = jpeg_of_scans(scans, between=between) + b"\xff\xda\x00\x02" * 500  # after its end
    if scans <= MOST_SCANS:
        assert check_image(content).scans == scans
    else:
        with pytest.raises(UnusableImage, match="more than the most scans"):
            check_image(content)


def test_the_scans_of_a_large_jpeg_are_fewer() -> None:
    most = MOST_SCANNED_PIXELS // (2_000 * 10_000)
    content = bytearray(jpeg_of_scans(most))
    at = content.index(b"\xff\xc2")
    content[at + 5 : at + 9] = struct.pack(">HH", 2_000, 10_000)
    assert check_image(bytes(content)).scans == most == 50
    with pytest.raises(UnusableImage, match="more than the most scans"):
        check_image(bytes(content[:-2] + content[content.rindex(b"\xff\xda") :]))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}], ids=str)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_real_jpeg_has_few_scans(mode: str, options: dict[str, Any]) -> None:
    content = draw("JPEG", (600, 400), mode, **options)
    assert check_image(content).scans == (content.count(b"\xff\xda") if options.get("progressive") else 1)
    assert check_image(content).scans <= 20
    assert shrink(content, FOR_MMS).width == 600


def test_the_scans_of_a_file_that_consists_of_markers_are_counted_quickly() -> None:
    whole = draw("JPEG")
    for start in (whole[:2], whole[: whole.index(b"\xff\xda")]):
        for filling in (b"\xff", b"\xff\x00", b"\xff\xd0", b"\xff\xfe\x00\x02"):
            content = (start + filling * MOST_FILE_BYTES)[:MOST_FILE_BYTES]
            began = time.process_time()
            with suppress(UnusableImage):
                assert check_image(content).scans == 0
            assert time.process_time() - began < 2
