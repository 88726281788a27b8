"""The command line: `elks-mcp` and its commands."""

import io
import sys

import click

from elks_mcp.cli.arguments import shared_options
from elks_mcp.cli.lazy_group import LazyGroup
from elks_mcp.runtime.garbage import collection_paused
from elks_mcp.runtime.stdout import diverted

_EXPLANATION = """\
elks-mcp is an MCP server: a client such as Claude, VS Code or Cursor starts it and talks to it.
You started it by hand, so it has no client. Commands you can use here:

Start here
  elks-mcp demo       send a text to a simulated phone, in a few seconds, without an account
  elks-mcp connect    let a client such as Claude or VS Code start elks-mcp
  elks-mcp doctor     check the configuration
  elks-mcp sandbox    run a simulated 46elks, whose phones you see in your browser

Text
  elks-mcp send       send a text yourself; elks-mcp ask also waits for the answer
  elks-mcp batch      send one text to many people, from a CSV or Excel file
  elks-mcp history    list the latest texts; with --follow it stays open as an inbox
  elks-mcp balance    show what is left on the account

Operate
  elks-mcp policy     show what may be sent now, and which variable changes it
  elks-mcp pending    list the texts that wait for your approval; `elks-mcp approve` approves one
  elks-mcp outbox     list the orders: texts that wait, are being sent, or were sent

  elks-mcp --help     list all commands
"""


_START_HERE = {
    "connect": (
        "elks_mcp.cli.connect:connect",
        "Let a client such as Claude or VS Code start elks-mcp.",
    ),
    "demo": ("elks_mcp.cli.demo:demo", "Watch an MCP client send a text to a simulated phone."),
    "doctor": ("elks_mcp.cli.doctor:doctor", "Check the configuration, and whether 46elks accepts it."),
    "sandbox": (
        "elks_mcp.cli.sandbox:sandbox",
        "Run a simulated 46elks, whose phones you see in a browser.",
    ),
    "completion": (
        "elks_mcp.cli.shell_completion:completion",
        "Set up shell completion of commands and options.",
    ),
}
_TEXT = {
    "send": ("elks_mcp.cli.sms:send", "Send a text, now or later."),
    "send-mms": ("elks_mcp.cli.mms:send_picture", "Send a picture (MMS) to a Swedish number."),
    "image": ("elks_mcp.cli.mms:save_image", "Save a picture of an MMS in a file."),
    "call": ("elks_mcp.cli.calls:call", "Call a phone, have TEXT read aloud, and show what was pressed."),
    "calls": ("elks_mcp.cli.calls:calls", "List the latest calls of the account, the newest last."),
    "recording": ("elks_mcp.cli.calls:recording", "Save a recording of a call as a WAV file."),
    "batch": (
        "elks_mcp.cli.batches:batch",
        "Send one text to many people: plan, start, follow, stop.",
    ),
    "ask": ("elks_mcp.cli.replies:ask", "Send a question, and wait for the answer."),
    "wait": ("elks_mcp.cli.replies:wait", "Wait for a text, and show it."),
    "inbox": ("elks_mcp.cli.history:inbox", "List the latest received texts, the newest last."),
    "history": (
        "elks_mcp.cli.history:history",
        "List the latest texts, sent and received, the newest last.",
    ),
    "conversation": (
        "elks_mcp.cli.history:conversation",
        "List the latest texts with one person, the newest last.",
    ),
    "status": ("elks_mcp.cli.sms:status", "Show whether a text was delivered."),
    "scheduled": ("elks_mcp.cli.sms:scheduled", "List the texts that go out later, the earliest first."),
    "cancel": ("elks_mcp.cli.orders:cancel", "Cancel a text that has not left."),
    "estimate": ("elks_mcp.cli.sms:estimate", "Price a text exactly, without sending it."),
    "balance": ("elks_mcp.cli.account:balance", "Show the balance of the 46elks account."),
    "stats": ("elks_mcp.cli.account:stats", "Show how many texts were delivered, at what cost, how fast."),
}
_OPERATE = {
    "policy": ("elks_mcp.cli.policy:policy", "Show what may be sent now, and why."),
    "pending": (
        "elks_mcp.cli.approval:pending",
        "List the texts, batches and alerts that wait for a person.",
    ),
    "approve": (
        "elks_mcp.cli.approval:approve",
        "Approve a text, a batch or an alert that waits for a person.",
    ),
    "escalation": (
        "elks_mcp.cli.escalation:escalation",
        "Page people until somebody answers.",
    ),
    "outbox": ("elks_mcp.cli.orders:outbox", "List orders, and cancel, resolve or resume them."),
    "contacts": ("elks_mcp.cli.contacts:contacts", "List your contacts, and check their files."),
    "opt-outs": ("elks_mcp.cli.opt_outs:opt_outs", "List opt-outs, and record them by hand."),
    "serve": (
        "elks_mcp.cli.serve:serve",
        "Send due texts until stopped; with --http, also serve MCP.",
    ),
    "token": ("elks_mcp.cli.tokens:token", "Create, list and revoke the tokens of HTTP clients."),
    "cap": ("elks_mcp.cli.caps:cap", "Show, set and lift the cap that 46elks itself enforces."),
    "numbers": ("elks_mcp.cli.numbers:numbers", "List the account's numbers, and configure them."),
    "webhooks": ("elks_mcp.cli.webhooks:webhooks", "Show and set where 46elks forwards incoming texts."),
    "export": ("elks_mcp.cli.privacy:export", "Print everything stored about a phone number, as JSON."),
    "forget": (
        "elks_mcp.cli.privacy:forget",
        "Delete what is stored about a phone number, except its opt-out.",
    ),
}
_SECTIONS = {"Start here": _START_HERE, "Text": _TEXT, "Operate": _OPERATE}
_SYNONYMS = {
    word: commands
    for words, commands in {
        "add init install setup": ("connect",),
        "disconnect remove uninstall": ("connect --remove",),
        "example try": ("demo",),
        "check diagnose test": ("doctor",),
        "config configure env settings": ("doctor", "policy"),
        "limits rules": ("policy", "cap"),
        "caps kill killswitch subaccount": ("cap",),
        "phones simulator": ("sandbox",),
        "message sms text": ("send",),
        "mms photo picture": ("send-mms", "image"),
        "phone ring voice": ("call",),
        "list log messages sent texts": ("history",),
        "incoming read received replies": ("inbox",),
        "listen watch": ("wait", "history --follow"),
        "cost price": ("estimate",),
        "account credit money": ("balance",),
        "orders queue": ("outbox",),
        "batches bulk csv excel many plan": ("batch",),
        "later planned schedule": ("scheduled", "send --at"),
        "approvals waiting": ("pending",),
        "alarm alert alerts oncall page paging": ("escalation",),
        "optouts stop stops unsubscribe": ("opt-outs",),
        "delete erase": ("forget",),
        "daemon http run start": ("serve",),
        "version": ("--version",),
    }.items()
    for word in words.split()
}
"""Words that people try, and the commands that they mean."""

_EXIT_CODES = "Exit codes: 0 done, 1 failed or refused, 2 wrong use, 3 waits, 4 maybe sent."


@click.group(
    cls=LazyGroup,
    sections=_SECTIONS,
    synonyms=_SYNONYMS,
    epilog=_EXIT_CODES,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="elks-mcp", prog_name="elks-mcp")
@shared_options
@click.pass_context
def commands(context: click.Context) -> None:
    """Send texts through 46elks from an AI assistant. Unofficial.

    Without a command, elks-mcp is the MCP server, on standard input and output.
    """
    if context.invoked_subcommand is not None:
        if isinstance(sys.stdout, io.TextIOWrapper):  # the encoding of a Windows pipe lacks characters
            sys.stdout.reconfigure(errors="replace")
        return
    if sys.stdin.isatty():
        click.echo(_EXPLANATION)
        return
    with collection_paused(), diverted():
        from elks_mcp.cli.environment import read_options  # noqa: PLC0415  (loads what only the server needs)
        from elks_mcp.cli.stdio import serve  # noqa: PLC0415

        configuration = read_options(context)
    serve(configuration, context.obj)
