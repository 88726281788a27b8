"""With `ELKS_SHOW_NUMBERS=false` no message to a client has three digits of a number."""

import json
import re
from base64 import b64encode
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import PromptReference, ResourceTemplateReference

from elks_mcp.sandbox import SAMPLE, Sandbox
from tests.support.connecting import FAST_PACE, Person, call, data, live, new_box, posted, without_ids
from tests.support.contact_files import card
from tests.support.frames import Frame, Way, recorded

pytestmark = pytest.mark.anyio

OWN, SECOND_OWN = "+46701740640", "+46701740641"
ASA, BO, BO_AT_WORK = "+46701740621", "+46701740622", "+46701740623"
STRANGER, TEXTED, LISTED, MENTIONED, MALLORY, SIGNER = (f"+467017406{last}" for last in range(24, 30))
WAYS = [
    pytest.param(way, marks=pytest.mark.long) if way in {"memory legacy", "http auto"} else way
    for way in get_args(Way)
]
"""All transports and both eras; `make test` runs each at least once."""

NUMBERS = [f"+467017406{last:02}" for last in range(6, 100)]
"""All numbers of the test, and those of the sandbox's phones. The example in descriptions is none of them."""

IN_MANY_SPELLINGS = (
    "Ring 070-174 06 27, 0701740627, +46 70 174 06 27, 0046701740627, 46701740627, (070) 174.06.27, "
    "tel:+46-70-174-06-27, "
    "070_174_06_27, 070*174*06*27, 701740627, 2026070174 0627, 070-174\n06 27. "
    "070\u00a0174\u00a006\u00a027, ０７０１７４０６２７, nr0701740627! SLUTA?"
)


@pytest.fixture
def box() -> Sandbox:
    """A 46elks to text through."""
    return Sandbox(clock=new_box().clock, number=OWN)


def environ_of(box: Sandbox, folder: Path) -> dict[str, str]:
    """Return an environment in which every setting that takes a number has one."""
    contacts = folder / "contacts.vcf"
    contacts.write_text(
        card("Åsa Lind", ASA) + card("Bo", BO) + card("Bo", BO_AT_WORK) + card("Jour 070-174 06 26", LISTED),
        encoding="utf-8",
    )
    state, policies = folder / "state", folder / "paging.yaml"
    steps = ", ".join(f'{{whom: "{each}", by: sms, wait: 5}}' for each in (ASA, STRANGER, MALLORY))
    policies.write_text(f"policies: {{jour: {{cost_cap: 50, steps: [{steps}]}}}}", encoding="utf-8")
    return live(
        box,
        ELKS_SHOW_NUMBERS="false",
        ELKS_TOOLSETS="all",
        ELKS_CONTACTS=str(contacts),
        ELKS_STATE_DIR=str(state),
        ELKS_ESCALATION=str(policies),
        ELKS_ALLOWED_SENDERS=f"Elks,{SECOND_OWN}",
        ELKS_ALLOWED_RECIPIENTS=f"{ASA},{BO},{STRANGER},{TEXTED},{LISTED},{MENTIONED}",
        ELKS_SIGNATURE="Ring 070-174 06 29",
        ELKS_MAX_PER_NUMBER="1000",
        ELKS_MMS_PRICE="0.01",
        ELKS_CALL_PRICE_PER_MINUTE="0.80",
        ELKS_TTS_46ELKS="true",
        **FAST_PACE,
    )


UNREADABLE = [
    "070-174 06 24x",
    "46701740624",
    "070-174 06 24 070-174 06 25",
    "0701740624123",
    "Bo",
    "Åsa L",
    "P-22222222",
]
PICTURE = f"data:image/png;base64,{b64encode(SAMPLE.content).decode()}"
SPOKEN = {"say": "Call 0701740627", "ask": 1}
SENT = {"message": "Ring 0701740627 eller +46 70 174 06 27"}

TOOLS: dict[str, list[dict[str, Any]]] = {
    "send_sms": [
        *({"to": to, **SENT} for to in [ASA, "Åsa Lind", TEXTED, "070-174 06 26", BO, MALLORY, OWN]),
        *({"to": to, **SENT} for to in UNREADABLE),
        *({"to": ASA, "from": sender, **SENT} for sender in [SECOND_OWN, STRANGER, "070-174 06 24x", "Elks"]),
        {"to": TEXTED, "message": "Hej", "dryRun": True},
        {"to": TEXTED, "message": "Se https://46elks.se/0701740627"},
        {"to": ASA, "message": "Hej", "idempotencyKey": ASA},
        {"to": TEXTED, "message": "Hej", "idempotencyKey": ASA},
        {"to": TEXTED},
        {"to": TEXTED, "message": "Hej", TEXTED: "Hej"},
        {"to": TEXTED, "message": "Hej", "flashsms": TEXTED},
        *({"to": to, "sendAt": "{tomorrow}", **SENT} for to in [ASA, TEXTED, MENTIONED]),
        {"to": TEXTED, "sendAt": "{tomorrow}", "message": f"{'Hej! ' * 9}{SENT['message']}"},
        {"to": ASA, "message": "Hej", "sendAt": STRANGER},
        {"to": ASA, "message": "Hej", "sendAt": "{tomorrow}", "timeZone": "070-174 06 24"},
    ],
    "send_mms": [
        *({"to": to, "image": PICTURE, **SENT} for to in [ASA, "Åsa Lind", TEXTED, BO, MALLORY, *UNREADABLE]),
        {"to": TEXTED, "image": PICTURE, "from": STRANGER},
        {"to": TEXTED, "image": PICTURE, "from": "noreply"},
        {"to": TEXTED, "image": f"{STRANGER}.png"},
        {"to": TEXTED, "image": PICTURE, "dryRun": True},
    ],
    "get_image": [
        *({"messageId": each} for each in ["{picture}", "{received}", "{order}", TEXTED, "070-174 06 24"]),
        {"messageId": "{picture}", "index": 2},
    ],
    "cancel_sms": [{"orderId": order} for order in ["{order}", "O-22222222", TEXTED, "070-174 06 24"]],
    "list_scheduled": [{}, {"with": STRANGER}],
    "number_info": [{}, {"number": OWN}],
    "call_phone": [
        *({"to": to, "dryRun": True, **SPOKEN} for to in [ASA, "Åsa Lind", TEXTED, BO, MALLORY, OWN]),
        *({"to": to, **SPOKEN} for to in UNREADABLE),
        *({"to": ASA, "from": sender, "dryRun": True, **SPOKEN} for sender in [SECOND_OWN, STRANGER, "Elks"]),
        {"to": TEXTED, "prompt": TEXTED},
        {"to": TEXTED, "say": "Hej", "ask": TEXTED},
    ],
    "list_calls": [{}, {"limit": STRANGER}],
    "get_recording": [{"recordingId": each} for each in [TEXTED, "c" + "0" * 32 + "-r0"]],
    "get_sms_messages": [
        {"limit": 100},
        *({"with": who} for who in [ASA, "Åsa Lind", STRANGER, "0701740624", *UNREADABLE]),
        {"since": STRANGER},
        {"direction": STRANGER},
        {"limit": STRANGER},
    ],
    "check_sms_status": [
        {"messageId": each}
        for each in [
            "{order}",
            "{message}",
            "{received}",
            "{order},{message},O-22222222",
            TEXTED,
            "0701740624,070-174 06 25",
        ]
    ],
    "estimate_sms_cost": [
        *({"to": to, **SENT} for to in [ASA, TEXTED, MALLORY, STRANGER, OWN, *UNREADABLE]),
        {"to": ASA, "message": "Ring 0701740627 👍" + "0701740628 " * 30},
    ],
    "find_contact": [
        {"query": each}
        for each in ["Åsa", "Bo", "Jour", ASA, STRANGER, "070-174 06 24", "@jour", "070-174 06 24x"]
    ],
    "wait_for_reply": [
        {"from": who, "timeout": 0} for who in [ASA, STRANGER, "070-174 06 24", "", *UNREADABLE]
    ]
    + [{"from": STRANGER, "after": "{cursor}", "timeout": 0}, {"after": STRANGER, "timeout": 0}],
    "ask_by_sms": [
        {"to": to, **SENT, "timeout": 0, **more}
        for to in [ASA, MALLORY, *UNREADABLE[:1]]
        for more in ({}, {"dryRun": True}, {"from": "Elks"})
    ],
    "plan_batch": [
        {
            "message": "Hej {namn|du}! Ring 070-174 06 27",
            "recipients": [ASA, "Bo", STRANGER, "070-174 06 26"],
        },
        *({"message": "Hej!", "recipients": each} for each in [f"{TEXTED}, {MALLORY}", UNREADABLE, [OWN]]),
        {"message": "Hej {namn}!", "csv": f"namn;nummer;tid\nKim;{STRANGER};9\n{TEXTED};070-174 06 24x;8"},
        {"message": f"Ring {LISTED}", "csv": f"telefon\n{STRANGER}\n{STRANGER}", "from": SECOND_OWN},
        {"message": "Hej {0701740624}!", "csv": f"namn;nummer\nKim;{STRANGER}"},
        {"message": "Hej!", "group": STRANGER},
        {"message": "Hej!", "file": f"{STRANGER}.csv"},
        {"message": "Hej!", "restOf": "{batch}"},
        {"message": "Hej!", "restOf": STRANGER},
        {"message": "Hej!", "recipients": [ASA], "testRow": 1, "name": STRANGER, "sendAt": STRANGER},
        {"message": "Hej!", "recipients": [ASA], "testRow": 1, "name": STRANGER},
    ],
    "start_batch": [{"batchId": "{batch}"}, {"batchId": "{batch}"}, {"batchId": STRANGER}],
    "check_batch": [{"batchId": "{batch}"}, {"batchId": TEXTED}],
    "stop_batch": [
        *({"batchId": "{batch}", "change": change} for change in ["pause", "resume", "cancel", STRANGER]),
        {"batchId": STRANGER, "change": "cancel"},
    ],
    "check_account_balance": [{}, {"account": STRANGER}],
    "get_delivery_statistics": [{}, {"since": "2020-01-01"}, {"limit": STRANGER}, {"since": "070-174 06 24"}],
    "explain_policy": [{}],
    "alert_until_acknowledged": [
        {"message": "Ring 070-174 06 27", "policy": "jour"},
        {"message": "Hej", "policy": "jour", "dryRun": True},
        {"message": "Hej", "policy": STRANGER},
    ],
    "check_alert": [{"alertId": "{alert}"}, {"alertId": STRANGER}],
    "end_alert": [{"alertId": "{alert}"}, {"alertId": STRANGER}],
}
"""The calls of each tool: those that succeed, and those that fail with a number in the error."""

RESOURCES = {"elks://inbox", "elks://policy"}
TEMPLATES = {
    "elks://messages/{message_id}": (
        "message_id",
        ["{order}", "{message}", "{received}", STRANGER, "0701740624", "O-22222222"],
    ),
    "elks://batches/{batch_id}": ("batch_id", ["{batch}", STRANGER, "0701740624", "B-22222222"]),
}
PROMPTS: dict[str, list[dict[str, str]]] = {
    "text_somebody": [{}, {"recipient": STRANGER, "about": "070-174 06 27"}, {STRANGER: "Hej"}],
    "how_did_it_go": [{}],
}
COMPLETED = ["", "+46", "070", "O-", "Å"]


async def drive(client: Client, box: Sandbox) -> None:
    """Use everything that a server offers; fail if it offers something that the tables lack."""
    ids = await exchange_texts(client, box)
    await drive_tools(client, ids)
    await drive_resources(client, ids)
    await drive_prompts(client)


async def exchange_texts(client: Client, box: Sandbox) -> dict[str, str]:
    """Send and receive texts; return the ids of some by the names that the tables use."""
    await call(client, "send_sms", to=ASA, message=f"Hej {ASA}")
    sent = data(await call(client, "send_sms", to=TEXTED, message=f"Hej {TEXTED}"))
    box.reply(TEXTED, IN_MANY_SPELLINGS)
    received = box.receive(STRANGER, f"{IN_MANY_SPELLINGS} Hälsar {STRANGER}")
    picture = box.receive(STRANGER, f"{IN_MANY_SPELLINGS} Hälsar {STRANGER}", pictures=[SAMPLE.content])
    waited = data(await call(client, "wait_for_reply", sender=TEXTED, timeout=0))
    people = [ASA, TEXTED, STRANGER, MALLORY]
    batch = data(await call(client, "plan_batch", message=f"Hej, ring {LISTED}!", recipients=people))
    alert = await call(client, "alert_until_acknowledged", message=f"Ring {LISTED}", policy="jour")
    return {
        "{batch}": batch["batchId"],
        "{alert}": "E-22222222" if alert.is_error else data(alert)["alertId"],
        "{order}": sent["orderId"],
        "{message}": sent["messageId"],
        "{received}": received.id,
        "{picture}": picture.id,
        "{cursor}": waited["cursor"],
        "{tomorrow}": (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="minutes"),
    }


def fill(value: Any, ids: dict[str, str]) -> Any:
    """Return an argument with ids in place of their names."""
    for name, each in ids.items() if isinstance(value, str) else ():
        value = value.replace(name, each)
    return value


async def drive_tools(client: Client, ids: dict[str, str]) -> None:
    """Call each tool."""
    assert {tool.name for tool in (await client.list_tools()).tools} == TOOLS.keys()
    for name, calls in TOOLS.items():
        for arguments in calls:
            await attempt(client.call_tool, name, {key: fill(value, ids) for key, value in arguments.items()})
    await attempt(client.call_tool, STRANGER, {})


async def drive_resources(client: Client, ids: dict[str, str]) -> None:
    """Read each resource, and complete each argument of a template."""
    assert {str(each.uri) for each in (await client.list_resources()).resources} == RESOURCES
    for uri in [*RESOURCES, f"elks://{STRANGER}", STRANGER]:
        await attempt(client.read_resource, uri)
    listed = (await client.list_resource_templates()).resource_templates
    assert {each.uri_template for each in listed} == TEMPLATES.keys()
    for uri, (argument, values) in TEMPLATES.items():
        for value in values:
            await attempt(client.read_resource, uri.replace(f"{{{argument}}}", fill(value, ids)))
        for text in COMPLETED:
            reference = ResourceTemplateReference(uri=uri)
            await attempt(client.complete, reference, {"name": argument, "value": text})


async def drive_prompts(client: Client) -> None:
    """Get each prompt, and complete each of its arguments."""
    prompts = (await client.list_prompts()).prompts
    assert {each.name for each in prompts} == PROMPTS.keys()
    await attempt(client.get_prompt, STRANGER, {})
    for name, examples in PROMPTS.items():
        for arguments in examples:
            await attempt(client.get_prompt, name, arguments)
    completed = [(each.name, argument.name) for each in prompts for argument in each.arguments or ()]
    for prompt, argument in completed:
        for text in COMPLETED:
            await attempt(client.complete, PromptReference(name=prompt), {"name": argument, "value": text})


async def attempt(do: Callable[..., Awaitable[Any]], *arguments: Any) -> None:
    """Do something that may fail: only what the server sends counts."""
    with suppress(MCPError):
        await do(*arguments)


_BETWEEN = re.compile(r"(?<=\d)(?:[\s\-().\[\]/·_*⏎\u00a0\u200b\u2011]|\\u[0-9a-f]{4}|\\xa0|\\n|\\t)+(?=\d)")
_NOT_SHOWN = {"inputRequests", "requestState"}
_MASKED = re.compile(r"\+?\d+\*+\d+")
_TELLING = 5
"""Digits in a row that are searched for: fewer are in other things as well."""

_PARTS = sorted(
    {number[start : start + _TELLING] for number in NUMBERS for start in range(3, len(number) - _TELLING + 1)}
)


def list_shown(frame: Frame) -> list[str]:
    """Return the parts of numbers that a message shows, in whatever spelling.

    A form, which goes to a person, is left out, and so is what a client only returns to the server.
    """
    if frame.get("method") == "elicitation/create":
        return []
    result = {name: value for name, value in frame.get("result", {}).items() if name not in _NOT_SHOWN}
    written = json.dumps({**frame, "result": result} if result else frame, ensure_ascii=False)
    text = written.replace("+46701740605", "").replace("070-174 06 05", "")
    digits = "".join(str(int(char)) if char.isdecimal() else char for char in without_ids(text))
    digits = _BETWEEN.sub("", digits)
    masked = [each for each in _MASKED.findall(text) if sum(map(str.isdigit, each)) > 2]
    return [*(part for part in _PARTS if part in digits), *masked]


def list_forms(frames: list[Frame]) -> list[str]:
    """Return the forms for a person that are in messages."""
    return [
        json.dumps(frame, ensure_ascii=False)
        for frame in frames
        if frame.get("method") == "elicitation/create" or "inputRequests" in frame.get("result", {})
    ]


@pytest.mark.parametrize("way", WAYS)
async def test_no_message_shows_more_than_two_digits_of_a_number(
    box: Sandbox, tmp_path: Path, way: Way
) -> None:
    frames: list[Frame] = []
    async with recorded(environ_of(box, tmp_path), box, way, frames, Person()) as client:
        await drive(client, box)
    assert posted(box)
    for frame in frames:
        assert not list_shown(frame), json.dumps(frame, ensure_ascii=False, indent=1)
    assert any(number in form for form in list_forms(frames) for number in NUMBERS), "a person sees numbers"
