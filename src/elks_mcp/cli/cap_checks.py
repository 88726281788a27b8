"""Check what the credentials of a subaccount can do, with free requests that change nothing."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from elks_mcp.cli.doctor_settings import Check
from elks_mcp.domain.models import Direction, HistoryFilter
from elks_mcp.domain.orders import Draft
from elks_mcp.domain.payloads import Sms
from elks_mcp.domain.phone import Number
from elks_mcp.domain.setting_declaration import write_value
from elks_mcp.domain.subaccounts import Subaccount
from elks_mcp.elks.client import ElksClient
from elks_mcp.elks.subaccounts import SubaccountClient
from elks_mcp.errors import NotFound, Rejected
from elks_mcp.settings import Settings

TEST_NUMBER = Number("+46700000000")
"""46elks' test number: 46elks accepts texts to it, and delivers them to no phone."""

NOT_VERIFIED = (
    "Not verified: that 46elks really refuses at the limit, and how. Nothing was sent, and 46elks does not "
    "document it. ELKS_BUDGET_PER_DAY holds as well."
)


class CapChecks(NamedTuple):
    """The account's and a subaccount's view of 46elks, and the server's settings."""

    account: ElksClient
    own: SubaccountClient
    subaccount: Subaccount
    settings: Settings

    async def run(self) -> list[Check]:
        """Return the result of each check. One that fails says why the credentials cannot be used.

        Raises:
            ProviderError: 46elks could not be asked, or does not accept the credentials.
        """
        await self.own.client.list_messages(1)
        return [
            Check("ok", "46elks accepts the credentials of the subaccount."),
            await self._check_sender(),
            await self._check_inbox(),
            await self._check_balance(),
            await self._check_limit(),
        ]

    async def _check_sender(self) -> Check:
        sender = self.settings.policy().sender
        if sender is None:
            return Check("note", "ELKS_PHONE_NUMBER is not set, so no price was asked for.")
        shown = write_value(sender)
        draft = Draft(to=TEST_NUMBER, payload=Sms(text="Hej!"), sender=sender)
        if refusal := await _find_refusal(lambda: self.own.client.get_estimate(draft)):
            return Check(
                "fail",
                f"46elks does not let the subaccount send from {shown}: {refusal} Ask 46elks to move the "
                "number to the subaccount, or use another sender.",
            )
        return Check("ok", f"46elks returns a price for a text from {shown}: a dry run, nothing was sent.")

    async def _check_inbox(self) -> Check:
        """Check that the subaccount sees what the account receives, as opt-outs depend on that."""
        received = await self.account.list_messages(1, HistoryFilter(direction=Direction.INBOUND))
        if not received.messages:
            return Check(
                "note",
                "Not verified: that the subaccount sees received texts, since the account has none. If it "
                "does not, STOP and replies are not found by reading history. Text the number, and run this "
                "again.",
            )
        try:
            await self.own.client.get_message(received.messages[0].id)
        except (NotFound, Rejected):
            blind = "The subaccount does not see the texts that the account receives"
            if self.settings.public_url:
                return Check(
                    "warn", f"{blind}: STOP and replies reach this server only by webhook (ELKS_PUBLIC_URL)."
                )
            return Check(
                "fail",
                f"{blind}, so STOP and replies would not be noticed. Ask 46elks to move the number to the "
                "subaccount, or receive texts by webhook: set ELKS_PUBLIC_URL.",
            )
        return Check("ok", "The subaccount sees the texts that the account receives.")

    async def _check_balance(self) -> Check:
        if refusal := await _find_refusal(self.own.client.get_account):
            return Check(
                "note",
                f"The subaccount cannot read the balance: {refusal} So prices have no currency, and the "
                "limits that you did not set are the lower ones. Set ELKS_BUDGET_PER_DAY and "
                "ELKS_BUDGET_PER_MESSAGE.",
            )
        return Check("ok", "The subaccount can read the balance.")

    async def _check_limit(self) -> Check:
        if refusal := await _find_refusal(lambda: self.own.get(self.subaccount.id)):
            return Check("note", f"The subaccount cannot read its own limit, nor can `doctor`: {refusal}")
        return Check("ok", "The subaccount can read its own limit.")


async def _find_refusal(ask: Callable[[], Awaitable[object]]) -> str:
    """Return the words in which 46elks refuses a request, or "" if it does not."""
    try:
        await ask()
    except Rejected as error:
        return str(error)
    return ""
