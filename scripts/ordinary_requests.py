"""Measure ten ordinary requests: calls, questions to the user, and bytes of answers.

Each request is carried out against a sandbox with a month of texts, as well as the server's tools allow. The
script uses only what every version of the server has, so it measures an older one as well:

    uv run python scripts/ordinary_requests.py --json after.json
    /PATH/TO/OLDER/.venv/bin/python scripts/ordinary_requests.py --json before.json
    uv run python scripts/ordinary_requests.py --table before.json after.json
"""

import argparse
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
from mcp import Client
from mcp_types import CallToolResult, TextContent

from elks_mcp.app import open_app
from elks_mcp.mcp_server.server import build_server
from elks_mcp.sandbox import Sandbox
from elks_mcp.settings import load

PEOPLE = {name: f"+467017406{digits}" for name, digits in (("Åsa", "05"), ("Bo", "06"), ("Cia", "07"))}
GROUP = "kollegor"
_OTHERS = [f"+467017406{digits}" for digits in range(20, 26)]
_NEW = "+46701740630"
_TEXTS = ("Hej! Kan du komma på lördag kl. 9?", "Ja, det går bra.", "Tack så mycket! Vi ses då.", "Ok 👍")


@dataclass
class Cost:
    """The cost of a request; `words` and `data` are bytes of answers, of which a model gets one."""

    request: str
    calls: int = 0
    questions: int = 0
    words: int = 0
    data: int = 0
    done: bool = True


class Assistant:
    """Carries out requests with the tools that the server has, and counts what that costs."""

    def __init__(self, client: Client, tools: dict[str, dict[str, Any]], box: Sandbox, cost: Cost) -> None:
        self._client, self._tools, self.box, self._cost = client, tools, box, cost

    def offers(self, tool: str, parameter: str = "") -> bool:
        """Return whether the server has a tool, with a parameter."""
        return tool in self._tools and (not parameter or parameter in self._tools[tool])

    def describe(self, tool: str, parameter: str) -> str:
        """Return what the server says of a parameter."""
        return str(self._tools[tool][parameter]["description"])

    async def call(self, tool: str, **arguments: Any) -> CallToolResult:
        """Call a tool, and count it."""
        answer = await self._client.call_tool(tool, arguments)
        if not isinstance(answer, CallToolResult):
            raise TypeError(answer)
        self._cost.calls += 1
        self._cost.words += len(words_of(answer).encode())
        data = answer.structured_content
        self._cost.data += len(_as_json(data).encode()) if data else len(words_of(answer).encode())
        return answer

    def number_of(self, *names: str) -> list[str]:
        """Return `to` for people: their names, or their numbers, which the user has to give."""
        if self.offers("find_contact"):
            return list(names)
        self._cost.questions += 1
        return [PEOPLE[name] for name in names]

    def give_up(self) -> None:
        """Record that the request cannot be carried out."""
        self._cost.done = False


def words_of(answer: CallToolResult) -> str:
    """Return the text of an answer."""
    return "".join(block.text for block in answer.content if isinstance(block, TextContent))


async def text_one(assistant: Assistant) -> None:
    """Text one person."""
    (to,) = assistant.number_of("Åsa")
    await assistant.call("send_sms", to=to, message="Jag blir tio minuter sen.")


async def text_three(assistant: Assistant) -> None:
    """Text three colleagues, whose names are those of a group of the contacts."""
    people = list(PEOPLE)
    if assistant.offers("find_contact"):
        found = await assistant.call("find_contact", query=GROUP)
        people = [each["name"] for each in (found.structured_content or {})["contacts"]]
    for to in assistant.number_of(*people):
        await assistant.call("send_sms", to=to, message="Mötet är flyttat till kl. 14.")


async def show_conversation(assistant: Assistant) -> None:
    """List the ten latest texts with one person."""
    (person,) = assistant.number_of("Åsa")
    if assistant.offers("get_sms_messages", "with"):
        await assistant.call("get_sms_messages", **{"with": person})
    else:
        await read_account(assistant, lambda _, found: found >= 10)  # noqa: PLR2004


async def show_week(assistant: Assistant) -> None:
    """List the texts of a week with one person."""
    (person,) = assistant.number_of("Åsa")
    since, until = (assistant.box.clock.now() - timedelta(days=days) for days in (15, 8))
    if assistant.offers("get_sms_messages", "since"):
        period = {"since": f"{since:%Y-%m-%d}", "until": f"{until:%Y-%m-%d}"}
        await assistant.call("get_sms_messages", limit=100, **{"with": person}, **period)
    else:
        await read_account(assistant, lambda oldest, _: oldest < since)


async def read_account(assistant: Assistant, is_enough: Callable[[datetime, int], bool]) -> None:
    """List all texts of the account, as a server without `with` has it, until there is enough."""
    more: dict[str, str] = {}
    found = 0
    while True:
        answer = await assistant.call("get_sms_messages", limit=100, **more)
        messages = (answer.structured_content or {})["messages"]
        found += sum(PEOPLE["Åsa"] in {each.get("from"), each["to"]} for each in messages)
        if not messages or is_enough(datetime.fromisoformat(messages[-1]["createdAt"]), found):
            return
        more = {"until": messages[-1]["createdAt"]}


async def read_answers(assistant: Assistant) -> None:
    """List the ten latest answers."""
    await assistant.call("get_sms_messages", direction="inbound")


async def sum_week(assistant: Assistant) -> None:
    """Sum up what the last seven days cost."""
    since = assistant.box.clock.now() - timedelta(days=7)
    if assistant.offers("get_delivery_statistics", "since"):
        await assistant.call("get_delivery_statistics", since=f"{since:%Y-%m-%d}")
    else:
        await read_account(assistant, lambda oldest, _: oldest < since)


async def check_three(assistant: Assistant) -> None:
    """Check whether three texts were delivered."""
    sent = [each.id for each in reversed(assistant.box.history) if each.direction == "outgoing"][:3]
    if "commas" in assistant.describe("check_sms_status", "messageId"):
        sent = [", ".join(sent)]
    for ids in sent:
        await assistant.call("check_sms_status", messageId=ids)


async def price(assistant: Assistant) -> None:
    """Price a text."""
    await assistant.call("estimate_sms_cost", to=_OTHERS[0], message="Hej! ”Vi ses” kl. 10.")


async def check_balance(assistant: Assistant) -> None:
    """Read the balance."""
    await assistant.call("check_account_balance")


async def cancel(assistant: Assistant) -> None:
    """Cancel a text that waits for a person."""
    waiting = words_of(await assistant.call("send_sms", to=_NEW, message="Hej, vi är nya här."))
    order = re.search(r"O-[0-9A-Z]{8}", waiting)
    if order and assistant.offers("cancel_sms"):
        await assistant.call("cancel_sms", orderId=order[0])
    else:
        assistant.give_up()


REQUESTS: dict[str, Callable[[Assistant], Awaitable[None]]] = {
    "Text Åsa that I am late": text_one,
    "Text my three colleagues": text_three,
    "Show me the conversation with Åsa": show_conversation,
    "What did Åsa and I write the week before last?": show_week,
    "What did they answer?": read_answers,
    "What did I spend this week?": sum_week,
    "Did these three texts arrive?": check_three,
    "What would this text cost?": price,
    "How much is left on the account?": check_balance,
    "Cancel that": cancel,
}


async def measure() -> list[Cost]:
    """Carry out each request with a server of its own, and return what it cost."""
    return [await _measure(request, work) for request, work in REQUESTS.items()]


async def _measure(request: str, work: Callable[[Assistant], Awaitable[None]]) -> Cost:
    box, cost = Sandbox(), Cost(request)
    fill(box)
    with TemporaryDirectory() as folder:
        contacts = Path(folder) / "contacts.csv"
        rows = [f"{name},{number},{GROUP}" for name, number in PEOPLE.items()]
        contacts.write_text("\n".join(["name,phone,groups", *rows]) + "\n", encoding="utf-8")
        configuration = load(
            {
                "ELKS_API_USERNAME": box.username,
                "ELKS_API_PASSWORD": box.password,
                "ELKS_PHONE_NUMBER": box.number,
                "ELKS_STATE_DIR": f"{folder}/state",
                "ELKS_TIME_ZONE": "Europe/Stockholm",
                "ELKS_CONTACTS": str(contacts),
                "DRY_RUN": "false",
            }
        )
        server = build_server(
            configuration.settings.policy(), lambda: open_app(configuration, transport=box.transport())
        )
        async with Client(server) as client:
            listed = (await client.list_tools()).tools
            tools = {tool.name: tool.input_schema["properties"] for tool in listed}
            await work(Assistant(client, tools, box, cost))
    return cost


def fill(box: Sandbox) -> None:
    """Store a month of texts: six an hour apart each day, every other one received."""
    numbers = [*PEOPLE.values(), *_OTHERS]
    for index in range(180):
        at = box.clock.now() - timedelta(days=index // 6, hours=index % 6, minutes=5)
        number, text = numbers[index // 2 % len(numbers)], _TEXTS[index % len(_TEXTS)]
        if index % 2:
            box.add_history(at, to=number, text=text)
        else:
            box.add_history(at, direction="incoming", sender=number, text=text)


def write_table(before: list[Cost], after: list[Cost]) -> str:
    """Return both measurements as a table in Markdown."""
    head = (
        "| Request | Calls | Questions to the user | Bytes in words | Bytes as data |\n|---|---|---|---|---|"
    )
    rows = [
        f"| {new.request} | "
        + " | ".join(
            f"{_cell(old, name)} → {_cell(new, name)}" for name in ("calls", "questions", "words", "data")
        )
        + " |"
        for old, new in zip(before, after, strict=True)
    ]
    return "\n".join([head, *rows])


def _cell(cost: Cost, name: str) -> str:
    return f"{getattr(cost, name):,}" if cost.done else "–"


def _read(file: Path) -> list[Cost]:
    return [Cost(**row) for row in json.loads(file.read_text(encoding="utf-8"))]


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def main() -> None:
    """Measure this version, or compare two measurements."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--table", type=Path, nargs=2, metavar=("BEFORE", "AFTER"), help="compare two files")
    options = parser.parse_args()
    if options.table:
        print(write_table(*map(_read, options.table)))
        return
    costs = anyio.run(measure)
    if options.json:
        options.json.write_text(json.dumps([asdict(cost) for cost in costs]), encoding="utf-8")
    print(write_table(costs, costs))


if __name__ == "__main__":
    main()
