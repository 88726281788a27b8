"""`elks-mcp contacts`: the operator's contacts."""

import click

from elks_mcp.cli.arguments import shared_options
from elks_mcp.cli.contacts_accept import accept


@click.group()
@shared_options
def contacts() -> None:
    """Accept changed contacts.

    ELKS_CONTACTS names the file, or the directory of .vcf files. No command writes them.
    """


contacts.add_command(accept)
