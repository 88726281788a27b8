"""Questions that are answered with yes or no."""

import click
import pytest
from click.testing import CliRunner

from elks_mcp.cli.confirm import confirm


@click.command()
@click.option("--default", is_flag=True)
@click.option("--abort", is_flag=True)
def question(default: bool, abort: bool) -> None:
    """Ask one question, and print the answer."""
    click.echo(f"answer={confirm('Send it?', default=default, abort=abort)}")


@pytest.mark.parametrize(
    ("typed", "agreed"),
    [("y", True), ("YES", True), ("j", True), ("Ja ", True), ("n", False), ("nej", False), ("", False)],
)
def test_yes_and_no_are_understood_in_english_and_swedish(typed: str, agreed: bool) -> None:
    assert f"answer={agreed}" in CliRunner().invoke(question, input=f"{typed}\n").stdout


def test_enter_gives_the_default_which_is_shown() -> None:
    result = CliRunner().invoke(question, ["--default"], input="\n").stdout
    assert result.startswith("Send it? [Y/n]: ")
    assert "answer=True" in result


def test_after_any_other_word_the_question_is_repeated() -> None:
    result = CliRunner().invoke(question, input="kanske\nja\n").output
    assert "Please type y (yes) or n (no)." in result
    assert "answer=True" in result


def test_a_no_or_the_end_of_input_can_end_the_command() -> None:
    assert CliRunner().invoke(question, ["--abort"], input="nej\n").exit_code == 1
    assert CliRunner().invoke(question, input="").exit_code == 1
