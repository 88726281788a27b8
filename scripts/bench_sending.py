"""Measure the cost of never sending twice: live sends, the queue, claims in a full table.

A live `send_sms` is compared with a server that only prices and posts, in turns within one run. 46elks
is the sandbox in a process of its own; PostgreSQL is a real one, started for this.

    uv run --group dev python scripts/bench_sending.py [--json FILE|-] [--strict]
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median, quantiles

import anyio
from bench_report import draw
from bench_sessions import SERVERS, Command, Session, compile_all, find_ours, simulated_46elks
from sqlalchemy import insert, text

from elks_mcp.app import App, open_app
from elks_mcp.domain.models import Recall
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Approval, Approver, Draft, Estimate, Order, OrderState, Quote, Receipt
from elks_mcp.domain.payloads import Sms
from elks_mcp.domain.phone import Number
from elks_mcp.settings import load
from elks_mcp.store import AccountKey, Idle, Pace, Storage
from elks_mcp.store.db.database import Tx
from elks_mcp.store.db.schema import orders
from elks_mcp.store.orders import OrderStore

_TO, _FROM = "+46701740605", "+46701740699"
_PEOPLE = [f"+467017406{number:02}" for number in range(20, 99)]
_KEY = "a key for measuring, no secret at all"
_BLOCK = 5
"""The calls of one server before the turn of the other."""

OURS = Command("elks-mcp", (find_ours(),), "send_sms")
BARE = Command("sending", (sys.executable, str(SERVERS / "sending.py")), "send_sms")

_UNLIMITED = {
    "DRY_RUN": "false",
    "ELKS_SMS_PER_MINUTE": "100000",
    "ELKS_MAX_PER_NUMBER": "100000",
    "ELKS_BUDGET_PER_DAY": "1000000",
    "ELKS_LOG_LEVEL": "WARNING",
}


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report. `most` and `least` are targets; 0 means none."""

    name: str
    value: float
    unit: str
    how: str
    most: float = 0
    least: float = 0

    @property
    def reached(self) -> bool | None:
        """Whether the target was reached; None if there is none."""
        if self.most:
            return self.value <= self.most
        return self.value >= self.least if self.least else None

    def cells(self) -> tuple[str, ...]:
        """Return the cells of the line in the table."""
        target = f"≤ {self.most:g} {self.unit}" if self.most else f"≥ {self.least:g} {self.unit}"
        verdict = {True: "reached", False: "MISSED", None: ""}[self.reached]
        shown = f"{self.value:.1f} {self.unit}"
        return self.name, shown, self.how, target if self.most or self.least else "", verdict


@dataclass(frozen=True, slots=True)
class Setup:
    """A database to measure with, and its targets."""

    name: str
    environ: Mapping[str, str]
    most_added: float
    least_rate: float
    most_claim: float


def main() -> int:
    """Measure, report, and return the exit code: 1 with `--strict` if a target is missed."""
    options = _read_options()
    compile_all()
    figures = []
    with simulated_46elks() as environ, setups(options.databases) as places:
        for setup in places:
            figures += _measure({**environ, **_UNLIMITED, **setup.environ}, setup, options)
    report(figures)
    if options.json:
        write_json(options.json, figures)
    return int(options.strict and any(figure.reached is False for figure in figures))


def report(figures: list[Figure]) -> None:
    """Print the figures, and the targets that were missed."""
    header = ("figure", "elks-mcp", "compared with, or how", "target", "")
    print(draw([header, *(figure.cells() for figure in figures)]), file=sys.stderr)
    missed = [figure.name for figure in figures if figure.reached is False]
    print(f"\nTarget missed: {', '.join(missed)}." if missed else "\nAll targets reached.", file=sys.stderr)


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the cost of never sending twice.")
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON; - is standard output")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a target is missed")
    parser.add_argument("--calls", type=int, default=150, help="sends of each server (default 150)")
    parser.add_argument("--queued", type=int, default=600, help="texts in the queue (default 600)")
    parser.add_argument("--settled", type=int, default=100_000, help="old orders in the table")
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgres"])
    return parser.parse_args()


def _measure(environ: Mapping[str, str], setup: Setup, options: argparse.Namespace) -> list[Figure]:
    added, memory = _compare_sends(environ, options.calls)
    rate = anyio.run(_drain, environ, options.queued)
    empty, full = anyio.run(_claims, environ, options.settled)
    name = setup.name
    return [
        Figure(f"{name}: a live send adds", added, "ms", "to pricing and posting, median", setup.most_added),
        Figure(f"{name}: sent from the queue", rate, "a second", "no pace", least=setup.least_rate),
        Figure(f"{name}: claim, p99, empty table", empty, "ms", "200 claims"),
        Figure(f"{name}: claim, p99, full table", full, "ms", f"{options.settled:,} old", setup.most_claim),
        Figure(f"{name}: memory after live sends", memory, "MiB", "resident", 115),
    ]


def _compare_sends(environ: Mapping[str, str], calls: int) -> tuple[float, float]:
    """Send with both servers in turns.

    Return the extra milliseconds of ours, and its memory afterwards in MiB.
    """
    times: dict[Command, list[float]] = {OURS: [], BARE: []}
    with ExitStack() as stack:
        sessions = {each: stack.enter_context(Session(each, environ, modern=True)) for each in times}
        for session in sessions.values():
            session.greet()
            session.call(to=_TO, message="The first one loads what is needed")
        for _ in range(0, calls, _BLOCK):
            for command, session in sessions.items():
                times[command] += [
                    session.call(to=_TO, message=f"{time.monotonic_ns()}") for _ in range(_BLOCK)
                ]
        memory = sessions[OURS].memory()
    differences = [ours - bare for ours, bare in zip(times[OURS], times[BARE], strict=True)]
    return median(differences), memory


async def _drain(environ: Mapping[str, str], count: int) -> float:
    """Fill the queue while no worker runs, then send it, and return the texts per second."""
    settings = load(environ).settings
    account = AccountKey(settings.base_url, environ["ELKS_API_USERNAME"])
    storage = Storage(settings.state_location(), account)
    order_store = (await storage.open()).orders
    placed = [(await order_store.place(_approval(number), _allow)).order for number in range(count)]
    async with _app(environ) as app:
        await app.storage.open()
        began = time.perf_counter()
        app.outbox.hand_over(placed[0])
        while await _is_moving(order_store, placed[-20:]):
            await app.outbox.wait(placed[-1], timedelta(seconds=1))
        taken = time.perf_counter() - began
    await storage.close()
    return count / taken


async def _is_moving(order_store: OrderStore, orders: list[Order]) -> bool:
    """Return whether some orders are not sent yet; none may end in another state."""
    states = {(await order_store.get(order.id)).state for order in orders}
    if states - {OrderState.QUEUED, OrderState.SENDING, OrderState.SENT}:
        raise SystemExit(f"texts of the queue are {states}")
    return states != {OrderState.SENT}


async def _claims(environ: Mapping[str, str], settled: int) -> tuple[float, float]:
    """Claim and settle in an empty table, then in a full one.

    Return the 99th percentile of a claim in each, in milliseconds.
    """
    storage = Storage(load(environ).settings.state_location(), AccountKey("https://claims.example", "nobody"))
    store = await storage.open()
    await _claim_and_settle(storage, 0)
    empty = await _claim_and_settle(storage, 1)
    await store.database.run(partial(_fill, count=settled), writes=True)
    full = await _claim_and_settle(storage, 2)
    await storage.close()
    return empty, full


def _fill(tx: Tx, count: int) -> None:
    """Insert old orders, and run ANALYZE on PostgreSQL, which it does by itself in time."""
    for start in range(0, count, 5000):
        numbers = range(start, min(start + 5000, count))
        tx.execute(insert(orders), [_settled_row(tx.account_id, number) for number in numbers])
    if tx.is_postgres:
        tx.execute(text("ANALYZE"))


async def _claim_and_settle(storage: Storage, turn: int, count: int = 200) -> float:
    store, times = await storage.open(), []
    pace = Pace(gap=timedelta(microseconds=1), lease=timedelta(seconds=15))
    for number in range(count):
        await store.orders.place(_approval(turn * count + number), _allow)
    for number in range(count):
        began = time.perf_counter()
        claims = await store.queue.claim(pace, _allow)
        times.append((time.perf_counter() - began) * 1000)
        if isinstance(claims, Idle):
            raise SystemExit("No order could be claimed.")
        [claim] = claims
        await store.queue.settle_sent(claim, Receipt(message_id=f"s{turn}-{number}", status="created"))
    return quantiles(times, n=100)[-1]


def _settled_row(account: int, number: int) -> dict[str, object]:
    at = datetime.now(UTC) - timedelta(seconds=60 * number)
    return {
        "id": f"S-{number:08}",
        "account_id": account,
        "state": OrderState.SENT,
        "recipient": _TO,
        "sender": _FROM,
        "details": '{"flash": false, "encoding": "GSM-7"}',
        "parts": 1,
        "price": 5200,
        "currency": "SEK",
        "findings": "[]",
        "approver": Approver.POLICY,
        "placed_at": at,
        "changed_at": at,
        "due_at": at,
        "charge": 5200,
        "charged_at": at,
        "recipient_hash": f"{number % 5000:064}",
        "text_hash": f"{number:064}",
        "fingerprint": f"{number:064}",
        "attempts": 1,
        "message_id": f"old-{number}",
        "message_status": "sent",
        "status_reason": "",
    }


def _approval(number: int) -> Approval:
    draft = Draft(
        to=Number(_PEOPLE[number % len(_PEOPLE)]),
        payload=Sms(text=f"Text {number}"),
        sender=Number(_FROM),
        idempotency_key=f"{time.monotonic_ns()}",
    )
    quote = Quote(
        draft=draft,
        estimate=Estimate(price=Money(5200, "SEK"), parts=1),
        findings=(),
        quoted_at=datetime.now(UTC),
    )
    return Approval(quote=quote, approver=Approver.POLICY)


def _allow(_draft: Draft, _price: Money, _recall: Recall) -> None:
    return None


@asynccontextmanager
async def _app(environ: Mapping[str, str]) -> AsyncIterator[App]:
    async with open_app(load(environ)) as app:
        yield app


@contextmanager
def setups(names: list[str]) -> Iterator[list[Setup]]:
    """Prepare an empty database of each kind."""
    with ExitStack() as stack:
        setups = []
        if "sqlite" in names:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            setups.append(Setup("SQLite", {"ELKS_STATE_DIR": folder}, 25, 60, 30))
        if "postgres" in names:
            sys.path.insert(0, str(Path(__file__).parent.parent))
            from tests.support.postgres import new_database, running_postgres  # noqa: PLC0415  (only if needed)

            url = new_database(stack.enter_context(running_postgres()))
            environ = {"ELKS_DATABASE_URL": url, "ELKS_SECRET_KEY": _KEY}
            setups.append(Setup("PostgreSQL", environ, 12, 200, 10))
        yield setups


def write_json(target: str, figures: list[Figure]) -> None:
    text = json.dumps([asdict(figure) | {"reached": figure.reached} for figure in figures], indent=2) + "\n"
    if target == "-":
        sys.stdout.write(text)
    else:
        Path(target).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
