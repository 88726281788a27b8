"""`elks-mcp send-mms` and `image`: send a picture, and save one that came in."""

from pathlib import Path

import click

from elks_mcp.answers.mms import MmsAnswer, choose_image, find_readable_mms, report_mms_outcome
from elks_mcp.app import App
from elks_mcp.cli.exit_codes import ExitCode
from elks_mcp.cli.output import wrap
from elks_mcp.cli.sending import describe_outcome, find_code, send_order
from elks_mcp.cli.session import Session, session_command
from elks_mcp.cli.sms import dry_run_option, key_option, sender_option, yes_option
from elks_mcp.domain.toolsets import Toolset
from elks_mcp.errors import InvalidInput, Misconfigured
from elks_mcp.sending.outcomes import SendOutcome
from elks_mcp.sending.picture_sources import read_local_picture
from elks_mcp.sending.plan import DryRunOnly
from elks_mcp.sending.send_requests import MmsRequest


@click.command("send-mms")
@click.argument("number")
@click.argument("picture", type=click.Path(path_type=Path))
@click.argument("text", default="")
@sender_option
@dry_run_option
@key_option
@yes_option
@session_command(sends="queue")
def send_picture(
    session: Session,
    *,
    number: str,
    picture: Path,
    text: str,
    sender: str,
    dry_run: bool | None,
    key: str,
    yes: bool,
) -> int:
    """Send a picture (MMS) to a Swedish number.

    TEXT may be left out. PICTURE is a PNG, JPEG or GIF file. It is turned, made small, and freed of its GPS
    position and other hidden facts. The sender must be a number of the account that can send MMS, or noreply.

    46elks quotes no price for an MMS. ELKS_MMS_PRICE is used, or else the price of the latest one.

    Exit code 0 if it is sent or priced, 1 if it is refused, 3 if it waits, 4 if it may have been sent.
    """
    image = session.do(read_local_picture, picture)
    request = MmsRequest(
        to=number, image=image, message=text, sender=sender, dry_run=dry_run, idempotency_key=key
    )

    async def report(app: App, outcome: DryRunOnly | SendOutcome) -> MmsAnswer:
        return await report_mms_outcome(app, outcome, image)

    answer = send_order(session, request, report, yes=yes)
    if answer is None:
        return ExitCode.WAITS
    session.print(answer, describe_outcome(session, answer))
    return find_code(answer)


@click.command("image")
@click.argument("mms_id", metavar="ID")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The file to write.")
@click.option("--index", default=1, show_default=True, help="Which picture of the MMS.")
@session_command()
def save_image(session: Session, *, mms_id: str, out: Path, index: int) -> int:
    """Save a picture of an MMS in a file.

    It is saved exactly as 46elks stores it, so it may hold a GPS position. ID is 46elks' id of the MMS, as
    `elks-mcp inbox` shows it, or its order (O-…). An existing file is not overwritten. A stranger made the
    picture, so open it only with a program that you trust with that.
    """
    if Toolset.MMS not in session.app.policy.toolsets:
        raise Misconfigured("Pictures are not read.", hint="Add the toolset mms to ELKS_TOOLSETS.")
    content = session.do(_download, session.app, mms_id, index)
    try:
        with out.open("xb") as file:
            file.write(content)
    except OSError as error:
        raise InvalidInput(f"{out} cannot be written: {error.strerror}.", hint="Name another file.") from None
    click.echo("\n".join(wrap(f"Saved: {out} ({len(content):,} bytes)")), err=True)
    return ExitCode.DONE


async def _download(app: App, mms_id: str, index: int) -> bytes:
    message = await find_readable_mms(app, mms_id)
    return await app.client.images.get_content(choose_image(message, index))
