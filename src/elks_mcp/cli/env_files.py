"""Change settings in the operator's env file, and prove that no other setting changes."""

import re
from collections.abc import Collection, Mapping
from io import StringIO
from pathlib import Path

from elks_mcp.clients import files
from elks_mcp.clients.files import ClientFile
from elks_mcp.errors import Misconfigured


class PlannedEnvFile:
    """A change of an env file that is proven, and not made yet.

    Raises:
        Misconfigured: the file cannot be changed, and why.
    """

    def __init__(self, path: Path, values: Mapping[str, str], without: Collection[str] = ()) -> None:
        self._file = _read(path)
        self._text = _write_variables(self._file.text, values, without)
        expected = {name: value for name, value in _parse(self._file.text).items() if name not in without}
        if _parse(self._text) != {**expected, **values}:
            raise Misconfigured(
                f"{self._file.path} is written in a way that cannot be changed safely. Nothing was changed.",
                hint=f"Write these settings into it by hand: {', '.join(values)}.",
            )

    def make(self) -> Path:
        """Change the file in one step, so that only its owner can read it; return the backup.

        Raises:
            Misconfigured: nothing was changed, for the reason in its message.
        """
        private = self._file._replace(mode=self._file.private_mode)
        backup = files.find_free_backup(private) if private.backup.exists() else private.backup
        try:
            files.back_up(private, backup)
            files.replace(self._file, self._file.encode(self._text), private.mode)
        except files.FileProblem as problem:
            raise Misconfigured(str(problem)) from None
        return backup


def _read(path: Path) -> ClientFile:
    try:
        return files.read(path)
    except files.FileProblem as problem:
        raise Misconfigured(str(problem)) from None


def _parse(text: str) -> dict[str, str | None]:
    """Return what a file says, as `--env-file` reads it."""
    from dotenv import dotenv_values  # noqa: PLC0415  (only needed to change a file)

    return dotenv_values(stream=StringIO(text), interpolate=False)


def _write_variables(text: str, values: Mapping[str, str], without: Collection[str]) -> str:
    """Return the text with these variables, each in place of its first line, or else at the end."""
    from dotenv.parser import parse_stream  # noqa: PLC0415

    pieces, left = [], dict(values)
    for binding in parse_stream(StringIO(text)):
        original = binding.original.string
        if binding.key in left:
            start, end = re.search(r"\A\s*(export\s+)?", original), re.search(r"\s*\Z", original)
            written = _write(binding.key, left.pop(binding.key))
            pieces.append(f"{start.group() if start else ''}{written}{end.group() if end else ''}")
        elif binding.key not in values and binding.key not in without:
            pieces.append(original)
    if left and pieces and not pieces[-1].endswith("\n"):
        pieces.append("\n")
    return "".join([*pieces, *(f"{_write(name, value)}\n" for name, value in left.items())])


def _write(name: str, value: str) -> str:
    quote = "" if re.fullmatch(r"[A-Za-z0-9._-]+", value) else "'"
    return f"{name}={quote}{value}{quote}"
