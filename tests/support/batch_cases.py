"""Helpers shared by the tests of batches through a client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from mcp import Client

from elks_mcp.contacts.accepted import ContactReader
from elks_mcp.sandbox import Sandbox
from elks_mcp.store import StateLocation
from elks_mcp.store.batch_admin import BatchAdmin
from tests.support.clocks import ManualClock, autojump
from tests.support.connecting import Era, Person, box_on, call, connected, data, live, posted
from tests.support.state_folders import with_tables
from tests.support.stores import opened

MESSAGE = "Hej {namn}! Din tid är i morgon kl. {tid}. Välkommen!"
NAMES = ("Åsa", "Bo", "Kim", "Eva", "Nils", "Siv")


def number(row: int) -> str:
    """Return the number of a row: it reaches no phone."""
    return f"+467017406{row + 5:02}"


def csv_of(rows: int) -> str:
    """Return a list as Swedish Excel writes it."""
    lines = [f"{NAMES[(at - 1) % 6]};070-174 06 {at + 5:02};{8 + at % 9}:30" for at in range(1, rows + 1)]
    return "\n".join(["namn;telefon;tid", *lines])


@dataclass
class Shop:
    """A shop's assistant, connected to a server on a clock that advances by itself."""

    client: Client
    box: Sandbox
    clock: ManualClock
    folder: Path
    calls: list[tuple[str, int, int]] = field(default_factory=list)
    """The tool, and the bytes of arguments and answer, of each call."""

    @property
    def location(self) -> StateLocation:
        """The location of the server's state."""
        return StateLocation(folder=self.folder)

    async def plan(self, message: str = MESSAGE, **arguments: Any) -> dict[str, Any]:
        """Plan a batch, of a list of three unless a source is given; return the data of the answer."""
        if not {"recipients", "csv", "file", "group", "restOf"} & arguments.keys():
            arguments["csv"] = csv_of(3)
        return data(await call(self.client, "plan_batch", message=message, **arguments))

    async def start(self, plan: dict[str, Any]) -> dict[str, Any]:
        """Start a batch; return the data of the answer."""
        return data(await call(self.client, "start_batch", batchId=plan["batchId"]))

    async def check(self, plan: dict[str, Any]) -> dict[str, Any]:
        """Follow a batch; return the data of the answer."""
        return data(await call(self.client, "check_batch", batchId=plan["batchId"]))

    @property
    def sent(self) -> list[tuple[str, str]]:
        """Recipient and text of what reached 46elks, in order."""
        return [(form["to"], form["message"]) for form in posted(self.box)]


@asynccontextmanager
async def open_shop(
    folder: Path,
    era: Era = "auto",
    person: Person | None = None,
    *,
    contacts: ContactReader | None = None,
    **environ: str,
) -> AsyncIterator[Shop]:
    """Connect the assistant of a shop; `person` is asked, if there is one."""
    clock = ManualClock()
    box = box_on(clock)
    with_tables(folder / "state")
    settings = live(box, ELKS_STATE_DIR=str(folder / "state"), **environ)
    async with (
        connected(settings, box=box, way=era, person=person, clock=clock, contacts=contacts) as client,
        autojump(clock),
    ):
        yield Shop(client, box, clock, folder / "state")


_WORKBOOK = {
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.'
    'spreadsheetml.sheet.main+xml"/></Types>',
    "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/'
    'officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">'
    '<sheets><sheet name="Kunder" sheetId="1" r:id="r1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/'
    'relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/'
    'relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
}


def write_workbook(file: Path, csv: str) -> None:
    """Write a list as an Excel workbook with one sheet of texts."""
    rows = "".join(
        f'<row r="{at}">'
        + "".join(
            f'<c r="{chr(65 + column)}{at}" t="inlineStr"><is><t>{cell}</t></is></c>'
            for column, cell in enumerate(line.split(";"))
        )
        + "</row>"
        for at, line in enumerate(csv.split("\n"), 1)
    )
    sheet = (
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        f"<sheetData>{rows}</sheetData></worksheet>"
    )
    with ZipFile(file, "w") as archive:
        for name, content in {**_WORKBOOK, "xl/worksheets/sheet1.xml": sheet}.items():
            archive.writestr(name, content)


@asynccontextmanager
async def opened_admin(shop: Shop) -> AsyncIterator[BatchAdmin]:
    """Open the administration of the server's database, as a command does."""
    async with opened(shop.location, shop.clock) as store:
        yield BatchAdmin(store.database)


async def stop(shop: Shop, plan: dict[str, Any], action: str) -> Any:
    """Pause, resume or cancel a batch, and return the whole answer."""
    return await call(shop.client, "stop_batch", batchId=plan["batchId"], change=action)
