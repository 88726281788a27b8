"""The assistant of the crash test: asks for texts and MMS, repeats some, retries calls."""

from base64 import b64encode
from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import Any

import anyio

from crash.plan import PHONES, Plan
from crash.provider import Provider
from crash.server import Server
from elks_mcp.sandbox import SAMPLE

_REPEATS, _LOOKALIKES, _WITHOUT_KEY = 1 / 3, 0.03, 0.4
"""The shares of texts that repeat an earlier one, that have a foreign double, and that have no key."""

_EVERY_PICTURE = 3
"""Every third text goes with a picture, as MMS; the first one does."""

_PATIENCE = 0.2
REFUSED = "refused"
_PICTURE_URL = f"data:image/png;base64,{b64encode(SAMPLE.content).decode()}"
_FINAL = ("Refused by", "46elks refused the request", "could not be sent in time")
"""Words of refusals that a retry does not change."""


@dataclass(slots=True, eq=False)
class Wish:
    """A text that the assistant wants sent, once; with a picture it is an MMS."""

    number: int
    to: str
    text: str
    key: str | None
    has_picture: bool = False
    orders: set[str] = field(default_factory=set)
    """The order ids in the answers: one, unless the first order was not sent."""

    messages: set[str] = field(default_factory=set)
    """46elks' ids in the answers."""

    calls: int = 0
    last: str = ""
    """The status of the last answer, "refused" or ""."""

    answer_text: str = ""

    @property
    def arguments(self) -> dict[str, str]:
        """The arguments of the tool."""
        key = {"idempotencyKey": self.key} if self.key else {}
        picture = {"image": _PICTURE_URL} if self.has_picture else {}
        return {"to": self.to, "message": self.text, **picture, **key}


@dataclass
class Agent:
    """All texts that were wanted, and their answers."""

    plan: Plan
    provider: Provider
    wishes: list[Wish] = field(default_factory=list)
    todo: deque[Wish] = field(default_factory=deque)
    """Texts without an answer, or whose answer was to try again."""

    under_way: int = 0
    unanswered: int = 0
    """Calls that a kill left without an answer."""

    _random: Random = field(init=False)
    _repeatable: list[Wish] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = self.plan.random("agent")

    def want(self, count: int) -> None:
        """Add a number of new texts to be asked for."""
        for _ in range(count):
            self.todo.append(self._new())

    @property
    def is_done(self) -> bool:
        """Whether everything was answered."""
        return not self.todo and not self.under_way

    async def ask(self, server: Server) -> bool:
        """Ask a server for the next text, and return whether the server answered."""
        wish = self.todo.popleft()
        wish.calls += 1
        self.under_way += 1
        result = await server.call("send_mms" if wish.has_picture else "send_sms", wish.arguments)
        self.under_way -= 1
        if result is None:
            self.unanswered += 1
            self.todo.append(wish)
            return False
        self._note_answer(wish, result)
        if wish.last == REFUSED:
            await anyio.sleep(_PATIENCE)
        return True

    def _note_answer(self, wish: Wish, result: dict[str, Any]) -> None:
        wish.answer_text = result["content"][0]["text"]
        if not result.get("isError"):
            answer = result["structuredContent"]
            wish.last = answer["status"]
            wish.orders.add(answer["orderId"])
            wish.messages |= {answer["messageId"]} - {None}
            if not wish.key:
                self._repeatable.append(wish)
            return
        wish.last = REFUSED
        if not any(word in wish.answer_text for word in _FINAL):
            self.todo.append(wish)

    def _new(self) -> Wish:
        number = len(self.wishes)
        if self._repeatable and self._random.random() < _REPEATS:
            first = self._random.choice(self._repeatable[-20:])
            key = f"again-{self.plan.seed}-{number}"
            wish = Wish(number, first.to, first.text, key, first.has_picture)
        else:
            wish = self._original(number)
        self.wishes.append(wish)
        return wish

    def _original(self, number: int) -> Wish:
        key = None if self._random.random() < _WITHOUT_KEY else f"first-{self.plan.seed}-{number}"
        to, has_picture = self._random.choice(PHONES), number % _EVERY_PICTURE == 0
        wish = Wish(number, to, f"Text {number:06} of the crash test", key, has_picture)
        if key:
            self._repeatable.append(wish)
        if self._random.random() < _LOOKALIKES:
            self.provider.add_lookalike(wish.to, wish.text, has_picture=has_picture)
        return wish
