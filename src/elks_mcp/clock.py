"""The time, as something that can be handed in: tests turn the hands themselves."""

from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import TypeVar

import anyio

T = TypeVar("T")


class Clock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Tell the time, in UTC."""
        return datetime.now(UTC)

    async def sleep_until(self, moment: datetime) -> None:
        """Wait for a moment; one that has passed is not waited for."""
        await anyio.sleep(max(0.0, (moment - self.now()).total_seconds()))

    async def wait_for(self, waiting: Awaitable[T], *, until: datetime) -> T | None:
        """Wait for something until a moment at the latest; None where that comes first."""
        result: T | None = None
        failure: Exception | None = None
        async with anyio.create_task_group() as race:

            async def ring() -> None:
                await self.sleep_until(until)
                race.cancel_scope.cancel()

            race.start_soon(ring)
            try:
                result = await waiting
            except Exception as error:  # noqa: BLE001  (raised again outside, where no group wraps it)
                failure = error
            race.cancel_scope.cancel()
        if failure:
            raise failure
        return result
