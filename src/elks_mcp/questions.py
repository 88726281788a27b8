"""What a person reads before agreeing to a text: at the client, or in a terminal."""

import re

from elks_mcp.models import Effect, Finding, Order, of_effect
from elks_mcp.phone import written
from elks_mcp.text import hides

_LINE_BREAK = re.compile("\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]")


def put_question(order: Order, reasons: tuple[Finding, ...]) -> str:
    """Write what a person has to know to agree; the same for the same order, always.

    The text comes last and each of its lines behind a bar, so that no text can pass for what we say.
    """
    text, to = order.text or "", order.to
    cost = f"{order.parts} part{'s' if order.parts > 1 else ''}, {order.price}."
    hidden = " (there are invisible characters in it)" if hides(text) else ""
    flash = " Shown as a flash message." if order.flash else ""
    recipient = f"{to.e164} ({to.country})" if to else "nobody"
    lines = [
        f"Send this text to {recipient} from {written(order.sender)}?",
        f"{cost}{flash} Approval {order.approval}.",
        f"You are asked because of: {', '.join(reason.guard for reason in reasons)}.",
        *(f"- {reason.reason}" for reason in reasons),
        *(f"- Note: {warning.reason}" for warning in of_effect(order.findings, Effect.WARN)),
        f"The text, behind a bar on each line{hidden}:",
        *put_behind_bars(text),
    ]
    return "\n".join(lines)


def put_behind_bars(text: str) -> list[str]:
    """Write a text with a bar before each line, so that it cannot pass for what we say."""
    return [f"| {line}" for line in _LINE_BREAK.split(text)]
