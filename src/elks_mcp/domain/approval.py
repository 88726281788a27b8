"""What a person reads before agreeing to a text: at the client, or in a terminal."""

from elks_mcp.domain.display import FORM_COLUMNS, break_line, put_behind_bars, split_lines, visible
from elks_mcp.domain.orders import Effect, Finding, Order, of_effect
from elks_mcp.domain.phone import written
from elks_mcp.domain.text import hides


def put_question(order: Order, reasons: tuple[Finding, ...], columns: int | None = None) -> str:
    """Write what a person has to know to agree.

    The text stands behind bars, so that it cannot pass for what we say. Recipient, price and size are said
    before it, and again after it, since a long text moves the first lines off the screen.

    Args:
        order: what waits.
        reasons: why a person is asked.
        columns: how wide the terminal is. Without it the question is for a form, and the same for the same
            order, always: the newer protocol asks again in each round.
    """
    text, recipient = order.text or "", _recipient(order)
    hidden = " (there are invisible characters in it)" if hides(text) else ""
    flash = " Shown as a flash message." if order.sms.flash else ""
    lines = [
        f"Send this text to {recipient} from {visible(written(order.sender))}?",
        f"{_cost(order)}.{flash} Approval {order.approval}.",
        f"You are asked because of: {', '.join(reason.guard for reason in reasons)}.",
        *_list_reasons(order, reasons, columns),
        f"The text, behind a bar on each line{hidden}:",
        *put_behind_bars(text, columns or FORM_COLUMNS),
        f"End of the text: {size_in_lines(text)}. It goes to {recipient} for {_cost(order)}.",
    ]
    return "\n".join(lines)


def size_in_lines(text: str) -> str:
    """Say how long a text is: 301 lines, 2345 characters."""
    counts = {"line": len(split_lines(text)), "character": len(text)}
    return ", ".join(f"{number} {what}{'s' if number != 1 else ''}" for what, number in counts.items())


def _list_reasons(order: Order, reasons: tuple[Finding, ...], columns: int | None) -> list[str]:
    """Write the reasons as a list; one that quotes a stranger's text has no row that begins like ours."""
    said = [f"- {each.in_words}" for each in reasons]
    said += [f"- Note: {each.reason}" for each in of_effect(order.findings, Effect.WARN)]
    if columns is None:
        return [visible(each) for each in said]
    return ["\n  ".join(break_line(each, columns - 2)) for each in said]


def _recipient(order: Order) -> str:
    return f"{order.to.e164} ({order.to.country})" if order.to else "nobody"


def _cost(order: Order) -> str:
    return f"{order.parts} part{'s' if order.parts > 1 else ''}, {order.price}"
