"""The text in bytes that a person's program wrote."""

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from contextlib import suppress


class Undecodable(ValueError):
    """The bytes are not text in any encoding that was tried, or the text has a null character."""


def decode_text(content: bytes, *, otherwise: str = "") -> str:
    """Return the text in bytes of UTF-8, or of UTF-16 with a byte order mark; without the mark.

    `otherwise`: the encoding of bytes that have no mark and are not UTF-8, for readers that may guess it.

    Raises:
        Undecodable: the bytes are not such a text.
    """
    if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        encodings = ["utf-16"]
    elif content.startswith(BOM_UTF8) or not otherwise:
        encodings = ["utf-8-sig"]
    else:
        encodings = ["utf-8", otherwise]
    for encoding in encodings:
        with suppress(UnicodeDecodeError):
            text = content.decode(encoding)
            if "\0" in text:
                raise Undecodable
            return text
    raise Undecodable
