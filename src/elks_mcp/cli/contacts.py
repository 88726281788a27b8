"""`elks-mcp contacts`: list the operator's contacts, and check the files that hold them."""

from collections import Counter
from pathlib import Path
from typing import Any

import click

from elks_mcp.cli.arguments import shared_options
from elks_mcp.cli.contact_reading import read_contacts
from elks_mcp.cli.contacts_accept import accept
from elks_mcp.cli.environment import with_settings
from elks_mcp.cli.output import say, show_number, wrap
from elks_mcp.cli.session import print_json
from elks_mcp.contacts.contact_files import Reading
from elks_mcp.contacts.entries import Weight
from elks_mcp.domain.contacts import Contact, fold_name
from elks_mcp.domain.wording import format_count
from elks_mcp.settings import Configuration


@click.group()
@shared_options
def contacts() -> None:
    """List your contacts, and check their files.

    ELKS_CONTACTS names the file, or the directory of .vcf files. No command writes them.
    """


contacts.add_command(accept)


@contacts.command("list")
@click.option("--group", default="", help="Only the people in this group.")
@click.option("--json", "as_json", is_flag=True, help="Print the contacts as JSON.")
@with_settings()
def list_contacts(configuration: Configuration, group: str, *, as_json: bool) -> int:
    """List the people who can be texted by name, with their numbers and groups."""
    found = read_contacts(configuration).contacts
    people = found.list_group(group) if group else found.people
    people = tuple(sorted(people, key=lambda each: fold_name(each.name)))
    if as_json:
        print_json([_as_json(each) for each in people])
        return 0
    for each in people:
        say("\n".join(_describe(each, configuration.policy.home)))
    if not people:
        say(f"The group {group} is empty." if group else "There are no contacts.")
    if group and not people:
        say(f"Groups: {', '.join(found.list_groups()) or 'none'}.")
        return 1
    return 0


@contacts.command()
@click.argument("file", required=False, type=click.Path(exists=True, path_type=Path))
@with_settings()
def check(configuration: Configuration, file: Path | None) -> int:
    """List what cannot be used in a file of contacts, and why.

    Without FILE, checks the one that ELKS_CONTACTS names. Exit code 1 if something cannot be used.
    """
    reading = read_contacts(configuration, file)
    for weight in (Weight.UNUSABLE, Weight.REPAIRED, Weight.NOTE):
        for remark in reading.remarks:
            if remark.weight is weight:
                say("\n".join(wrap(f"{remark.place}: {remark.reason}", indent="  ")))
    say("\n".join(wrap(summarize(reading))))
    return 1 if reading.problems else 0


def summarize(reading: Reading) -> str:
    """Return how many people, groups, repairs and problems there are, in sentences."""
    found, weights = reading.contacts, Counter(each.weight for each in reading.remarks)
    with_number = sum(bool(each.numbers) for each in found.people)
    people = (
        f"{format_count(with_number, 'contact')} with a number, {len(found.people) - with_number} without"
    )
    groups = format_count(len(found.list_groups()), "group")
    problems = format_count(weights[Weight.UNUSABLE], "problem")
    return f"{people}; {groups}. {problems}, {format_count(weights[Weight.REPAIRED], 'repair')}."


def _describe(contact: Contact, home: str) -> list[str]:
    numbers = [
        f"  {show_number(each.number.e164, home)}" + (f"  {each.label}" if each.label else "")
        for each in contact.numbers
    ]
    return [contact.described, *(numbers or ["  no phone number"])]


def _as_json(contact: Contact) -> dict[str, Any]:
    numbers = [
        {"number": each.number.e164, "label": each.label, "mobile": each.is_mobile}
        for each in contact.numbers
    ]
    return {
        "name": contact.name,
        "numbers": numbers,
        "aliases": list(contact.aliases),
        "groups": list(contact.groups),
        "company": contact.company,
    }
