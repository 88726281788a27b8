"""Task groups that raise a single error as it is."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio
from anyio.abc import TaskGroup


@contextmanager
def unwrapped() -> Iterator[None]:
    """Raise the error of a task group itself instead of a group, if there is only one."""
    try:
        yield
    except BaseExceptionGroup as group:
        raise _only(group) from None


@asynccontextmanager
async def background() -> AsyncIterator[TaskGroup]:
    """Run tasks while the context lasts; the error of a task is raised without a group."""
    with unwrapped():
        async with anyio.create_task_group() as tasks:
            try:
                yield tasks
            finally:
                tasks.cancel_scope.cancel()


def _only(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup) and len(group.exceptions) == 1:
        group = group.exceptions[0]
    return group
