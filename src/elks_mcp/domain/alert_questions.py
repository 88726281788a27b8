"""The question about an alert that a person approves or declines, and its path in words."""

from collections.abc import Callable, Sequence

from elks_mcp.domain.alerts import Alert, AlertPlan
from elks_mcp.domain.approval import name_guards, size_in_lines
from elks_mcp.domain.cleaning import has_invisible
from elks_mcp.domain.contacts import Contacts
from elks_mcp.domain.display import FORM_COLUMNS, lay_out, quote_lines, visible
from elks_mcp.domain.escalation import EscalationPath, Means, Stage
from elks_mcp.domain.orders import Effect, Finding, of_effect
from elks_mcp.domain.phone import Number, written
from elks_mcp.domain.wording import format_count, format_exactly

_VERBS = {Means.SMS: "text", Means.CALL: "call"}


def write_alert_question(
    plan: AlertPlan, reasons: Sequence[Finding], contacts: Contacts, columns: int | None = None
) -> str:
    """Return everything that a person needs to know to approve an alert.

    It is always the same for the same plan and reasons. It names the plan's digest, so that an answer is
    about this text, these people and these caps, and about no others.

    Args:
        plan: the plan.
        reasons: why a person is asked.
        contacts: the operator's contacts, by which people are named.
        columns: the width of the terminal. Without it the question is for a client's form.
    """
    path, text = plan.path, plan.text
    people = (
        format_count(len(path.people), "person") if len(path.people) == 1 else f"{len(path.people)} people"
    )
    rounds = f", {path.rounds} times" if path.rounds > 1 else ""
    first = f"Alert {people} from {visible(written(plan.sender))} until one acknowledges?"
    cost = f"At most {plan.most} and {format_exactly(plan.time_cap)}. Policy {plan.policy}{rounds}."
    hidden = " (it contains invisible characters)" if has_invisible(text) else ""
    begin = f"The text, behind a bar on each line{hidden}:"
    end = f"End of the text: {size_in_lines(text)}."
    about = [
        *(f"{number}. {line}" for number, line in enumerate(describe_stages(plan, contacts), 1)),
        *(f"Left out: {_name(each.to, contacts)}. {each.reason}" for each in plan.left_out),
        *([f"You are asked because of: {name_guards(tuple(reasons))}."] if reasons else []),
        *(f"- {each.in_words}" for each in reasons),
        *(f"- Note: {each.reason}" for each in of_effect(plan.findings, Effect.WARN)),
        *(f"- Note: {each}" for each in explain_caps(plan)),
    ]
    name = f"Alert {plan.id}, digest {plan.digest[:12]}" if plan.id else "The text gets a code of its own"
    last = f"{name}. It costs at most {plan.most}."
    quoted = quote_lines(text, columns or FORM_COLUMNS)
    if columns is None:
        above, below = [first, f"{cost} {begin}"], [end, *about, last]
    else:
        above, below = [first, cost, *about, begin], [end, last]
    return "\n".join([*lay_out(above, columns), *quoted, *lay_out(below, columns)])


def describe_stages(plan: AlertPlan, contacts: Contacts) -> list[str]:
    """Return a line for each stage: who is reached, how, for how much, and how long is waited."""
    return [
        f"{_VERBS[stage.means].capitalize()} {', '.join(_name(each.to, contacts) for each in stage.people)} "
        f"for {stage.price}, then wait {format_exactly(stage.wait)}."
        for stage in plan.path.stages
    ]


def explain_caps(plan: AlertPlan) -> list[str]:
    """Return what the caps of an alert cut off, and what the most that it can cost assumes."""
    path, notes = plan.path, []
    if path.price > plan.most:
        notes.append(f"The whole path costs {path.price}; steps beyond {plan.most} are skipped.")
    if path.duration > plan.time_cap:
        takes = f"{format_exactly(path.duration)}; the alert ends after {format_exactly(plan.time_cap)}"
        notes.append(f"The whole path takes {takes}.")
    if plan.spoken and any(stage.means is Means.CALL for stage in path.stages):
        minutes = format_count(plan.spoken.parts, "minute")
        notes.append(
            f"The sum counts {minutes} for each call. If 46elks charges more for one, the alert can cost "
            "more by that difference; steps for which the rest does not suffice are skipped."
        )
    return notes


def describe_path(path: EscalationPath, label: Callable[[str], str]) -> str:
    """Return a path in one sentence's end: `text Åsa, wait 5 minutes, text Bo, wait 10 minutes`.

    `label`: returns how people are named.
    """
    steps = ", ".join(_describe_stage(stage, label) for stage in path.stages)
    return f"{steps}, all of this {path.rounds} times" if path.rounds > 1 else steps


def _describe_stage(stage: Stage, label: Callable[[str], str]) -> str:
    people = " and ".join(label(each.to.e164) for each in stage.people)
    return f"{_VERBS[stage.means]} {people}, wait {format_exactly(stage.wait)}"


def describe_next(alert: Alert, label: Callable[[str], str]) -> str:
    """Return whom an alert reaches next: `text Bo`; "" if it reaches nobody any more."""
    if alert.path is None or alert.position >= alert.path.length:
        return ""
    stage = alert.path.stage(alert.position)
    return f"{_VERBS[stage.means]} {' and '.join(label(each.to.e164) for each in stage.people)}"


def _name(number: Number, contacts: Contacts) -> str:
    name = contacts.find_name(number)
    return f"{name} ({number.e164})" if name else f"{number.e164} ({number.country})"
