"""The text in the bytes of a contact file, however a program encoded it."""

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE


class UnreadableFile(Exception):
    """A file of contacts cannot be read as a whole. The text says why, without the file's name."""


def decode(content: bytes) -> str:
    """Return the text in bytes: by their byte order mark, else UTF-8, else Windows-1252.

    Line breaks become line feeds.

    Raises:
        UnreadableFile: the bytes are no text in any of these encodings.
    """
    text = _decode(content)
    if "\0" in text:
        raise UnreadableFile("It is not a text file. Save it as UTF-8.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _decode(content: bytes) -> str:
    if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        encodings = ["utf-16"]
    elif content.startswith(BOM_UTF8):
        encodings = ["utf-8-sig"]
    else:
        encodings = ["utf-8", "cp1252"]
    for encoding in encodings:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise UnreadableFile("It is neither UTF-8 nor Windows-1252. Save it as UTF-8.")
