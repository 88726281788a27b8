"""Prices and rules of the simulated 46elks, with switches for undocumented behaviour."""

from dataclasses import dataclass, field
from datetime import timedelta

NULL_ROUTE = "+46700000000"
"""46elks' test number: free, logged, not a phone (marketplace page of 46elks/gh-actions-sms)."""

CREDIT = 10_000
"""46elks counts money in ten-thousandths of the account's currency (docs/show-sms-id)."""

_PRICES = {
    "46": 5_200,  # Sweden, as a dry run answered in October 2026; the others are made up, of a plausible size
    "45": 4_100,
    "47": 6_300,
    "358": 7_400,
    "354": 6_900,
    "44": 4_800,
    "49": 9_100,
    "33": 7_600,
    "34": 6_800,
    "31": 9_400,
    "48": 3_200,
    "385": 7_900,
    "1": 1_100,
}


@dataclass(slots=True)
class Rules:
    """The prices and switches of one sandbox, which may be changed at any time.

    Amounts are ten-thousandths of the account's currency. Countries are calling codes without `+`.
    """

    prices: dict[str, int] = field(default_factory=_PRICES.copy)
    """Price of one part by calling code; the longest matching code is used."""
    other_price: int = 12_000
    """Price of one part if no code of `prices` matches."""
    incoming_cost: int = 0
    """Price of an incoming SMS. Currently 0; the sample in docs/sms-history shows 3500."""
    blocked: set[str] = field(default_factory=lambda: {"870", "881", "882", "883", "979"})
    """Calling codes that are "disallowed by default"; initially satellite and premium ranges."""
    per_minute: int = 100
    """The most SMS that leave in any 60 seconds. More are accepted with 200 and wait (docs/send-sms)."""
    extension_is_gsm: bool = False
    """Count `€` and `{}` as two GSM septets, as in the standard, instead of as 46elks documents it."""
    own_senders_only: bool = False
    """Refuse sender numbers that are not the account's own. 46elks' text for that is not known."""
    dontlog_hides_message: bool = False
    """Leave a message with `dontlog` out of history, as the official specification of 2018 can be read. By
    docs/show-sms-id only its text is left out."""
    limit_refusal: str = "Usage limit reached"
    """The line that refuses a subaccount whose limit is used up. 46elks' line and status are not known."""
    limit_is_exact: bool = True
    """Refuse a charge that would pass a subaccount's limit, instead of any after the limit is used up."""
    zero_is_no_limit: bool = False
    """Whether a `usagelimit` of 0 means no limit, instead of nothing. 46elks does not document it."""
    usage_limit_at_creation: bool = True
    """Take `usagelimit` when a subaccount is created: the sample of docs/create-subaccount does, the table
    of its parameters does not."""
    subaccounts_read_account: bool = True
    """Whether a subaccount may read `/me`, where it sees the account. Nothing is known about that."""
    subaccounts_read_themselves: bool = True
    """Whether a subaccount may read its own limit. Nothing is known about that."""
    subaccounts_use_numbers: bool = True
    """Whether a subaccount may send from the account's numbers, and sees them. Nothing is known."""
    subaccounts_see_everything: bool = True
    """Whether a subaccount sees the whole history, or only what it sent itself. Nothing is known."""
    mms_price: int = 12_500
    """Price of an MMS, whatever is in it (docs/mms-history)."""
    mms_countries: set[str] = field(default_factory=lambda: {"46"})
    """Calling codes that an MMS can be sent to (guides/sending-mms: only Sweden)."""
    mms_max_bytes: int = 320_000
    """The most bytes of text and pictures in one MMS (guides/sending-mms)."""
    mms_too_large: str | None = "The MMS is too large"
    """The line that refuses a larger MMS, which is made up. None accepts it nevertheless."""
    mms_noreply_number: str = "+46701740698"
    """The number that takes the place of the sender `noreply`, which 46elks chooses. "" refuses `noreply`."""
    own_number_sends_mms: bool = True
    """Whether the account's number has the capability `mms`; if not, its MMS are refused, as is likely."""
    mms_shows_delivery: bool = True
    """Whether the status of an MMS becomes `delivered`; the docs list it, a guide says no reports come."""
    mms_reports_delivery: bool = False
    """Whether `whendelivered` works for an MMS; only a third party says so."""
    mms_in_sms_history: bool = False
    """Whether GET /sms lists MMS too; nothing is known about that."""
    incoming_mms_id: str = "m"
    """The first letter of an incoming MMS's id. The sample in docs/receive-mms has `s`."""
    picture_address: str = "https://api.46elks.com/a1/images"
    """The beginning of the pictures' addresses in the webhook of an incoming MMS."""
    webhook_timeout: timedelta = timedelta(seconds=10)
    """Real time after which a webhook counts as unanswered; 46elks documents none."""
    webhook_retry_every: timedelta = timedelta(minutes=5)
    webhook_retry_for: timedelta = timedelta(hours=6)

    wrong_method_status: int = 404
    """The status of the answer to a wrong method; most likely 404, and 403 or 405 were reported too."""
    call_price_per_minute: int = 5_700
    """Price of a started minute of a call, and of each call that it is connected to. In the sample of
    docs/call-history (2018), a call of 30 s with a leg of 17 s costs 11400."""
    ring_timeout: int = 25
    """How long a phone rings if the request does not say it, in seconds (official specification)."""
    voice_start_result: str = "newincoming"
    """The `result` that the first webhook of a call has, also of an outgoing one; "" for none."""
    actions_carry_results: bool = True
    """Whether the `actions` of a call have their `result` (docs/show-call-id), so that digits can be read."""
    ongoing_shows_actions: bool = True
    """Whether `actions` are shown while the call goes on, and not only once it has ended."""
    voicemail_is_success: bool = True
    """Whether a call that voicemail answers ends with the state `success`, and not `failed`."""
    whenhangup_id_key: str = "id"
    """The key of the call's id in `whenhangup`: `id` in the official specification, `callid` elsewhere."""
    speaks_english: bool = True
    """Whether `play` speaks `en_US/<text>`: a beta of which only one copy of docs/voice-play knows."""
    call_ends_with_actions: bool = True
    """Whether a call ends after an action without `next`. If not, it goes on until a side hangs up."""
    menu_repeats_are_extra: bool = False
    """Whether `repeat` of a menu counts how often it is played again, after the first time."""
    recordings_kept_for: timedelta = timedelta(hours=72)
    """How long a recording can be fetched (docs/voice-recordcall)."""

    def call_price(self, to: str) -> int:
        """Return the price of a minute to `to`, in ten-thousandths; 0 for the test number."""
        return 0 if to == NULL_ROUTE else self.call_price_per_minute

    def price_per_part(self, to: str) -> int:
        """Return the price of one part to `to`, in ten-thousandths; 0 for the test number."""
        if to == NULL_ROUTE:
            return 0
        codes = [code for code in self.prices if to.startswith(f"+{code}")]
        return self.prices[max(codes, key=len)] if codes else self.other_price

    def is_blocked(self, to: str) -> bool:
        """Return whether the account may not send to the country of `to`."""
        return any(to.startswith(f"+{code}") for code in self.blocked)
