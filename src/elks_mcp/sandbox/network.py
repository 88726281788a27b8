"""The telephone network: delivers texts, MMS and answers, and reports deliveries."""

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from elks_mcp.sandbox.account import SandboxAccount, SandboxNumbers
from elks_mcp.sandbox.event_queue import EventQueue
from elks_mcp.sandbox.handsets import FAILS, Behaviour, Handset, HandsetText
from elks_mcp.sandbox.incoming_forms import build_incoming_form, parse_action
from elks_mcp.sandbox.messages import (
    MessageDirection,
    MessageLog,
    MessageStatus,
    StoredMessage,
    format_time,
    new_id,
)
from elks_mcp.sandbox.parts import count_parts
from elks_mcp.sandbox.pictures import Picture
from elks_mcp.sandbox.prices_and_rules import Rules
from elks_mcp.sandbox.webhooks import Webhooks

Step = Callable[[datetime], None]
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_MINUTE = timedelta(minutes=1)


def is_number(written: str) -> bool:
    """Return whether `written` is a phone number in E.164, of any country and plausible length."""
    return _E164.fullmatch(written) is not None


class CannotAnswerError(ValueError):
    """The last text came from a sender name, which cannot be answered."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A text that a client asked to send; with `pictures`, even none, it is an MMS."""

    sender: str
    to: str
    text: str
    flash: bool = False
    dontlog: bool = False
    whendelivered: str | None = None
    direction: MessageDirection = "outgoing"
    subaccount: str = ""
    pictures: tuple[Picture, ...] | None = None


class Network:
    """Everything between the API and the handsets.

    Each step happens at the time it was due, even if it is carried out later.
    """

    def __init__(
        self,
        rules: Rules,
        account: SandboxAccount,
        numbers: SandboxNumbers,
        steps: EventQueue[Step],
        webhooks: Webhooks,
    ) -> None:
        self.rules, self.account, self.numbers = rules, account, numbers
        self.own = next(iter(numbers))
        self.steps, self.webhooks = steps, webhooks
        self.log = MessageLog()
        self.accepted: list[StoredMessage] = []
        self.handsets: dict[str, Handset] = {}
        self.pictures: dict[str, Picture] = {}
        """Every picture that was sent, by its digest."""
        self.fails_next = False
        self._departures: deque[datetime] = deque()

    def handset(self, number: str) -> Handset:
        """Return the phone with this `number`, which is created on first use."""
        if number not in self.handsets:
            self.handsets[number] = Handset.of(number)
        return self.handsets[number]

    def set_behaviour(self, number: str, behaviour: Behaviour, at: datetime) -> None:
        """Change how a phone behaves; unless it is off, it receives the texts held for it."""
        phone = self.handset(number)
        phone.behaviour, phone.calls = behaviour, behaviour.calls
        held, phone.held = phone.held, []
        for message in held:
            self._schedule_outcome(message, behaviour, at)

    def quote(self, to: str, text: str) -> tuple[int, int]:
        """Return the number of parts of `text`, and their price to `to` in ten-thousandths."""
        parts = count_parts(text, extension_is_gsm=self.rules.extension_is_gsm)
        return parts, parts * self.rules.price_per_part(to)

    def price(self, asked: Outgoing) -> tuple[int, int]:
        """Return the number of parts of a text or MMS, and its price in ten-thousandths."""
        return self.quote(asked.to, asked.text) if asked.pictures is None else (1, self.rules.mms_price)

    def accept(self, asked: Outgoing, at: datetime, *, fails: bool = False) -> StoredMessage:
        """Accept a text at the moment `at`: log and charge it, and send it unless it `fails`."""
        parts, cost = self.price(asked)
        message = StoredMessage(
            direction=asked.direction,
            sender=asked.sender,
            to=asked.to,
            text=asked.text,
            created_at=at,
            parts=parts,
            cost=cost,
            status="failed" if fails else "created",
            flash=asked.flash,
            dontlog=asked.dontlog,
            is_unlisted=asked.dontlog and self.rules.dontlog_hides_message,
            whendelivered=asked.whendelivered,
            subaccount=asked.subaccount,
            pictures=self._keep(asked.pictures),
            is_mms=asked.pictures is not None,
        )
        self.log.add(message)
        self.accepted.append(message)
        self.account.charge(message)
        if not fails:
            self._schedule_delivery(message, self._reserve_departure(at))
        return message

    def receive(
        self, sender: str, text: str, to: str, at: datetime, pictures: tuple[Picture, ...] | None = None
    ) -> StoredMessage:
        """Receive a text or an MMS for one of the account's own numbers, and call its webhook."""
        is_mms = pictures is not None
        parts = 1 if is_mms else count_parts(text, extension_is_gsm=self.rules.extension_is_gsm)
        message = StoredMessage(
            "incoming",
            sender,
            to,
            text,
            at,
            parts,
            self.rules.incoming_cost,
            pictures=self._keep(pictures),
            is_mms=is_mms,
            id=new_id(self.rules.incoming_mms_id) if is_mms else "",
        )
        self.log.add(message)
        self.account.charge(message)
        used = self.numbers.find(to) or self.own
        if is_mms and used.mms_url:
            form = build_incoming_form(message, self.rules.picture_address)
            self.webhooks.post("incoming", used.mms_url, form, at)
        elif used.sms_url.startswith("{") and not is_mms:
            self._react(message, used.sms_url, at)
        elif used.sms_url and not is_mms:
            form = build_incoming_form(message)
            self.webhooks.post("incoming", used.sms_url, form, at, partial(self._react, message))
        return message

    def text_us(
        self, sender: str, text: str, to: str, at: datetime, pictures: tuple[Picture, ...] | None = None
    ) -> StoredMessage:
        """Send a text or an MMS from `sender`, a phone or a name, to one of the account's numbers."""
        message = self.receive(sender, text, to, at, pictures)
        if is_number(sender):
            written = HandsetText(
                "written", sender, text, flash=False, at=at, message_id=message.id, pictures=message.pictures
            )
            self.handset(sender).texts.append(written)
        return message

    def write(
        self,
        number: str,
        text: str,
        at: datetime,
        to: str | None = None,
        pictures: tuple[Picture, ...] | None = None,
    ) -> StoredMessage | None:
        """Send `text`, with `pictures` an MMS, from a phone to `to` or to its last sender.

        Returns:
            The message if it went to a number of the account, otherwise None.

        Raises:
            CannotAnswerError: the last sender is a name, not a number.
        """
        handset = self.handset(number)
        to = to or handset.last_sender or self.own.number
        if not is_number(to):
            raise CannotAnswerError(f"{to} is a name, not a number: it cannot be answered.")
        if to in self.numbers:
            return self.text_us(number, text, to, at, pictures)
        shown = HandsetText("written", number, text, flash=False, at=at, pictures=self._keep(pictures))
        handset.texts.append(shown)
        self.handset(to).texts.append(replace(shown, direction="received"))
        return None

    def clear(self) -> None:
        """Delete all messages, phones and scheduled steps."""
        self.log.clear()
        self.accepted.clear()
        self.handsets.clear()
        self.pictures.clear()
        self.steps.clear()
        self.fails_next = False
        self._departures.clear()

    def _reserve_departure(self, at: datetime) -> datetime:
        """Return when a text accepted at `at` leaves, with at most `Rules.per_minute` in any minute."""
        while len(self._departures) >= self.rules.per_minute:
            at = max(at, self._departures.popleft() + _MINUTE)
        self._departures.append(at)
        return at

    def _schedule_delivery(self, message: StoredMessage, departure: datetime) -> None:
        behaviour = FAILS if self.fails_next else self.handset(message.to).behaviour
        self.fails_next = False
        if behaviour.sent_after is not None:
            self.steps.add(departure + behaviour.sent_after, partial(self._settle, message, "sent"))
        self._schedule_outcome(message, behaviour, departure)

    def _schedule_outcome(self, message: StoredMessage, behaviour: Behaviour, departure: datetime) -> None:
        settled_at = departure + behaviour.settled_after
        if behaviour.outcome == "failed":
            self.steps.add(settled_at, partial(self._settle, message, "failed"))
        elif behaviour.outcome == "delivered":
            self.steps.add(settled_at, partial(self._deliver, message, behaviour))
        else:
            self.steps.add(settled_at, partial(self._hold, message))

    def _hold(self, message: StoredMessage, at: datetime) -> None:
        """Hold a text for a phone that is off, unless the phone was turned on in the meantime."""
        phone = self.handset(message.to)
        if phone.behaviour.outcome is None:
            phone.held.append(message)
        else:
            self._schedule_outcome(message, phone.behaviour, at)

    def _settle(self, message: StoredMessage, status: MessageStatus, at: datetime) -> None:
        message.status = status
        message.reached[status] = at
        if not message.whendelivered or (message.is_mms and not self.rules.mms_reports_delivery):
            return
        form = {"id": message.id, "status": status}
        if message.delivered_at:
            form["delivered"] = format_time(message.delivered_at)
        self.webhooks.post("delivery", message.whendelivered, form, at)

    def _deliver(self, message: StoredMessage, behaviour: Behaviour, at: datetime) -> None:
        message.delivered_at = at
        self._settle(message, "delivered", at)
        if not behaviour.shows_texts:
            return
        self.handset(message.to).texts.append(
            HandsetText(
                "received", message.sender, message.text, message.flash, at, message.id, message.pictures
            )
        )
        if message.to in self.numbers:
            self.receive(
                message.sender, message.text, message.to, at, message.pictures if message.is_mms else None
            )
        elif is_number(message.sender):
            for turn, reply in enumerate(behaviour.replies(message.text), start=1):
                answer = partial(self._answer, message, reply, behaviour.picture)
                self.steps.add(at + turn * behaviour.reply_after, answer)

    def _answer(self, message: StoredMessage, reply: str, picture: Picture | None, at: datetime) -> None:
        if reply or picture:
            pictures = (picture,) if picture else None
            self.write(message.to, reply, at, to=message.sender, pictures=pictures)

    def _keep(self, pictures: tuple[Picture, ...] | None) -> tuple[Picture, ...]:
        self.pictures |= {picture.digest: picture for picture in pictures or ()}
        return pictures or ()

    def _react(self, incoming: StoredMessage, body: str, at: datetime) -> None:
        """Carry out the answer to an incoming text's webhook (docs/sms-actions)."""
        action = parse_action(body)
        if action is None:
            replies = (self.numbers.find(incoming.to) or self.own).sms_replies
            action = {"reply": body.strip()} if replies else {}
        forward, reply = action.get("forward"), action.get("reply")
        if isinstance(forward, str):
            text = f"{action.get('prefix', '')}{incoming.text}{action.get('suffix', '')}"
            self._send_reply(incoming, forward, text, at)
        elif isinstance(reply, str) and reply:
            self._send_reply(incoming, incoming.sender, reply, at)

    def _send_reply(self, incoming: StoredMessage, to: str, text: str, at: datetime) -> None:
        """Send a paid `outgoing-reply`, if `to` is a number and the account can pay."""
        if is_number(to) and self.account.can_pay(self.quote(to, text)[1]):
            self.accept(Outgoing(incoming.to, to, text, direction="outgoing-reply"), at)
