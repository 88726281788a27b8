"""`elks-mcp batch results`: the result of each row of a batch, also as CSV."""

import os
from pathlib import Path

import click

from elks_mcp.answers.batch_results import list_results, write_results
from elks_mcp.cli.batch_lookup import batch_id, find_batch
from elks_mcp.cli.batch_output import describe_progress, describe_rows, report_to_terminal
from elks_mcp.cli.exit_codes import ExitCode
from elks_mcp.cli.output import say
from elks_mcp.cli.session import Session, session_command
from elks_mcp.domain.wording import format_count
from elks_mcp.errors import InvalidInput


@click.command()
@batch_id
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV that Excel opens.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the CSV to this new file, which only you can read: it contains full numbers.",
)
@session_command()
def results(session: Session, *, number: str, as_csv: bool, output: Path | None) -> int:
    """Show the result of each row of a batch.

    The CSV has a line for each row, rows that were left out included, and the columns of the list. No cell
    is a formula.
    """
    app, batch = session.do(find_batch, session.app, number)
    answer = session.do(list_results, app, batch)
    if output:
        _write_new(output, write_results(app, answer))
        say(f"{format_count(len(answer.rows), 'row')} written to {output}.", err=True)
    elif as_csv:
        click.echo(write_results(app, answer), nl=False)
    else:
        report = session.do(report_to_terminal, app, batch)
        rows = describe_rows(answer.rows, app.policy.home)
        session.print(answer, [*rows, *describe_progress(report, batch.name)])
    return ExitCode.DONE


def _write_new(file: Path, content: bytes) -> None:
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            opened.write(content)
    except FileExistsError:
        raise InvalidInput(f"{file} exists already.", hint="Name a new file.") from None
    except OSError as error:
        raise InvalidInput(
            f"{file} cannot be written: {error.strerror}.", hint="Name another file."
        ) from None
