"""The input and output of a guard: the facts about a draft, and the effect with its reason."""

from collections.abc import Callable

from pydantic import AwareDatetime, InstanceOf

from elks_mcp.domain.contacts import Contacts
from elks_mcp.domain.models import AccountNumbers, Frozen, Recall, Taint
from elks_mcp.domain.orders import Draft, Effect, Estimate
from elks_mcp.domain.policy import Policy
from elks_mcp.domain.text import Size


class Facts(Frozen):
    """Everything that guards know about a draft, apart from the draft and the policy."""

    size: Size | None
    """The size of the text; None if it is not billed by the part."""

    now: AwareDatetime
    live: bool
    """Whether the text would be handed to 46elks."""

    simulated: bool = False
    """Whether a sandbox takes 46elks' place, as far as known. No refusal or question may depend on it."""

    estimate: Estimate | None = None
    recall: Recall | None = None
    """Earlier events that concern the draft.

    None if there is nothing to remember them in, as in a server that was always in dry run.
    """

    quote: str = ""
    """The recipient's opt-out or possible opt-out, cleaned and shortened; "" if unavailable."""

    own_numbers: AccountNumbers = AccountNumbers()

    contacts: InstanceOf[Contacts] = Contacts()
    """The operator's contacts that are in force."""

    held_contacts: InstanceOf[Contacts] = Contacts()
    """Changed contacts that are not in force, because no person has accepted them yet."""

    why_held: str = ""
    """Why the changed contacts are not in force, and what to do; "" if there are none."""

    taint: Taint | None = None
    """Texts from people other than the recipient that the model was shown recently."""


GuardResult = tuple[Effect, str] | None
"""An effect and its reason, or None. `check_draft` adds the guard's name."""

Guard = Callable[[Draft, Facts, Policy], GuardResult]


def refuse(reason: str, variable: str) -> GuardResult:
    """Return a refusal that names the environment variable with which the operator can lift it."""
    return Effect.REFUSE, f"{reason} The operator can change that with {variable}."
