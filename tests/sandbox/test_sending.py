"""POST /a1/sms: what is accepted, what it costs, and what is refused."""

import httpx2
import pytest

from elks_mcp.sandbox import Rules, Sandbox

from .clients import PHONE, open_client, sms

pytestmark = pytest.mark.anyio


async def test_an_accepted_text_is_answered_logged_charged_and_recorded(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    answer = await client.post("sms", data=sms(box, message="å" * 161))
    assert (answer.status_code, answer.json()["parts"], answer.json()["cost"]) == (200, 2, 10_400)
    [message], [charge], [request] = box.accepted, box.charges, box.requests
    assert message.id == charge.message_id == answer.json()["id"]
    assert (charge.amount, charge.balance_after) == (10_400, box.balance) == (10_400, 989_600)
    assert (request.method, request.path, request.status) == ("POST", "/a1/sms", 200)
    assert request.form == sms(box, message="å" * 161)


async def test_a_dry_run_prices_a_text_and_does_nothing_else(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    answer = await client.post("sms", data=sms(box, to="+4612", dryrun="yes"))
    assert answer.json()["estimated_cost"] == 5_200
    assert not {"id", "created", "cost"} & answer.json().keys()
    assert (box.accepted, box.charges, box.history) == ([], [], [])


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"from": "", "to": "", "message": ""}, "Missing key from"),
        ({"to": "", "message": ""}, "Missing key to"),
        ({"message": ""}, "Missing key message"),
        ({"to": "moose"}, "Invalid to number"),
        ({"to": "0701740605"}, "Invalid to number"),
        ({"from": "46elks"}, "Alphanumeric numbers may not start with a digit"),
        ({"from": "KOM-FORT"}, "Invalid from number"),
        ({"from": "AB"}, "Invalid from number"),
        ({"from": "TwelveLetter"}, "Invalid from number"),
        ({"to": "+8810000000"}, "Sending SMS to this country is disallowed by default"),
    ],
)
async def test_a_bad_parameter_is_refused_with_403_and_one_line(
    box: Sandbox, client: httpx2.AsyncClient, change: dict[str, str], line: str
) -> None:
    answer = await client.post("sms", data=sms(box) | change)
    assert (answer.status_code, answer.text) == (403, line)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert (box.accepted, box.charges) == ([], [])


@pytest.mark.parametrize("change", [{"message": ""}, {"from": "1abc"}, {"to": "+8810000000"}])
async def test_a_dry_run_still_checks_keys_sender_and_country(
    box: Sandbox, client: httpx2.AsyncClient, change: dict[str, str]
) -> None:
    answer = await client.post("sms", data=sms(box, dryrun="yes") | change)
    assert answer.status_code == 403


async def test_a_json_body_is_not_parsed_so_its_keys_are_missing(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    answer = await client.post("sms", json=sms(box))
    assert (answer.status_code, answer.text) == (403, "Missing key from")


async def test_no_paid_request_is_accepted_once_the_balance_is_zero() -> None:
    box = Sandbox(balance=5_200)
    async with open_client(box) as client:
        assert (await client.post("sms", data=sms(box))).status_code == 200
        refused = await client.post("sms", data=sms(box))
        free = await client.post("sms", data=sms(box, to="+46700000000"))
        quoted = await client.post("sms", data=sms(box, dryrun="yes"))
    assert (refused.status_code, refused.text) == (403, "Not enough credits")
    assert (free.status_code, free.json()["cost"], quoted.status_code) == (200, 0, 200)
    assert box.balance == 0


@pytest.mark.parametrize("path", ["SMS/POST", "sms/post", "numbers/n1/POST"])
async def test_a_get_is_refused_if_a_post_is_required_and_the_answer_says_so(
    box: Sandbox, client: httpx2.AsyncClient, path: str
) -> None:
    """46elks has it (docs/get-instead-of-post). Here it would let every link of a web page send."""
    answer = await client.get(path, params=sms(box))
    assert answer.status_code == 403
    assert answer.text == "The sandbox does not take a GET as a POST, since any link is a GET. Send a POST"
    assert box.accepted == []


async def test_an_unencoded_plus_is_still_a_plus(box: Sandbox, client: httpx2.AsyncClient) -> None:
    """46elks' own curl examples say ``-d to=+46...``, which arrives as a space."""
    headers = {"content-type": "application/x-www-form-urlencoded"}
    await client.post("sms", content=f"from=Elg&to={PHONE}&message=Hej", headers=headers)
    assert [message.to for message in box.accepted] == [PHONE]


async def test_a_private_text_is_not_shown_by_the_api_but_arrives(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    sent = await client.post("sms", data=sms(box, dontlog="message", flashsms="yes"))
    shown = (await client.get(f"sms/{sent.json()['id']}")).json()
    assert "message" not in shown
    assert (shown["dontlog"], shown["flashsms"]) == ("message", "yes")
    assert box.accepted[0].text == "Hej!"


@pytest.mark.parametrize(
    ("to", "price"), [("+4712345678", 6_300), ("+35812345678", 7_400), ("+99912345678", 12_000)]
)
async def test_prices_follow_the_longest_calling_code(
    box: Sandbox, client: httpx2.AsyncClient, to: str, price: int
) -> None:
    answer = await client.post("sms", data=sms(box, to=to, dryrun="yes"))
    assert answer.json()["estimated_cost"] == price


async def test_numbers_of_others_are_refused_as_senders_if_the_rules_say_so() -> None:
    box = Sandbox(rules=Rules(own_senders_only=True))
    async with open_client(box) as client:
        answer = await client.post("sms", data=sms(box) | {"from": PHONE})
    assert (answer.status_code, answer.text) == (403, "Invalid from number")


@pytest.mark.parametrize("auth", [None, ("nobody", "x"), ("u000000000000000000000000005a4db0", "")])
async def test_wrong_credentials_are_answered_with_401_on_every_path(
    box: Sandbox, auth: tuple[str, str] | None
) -> None:
    async with httpx2.AsyncClient(
        transport=box.transport(), base_url="http://sandbox/a1/", auth=auth
    ) as client:
        answers = [await client.get("me"), await client.post("sms", data=sms(box)), await client.get("moose")]
    assert {answer.status_code for answer in answers} == {401}
    assert answers[0].headers["www-authenticate"] == 'Basic realm="46elks API"'
    assert [request.authorized for request in box.requests] == [False] * 3
    assert box.accepted == []


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "sms"), ("POST", "me"), ("GET", "moose"), ("GET", ""), ("OPTIONS", "sms")]
)
async def test_an_unknown_path_and_a_wrong_method_are_not_found(
    client: httpx2.AsyncClient, method: str, path: str
) -> None:
    answer = await client.request(method, path)
    assert (answer.status_code, answer.text) == (404, "Not found")


async def test_the_password_is_stored_nowhere(box: Sandbox, client: httpx2.AsyncClient) -> None:
    await client.post("sms", data=sms(box))
    assert box.password not in repr(box.requests) + repr(box.accepted) + repr(box._account)
