"""Compiled statements, which the many databases of a test process share."""

from typing import Any

from sqlalchemy import Connection, Engine, event


class _Shared(dict[Any, Any]):
    """A cache whose keys name the kind of database, and not the engine's dialect object.

    A server opens one database, and compiles each statement once. Each test opens one of its own, and
    compiling all its statements again took a quarter of the time of a test. All engines of a kind have the
    same settings, so their compiled statements are the same.
    """

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get((key[0].name, *key[1:]), default)

    def __setitem__(self, key: Any, compiled: Any) -> None:
        super().__setitem__((key[0].name, *key[1:]), compiled)


_compiled = _Shared()


def share_compiled_statements() -> None:
    """Let all connections that are opened from now on use the statements that others compiled."""
    event.listen(Engine, "engine_connect", _use_shared)


def _use_shared(connection: Connection) -> None:
    connection.execution_options(compiled_cache=_compiled)
