"""The commands for what people do by hand: approve, look, cancel, resolve, forget. None sends anything.

What they do is in a module of their own each, loaded when it is wanted.
"""

from pathlib import Path

import click

from elks_mcp.cli.environment import act, in_state_dir

_phone = click.argument("phone", nargs=-1, required=True, callback=lambda _, __, words: " ".join(words))
_number = click.argument("number", metavar="O-…", callback=lambda _, __, raw: raw.strip().upper())


@click.command()
@click.argument("approval", metavar="A-…", callback=lambda _, __, raw: raw.strip().upper())
@in_state_dir
@click.pass_context
def approve(context: click.Context, approval: str) -> None:
    """Agree to a text that waits for a person.

    Shows the text, its recipient and its price, and wants the last four digits of the recipient's number
    typed. It needs a terminal and no credentials, and sends nothing itself: the server that asked does,
    within seconds, or when it starts next.

    Exit code 0 if the text is approved, 1 if it is not.
    """
    from elks_mcp.cli import approval as approving  # noqa: PLC0415

    act(context, lambda configuration: approving.approve(configuration, approval))


@click.command()
@in_state_dir
@click.pass_context
def pending(context: click.Context) -> None:
    """List the texts that wait for a person, and why."""
    from elks_mcp.cli import approval as approving  # noqa: PLC0415

    act(context, approving.list_pending)


@click.group(invoke_without_command=True)
@in_state_dir
@click.pass_context
def outbox(context: click.Context) -> None:
    """See what is on its way out, and decide about it.

    Without a command: list.
    """
    if context.invoked_subcommand is None:
        context.invoke(list_orders)


@outbox.command("list", short_help="List orders, without their texts.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@in_state_dir
@click.pass_context
def list_orders(context: click.Context, limit: int) -> None:
    """List orders, without their texts; what is unfinished or unknown first."""
    from elks_mcp.cli import orders as topic  # noqa: PLC0415

    act(context, lambda configuration: topic.list_orders(configuration, limit))


@outbox.command()
@_number
@in_state_dir
@click.pass_context
def show(context: click.Context, number: str) -> None:
    """Show all about one order.

    The text is shown while it may still be needed; once an order is settled it is gone.
    """
    from elks_mcp.cli import orders as topic  # noqa: PLC0415

    act(context, lambda configuration: topic.show(configuration, number))


@outbox.command()
@_number
@in_state_dir
@click.pass_context
def cancel(context: click.Context, number: str) -> None:
    """Cancel an order that waits or is queued. What is on the wire cannot be called back."""
    from elks_mcp.cli import orders as topic  # noqa: PLC0415

    act(context, lambda configuration: topic.cancel(configuration, number))


@outbox.command(short_help="Say what became of an order that is unknown.")
@_number
@click.option("--sent/--not-sent", required=True, help="What you found out, in 46elks' history or by asking.")
@in_state_dir
@click.pass_context
def resolve(context: click.Context, number: str, *, sent: bool) -> None:
    """Say what became of an order that is unknown.

    No machine sends an unknown order again, since it may have gone out. Look at 46elks.com under SMS
    history, or ask the recipient, and say it here. An order in doubt is still being looked into.
    """
    from elks_mcp.cli import orders as topic  # noqa: PLC0415

    act(context, lambda configuration: topic.resolve(configuration, number, sent=sent))


@outbox.command()
@in_state_dir
@click.pass_context
def resume(context: click.Context) -> None:
    """Go on sending where that is paused.

    A server looks by itself, twice a minute, whether credentials or money are mended; this tells it at once.
    """
    from elks_mcp.cli import orders as topic  # noqa: PLC0415

    act(context, topic.resume)


@click.group("opt-outs", invoke_without_command=True)
@in_state_dir
@click.pass_context
def opt_outs(context: click.Context) -> None:
    """See who gets no texts, and record it by hand.

    It holds for every account of the state. Without a command: list.
    """
    if context.invoked_subcommand is None:
        context.invoke(list_opt_outs)


@opt_outs.command("list")
@in_state_dir
@click.pass_context
def list_opt_outs(context: click.Context) -> None:
    """List who opted out, and whose opt-out was lifted; of each number the last digits."""
    from elks_mcp.cli import opt_outs as topic  # noqa: PLC0415

    act(context, topic.list_all)


_reason = click.option("--reason", default="", help="Where you know it from: 'she told me at the till'.")


@opt_outs.command("add")
@_phone
@_reason
@in_state_dir
@click.pass_context
def add_opt_out(context: click.Context, phone: str, reason: str) -> None:
    """Record that a number opted out by other means than a text."""
    from elks_mcp.cli import opt_outs as topic  # noqa: PLC0415

    act(context, lambda configuration: topic.add(configuration, phone, reason))


@opt_outs.command("remove")
@_phone
@click.option("--reason", required=True, help="Why the number may be texted again. It is recorded.")
@in_state_dir
@click.pass_context
def remove_opt_out(context: click.Context, phone: str, reason: str) -> None:
    """Let a number be texted again, whose opt-out was a mistake or was taken back.

    It also ends that the latest text from the number counts as a possible opt-out.
    """
    from elks_mcp.cli import opt_outs as topic  # noqa: PLC0415

    act(context, lambda configuration: topic.remove(configuration, phone, reason))


@opt_outs.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_reason
@in_state_dir
@click.pass_context
def import_opt_outs(context: click.Context, file: Path, reason: str) -> None:
    """Record all numbers of a file: one a line, or a CSV file with the number in its first column.

    A line that cannot be used is named with its number, and the others are recorded. Exit code 1 if there is
    such a line.
    """
    from elks_mcp.cli import opt_outs as topic  # noqa: PLC0415

    act(context, lambda configuration: topic.import_file(configuration, file, reason))


@click.command()
@_phone
@click.option("--yes", is_flag=True, help="Do not ask first.")
@in_state_dir
@click.pass_context
def forget(context: click.Context, phone: str, *, yes: bool) -> None:
    """Remove what is held about a phone number.

    Orders lose the number, the text, 46elks' id and all hashes; what they cost stays. That the number
    opted out stays too, as a keyed hash, so that nothing is sent there.
    """
    from elks_mcp.cli import privacy  # noqa: PLC0415

    act(context, lambda configuration: privacy.forget(configuration, phone, yes=yes))


@click.command()
@_phone
@in_state_dir
@click.pass_context
def export(context: click.Context, phone: str) -> None:
    """Print all that is held about a phone number, as JSON."""
    from elks_mcp.cli import privacy  # noqa: PLC0415

    act(context, lambda configuration: privacy.export(configuration, phone))


@click.group()
@in_state_dir
def webhooks() -> None:
    """See and set where 46elks tells of incoming texts.

    For `elks-mcp serve --http` with ELKS_PUBLIC_URL. It takes the settings of that server.
    """


_own_phone = click.argument("phone", required=False, default="")
_yes = click.option("--yes", is_flag=True, help="Do not ask first.")


@webhooks.command("show")
@in_state_dir
@click.pass_context
def show_webhooks(context: click.Context) -> None:
    """Print the addresses, with their secrets, and what your numbers do now."""
    from elks_mcp.cli import webhooks as topic  # noqa: PLC0415

    act(context, topic.show)


@webhooks.command("set")
@_own_phone
@click.option("--new-secret", is_flag=True, help="At a new address. The old one is heard until the next one.")
@_yes
@in_state_dir
@click.pass_context
def set_webhooks(context: click.Context, phone: str, *, new_secret: bool, yes: bool) -> None:
    """Have incoming texts told to this server.

    Of ELKS_PHONE_NUMBER, or the number of the account that is named. What it did before is shown first.

    After --new-secret both addresses are heard, for incoming texts and for delivery reports; do it once more,
    and the first is not. An account with several numbers: set the others too.
    """
    from elks_mcp.cli import webhooks as topic  # noqa: PLC0415

    act(context, lambda configuration: topic.set_up(configuration, phone, new_secret=new_secret, yes=yes))


@webhooks.command("clear")
@_own_phone
@_yes
@in_state_dir
@click.pass_context
def clear_webhooks(context: click.Context, phone: str, *, yes: bool) -> None:
    """Have incoming texts told to nobody. They stay in 46elks' history."""
    from elks_mcp.cli import webhooks as topic  # noqa: PLC0415

    act(context, lambda configuration: topic.clear(configuration, phone, yes=yes))


@click.group()
@in_state_dir
def token() -> None:
    """Make, list and revoke the tokens of clients.

    For `elks-mcp serve --http`. It takes the settings of that server; the tokens are its account's.
    """


@token.command("new")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(["read", "send", "metrics"]),
    help="read: see the account's texts, the inbox too. send: send, and follow what was sent. metrics: read "
    "/metrics, and nothing else. May be given several times.",
)
@click.option("--agent", default="", help="Which assistant the token is for. Default: NAME.")
@in_state_dir
@click.pass_context
def new_token(context: click.Context, name: str, scopes: tuple[str, ...], agent: str) -> None:
    """Make a token for a client, and print it: once.

    Tokens of one agent are one caller: they share orders, idempotency keys, limits, and which strangers'
    texts were shown. Tokens of two agents share none of these. If one assistant has two tokens, a reader
    and a sender, give both the same --agent. Otherwise a stranger's text that is read with one token does
    not hold back what is sent with the other (`tainted`).

    Several tokens can have one name, so that one can replace another.
    """
    from elks_mcp.cli import tokens as topic  # noqa: PLC0415

    act(context, lambda configuration: topic.make(configuration, name, scopes, agent or name))


@token.command("list")
@in_state_dir
@click.pass_context
def list_tokens(context: click.Context) -> None:
    """List the tokens: their numbers, names and scopes."""
    from elks_mcp.cli import tokens as topic  # noqa: PLC0415

    act(context, topic.list_all)


@token.command("revoke")
@click.argument("which", metavar="NAME|T-…")
@in_state_dir
@click.pass_context
def revoke_token(context: click.Context, which: str) -> None:
    """Revoke all tokens of a name, or the one by its number."""
    from elks_mcp.cli import tokens as topic  # noqa: PLC0415

    act(context, lambda configuration: topic.revoke(configuration, which))


BY_HAND = (approve, pending, outbox, opt_outs, webhooks, token, forget, export)
