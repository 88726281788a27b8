"""The text in the bytes of a file, however a program encoded it."""

from elks_mcp.runtime.text_encoding import Undecodable, decode_text


class UnreadableFile(Exception):
    """A file cannot be read as a whole. The text says why, without the file's name."""


_KINDS = {
    b"PK\x03\x04": "an Excel workbook or a zip file",
    b"\xd0\xcf\x11\xe0": "an Excel workbook, an old one or one with a password",
    b"%PDF": "a PDF",
}
"""The first bytes of files that are often taken for tables."""


def decode(content: bytes) -> str:
    """Return the text in bytes: by their byte order mark, else UTF-8, else Windows-1252.

    Excel saves CSV in Windows-1252. Line breaks become line feeds.

    Raises:
        UnreadableFile: the bytes are not text in any of these encodings.
    """
    if kind := next((kind for start, kind in _KINDS.items() if content.startswith(start)), ""):
        raise UnreadableFile(f"It is {kind}, not a text file. Save the table as CSV.")
    try:
        text = decode_text(content, otherwise="cp1252")
    except Undecodable:
        why = "not a text file" if b"\0" in content else "neither UTF-8 nor Windows-1252"
        raise UnreadableFile(f"It is {why}. Save it as UTF-8.") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")
