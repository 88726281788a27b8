"""Tasks beside each other."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio
from anyio.abc import TaskGroup


@contextmanager
def unwrapped() -> Iterator[None]:
    """Raise what went wrong in a task group as it is, where it is one thing."""
    try:
        yield
    except BaseExceptionGroup as group:
        raise _only(group) from None


@asynccontextmanager
async def background() -> AsyncIterator[TaskGroup]:
    """Run tasks for as long as the context lasts. What goes wrong in one is raised as it is."""
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
