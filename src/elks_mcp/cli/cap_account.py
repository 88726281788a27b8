"""The account itself, as `elks-mcp cap` uses it: find, create and limit a subaccount."""

from typing import NamedTuple

from elks_mcp.cli.output import say
from elks_mcp.domain.money import Money
from elks_mcp.domain.subaccounts import Subaccount, is_subaccount
from elks_mcp.elks.subaccounts import SubaccountClient
from elks_mcp.errors import InvalidInput, NoAnswer, NotFound, Rejected
from elks_mcp.runtime.launcher import show_command
from elks_mcp.settings import Settings

DEFAULT_NAME = "elks-mcp"
"""The name by which a subaccount is found again, also if the command that created it was killed."""


class MainAccount(NamedTuple):
    """The account, with its own credentials."""

    subaccounts: SubaccountClient
    settings: Settings
    username: str
    currency: str

    async def find(self, wanted: str, name: str = DEFAULT_NAME) -> Subaccount | None:
        """Return the subaccount that was named, or that the settings use, or that has this name.

        Raises:
            NotFound: there is no such subaccount, or it was deactivated.
            InvalidInput: several have the name.
        """
        configured = self.settings.credentials.username if self.settings.credentials else ""
        if wanted := wanted or (configured if is_subaccount(configured) else ""):
            return await self._get_active(wanted)
        named = [each for each in await self.subaccounts.list_active() if each.name == name]
        if len(named) > 1:
            raise InvalidInput(
                f"{len(named)} subaccounts are named {name}: {', '.join(each.id for each in named)}.",
                hint="Choose one with --subaccount ID.",
            )
        return named[0] if named else None

    async def get(self, wanted: str) -> Subaccount:
        """Return the same, or raise NotFound if there is none."""
        if found := await self.find(wanted):
            return found
        raise NotFound(
            "The account has no subaccount for this server, so 46elks itself caps nothing.",
            hint=f"To make one: {show_command('cap set 100 --monthly')}.",
        )

    async def create(self, name: str, limit: Money) -> Subaccount:
        """Create a subaccount, and say its id before anything else can fail."""
        try:
            created = await self.subaccounts.create(name, limit)
        except NoAnswer as error:
            raise NoAnswer(
                f"{error} So a subaccount may have been made.",
                hint=f"Run the command again: it uses a subaccount named {name} that is there already.",
            ) from None
        say(f"Made the subaccount {created.id} ({created.name}).")
        return created

    async def cap(self, found: Subaccount, limit: Money | None) -> Subaccount:
        """Set the limit, and check that 46elks has it.

        Raises:
            NoAnswer: 46elks accepted the limit, and does not return it.
        """
        if found.limit == limit:
            return found
        changed = await self.subaccounts.set_limit(found.id, limit)
        if changed.limit != limit:
            raise NoAnswer(
                f"46elks accepted the limit {limit or 'none'}, and says it is {changed.limit or 'none'}.",
                hint="Look at the subaccount on 46elks.com.",
            )
        return changed if changed.secret else changed.model_copy(update={"secret": found.secret})

    async def _get_active(self, subaccount_id: str) -> Subaccount:
        try:
            found = await self.subaccounts.get(subaccount_id)
        except Rejected as error:
            if error.status != 404:  # noqa: PLR2004
                raise
            raise NotFound(
                f"The account has no subaccount {subaccount_id}. Nothing was changed.",
                hint="Use the credentials of the account that it belongs to.",
            ) from None
        if not found.is_active:
            raise NotFound(
                f"The subaccount {subaccount_id} was deactivated, which cannot be undone.",
                hint=f"To make another: {show_command('cap set 100 --monthly')}.",
            )
        return found
