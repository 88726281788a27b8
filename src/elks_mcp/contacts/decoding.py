"""The text in the bytes of a contact file, however a program encoded it."""

from elks_mcp.runtime.text_encoding import Undecodable, decode_text


class UnreadableFile(Exception):
    """A file of contacts cannot be read as a whole. The text says why, without the file's name."""


def decode(content: bytes) -> str:
    """Return the text in bytes: by their byte order mark, else UTF-8, else Windows-1252.

    Excel saves CSV in Windows-1252. Line breaks become line feeds.

    Raises:
        UnreadableFile: the bytes are not text in any of these encodings.
    """
    try:
        text = decode_text(content, otherwise="cp1252")
    except Undecodable:
        why = "not a text file" if b"\0" in content else "neither UTF-8 nor Windows-1252"
        raise UnreadableFile(f"It is {why}. Save it as UTF-8.") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")
