"""Ask a person a question that is answered with yes or no, in English or Swedish."""

import click

_ANSWERS = {"y": True, "yes": True, "j": True, "ja": True, "n": False, "no": False, "nej": False}


def confirm(question: str, *, default: bool = False, abort: bool = False, err: bool = False) -> bool:
    """Ask until the answer is yes or no, and return whether it is yes.

    Args:
        question: the question, without a choice of answers.
        default: the answer that Enter gives.
        abort: whether an answer of no ends the command.
        err: whether to ask on standard error.

    Raises:
        click.Abort: the input ended, or Ctrl-C was pressed.
    """
    choice = "[Y/n]" if default else "[y/N]"
    answer = click.prompt(f"{question} {choice}", "", show_default=False, value_proc=_read, err=err)
    agreed = default if answer is None else bool(answer)
    if abort and not agreed:
        raise click.Abort
    return agreed


def _read(answer: str) -> bool | None:
    """Return the answer, or None for Enter."""
    word = answer.strip().casefold()
    if not word:
        return None
    if word not in _ANSWERS:
        raise click.UsageError("Please type y (yes) or n (no).")
    return _ANSWERS[word]
