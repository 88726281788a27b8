"""Strategies of the property tests: texts, phone numbers, amounts, drafts and policies."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from elks_mcp.domain.allowed_recipients import ContactReference
from elks_mcp.domain.contacts import Contact, ContactNumber, Contacts
from elks_mcp.domain.guards import GUARD_NAMES, Facts
from elks_mcp.domain.models import Recall, Taint
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Draft, Estimate
from elks_mcp.domain.payloads import Sms
from elks_mcp.domain.phone import Number, Sender, SenderId
from elks_mcp.domain.policy import Policy
from elks_mcp.domain.text import BASIC, EXTENSION, measure

AWKWARD = (
    "aåÅ1# \r\n\t“’…–€[]|№½²≠łœé→‼⑳ﬁｈ\u00a0\u202f\u3000\u2028\u200b\u200c\u200d"
    "\u200e\u202e\u2066\u00ad\ufeff\ufe0e\ufe0f\u20e3"
    "\u0301\u030a\u0327\u0336\u0344\ufb2a\u2329\u0338←ж한ก❤☎👨👩👧🏽🇸🇪🏴\U000e0067\U000e007f\U000e0100\ud83d"
)
"""Characters that often cause errors: combining, invisible, wide, joined, halved."""

basic_texts = st.text(st.sampled_from(sorted(BASIC)), max_size=500)
standard_texts = st.text(st.sampled_from(sorted(BASIC | EXTENSION)), max_size=500)
wide_texts = st.text(st.sampled_from("aåż🎉€{"), max_size=400)
awkward_texts = st.text(st.sampled_from(AWKWARD), max_size=60)
any_texts = st.text(st.characters(exclude_categories=[]), max_size=60)
sendable_texts = st.one_of(
    basic_texts, standard_texts, wide_texts, st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
)
texts = st.one_of(sendable_texts, awkward_texts, any_texts)

gaps = st.lists(st.sampled_from(" \u00a0\u202f-–−.·\u200b\u200e\u2066\t"), max_size=2).map("".join)
"""Separators that people and word processors put between digits."""

zeros = st.sampled_from([0x30, 0x660, 0x966, 0xFF10, 0x1D7CE])
"""The code points of the digit zero in several scripts."""

swedish_prefixes = st.sampled_from(["+46", "+46 ", "+46(0)", "+460", "0046", "00 46 (0)", "0", "(0)", "＋46"])

numbers = st.sampled_from(
    [
        Number("+46701740605"),
        Number("+46701740699"),
        Number("+46701234567"),
        Number("+4690012345"),
        Number("+4685001234"),
        Number("+4741234567"),
        Number("+12025550123"),
        Number("+18762101234"),
        Number("+447012345678"),
        Number("+882161234567"),
    ]
)
senders: st.SearchStrategy[Sender] = st.one_of(
    numbers, st.sampled_from(["Frisoren", "Bankeryd", "Bank1D", "P0LICE", "Elks"]).map(SenderId)
)
drafts = st.builds(
    Draft,
    to=numbers,
    payload=st.builds(
        Sms, text=st.sampled_from(["Hej!", "Se paket.se", "x" * 400, "ж" * 400]), flash=st.booleans()
    ),
    sender=senders,
    idempotency_key=st.none(),
)
estimates = st.none() | st.builds(
    Estimate,
    price=st.builds(Money, st.integers(0, 200_000), st.sampled_from(["SEK", "EUR", ""])),
    parts=st.none() | st.integers(1, 10),
)
moments = st.integers(0, 10 * 365 * 24).map(
    lambda hours: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=hours)
)
references = st.sampled_from(["contacts", "@jour", "@none", "Kim", "Åsa"]).map(ContactReference)
contact_books = st.builds(
    Contacts,
    st.lists(
        st.builds(
            lambda name, own, groups: Contact(name, tuple(map(ContactNumber, own)), groups=groups),
            st.sampled_from(["Kim", "Åsa", "Bo"]),
            st.lists(numbers, max_size=2),
            st.sampled_from([(), ("jour",), ("Jour", "jul")]),
        ),
        max_size=3,
    ).map(tuple),
    moments,
)
policies = st.builds(
    Policy,
    dry_run=st.booleans(),
    simulated=st.booleans(),
    sender=st.none() | senders,
    allowed_senders=st.lists(senders, max_size=3).map(tuple),
    allowed_countries=st.sets(st.sampled_from(["SE", "NO", "US", "JM"]), min_size=1).map(frozenset),
    allowed_recipients=st.sets(numbers | references, max_size=3).map(frozenset),
    max_parts=st.integers(1, 8),
    budget_per_message=st.none() | st.integers(0, 200_000),
    budget_per_day=st.none() | st.integers(0, 2_000_000),
    max_per_number=st.integers(1, 8),
    guards_off=st.sets(st.sampled_from(GUARD_NAMES)).map(frozenset),
)


recalls = st.none() | st.builds(
    Recall,
    opted_out=st.booleans(),
    is_known=st.booleans(),
    texts_in_10_minutes=st.integers(0, 10),
    texts_in_24_hours=st.integers(0, 40),
    spent=st.integers(0, 2_000_000),
    repeated=st.none() | st.just("O-22222222"),
    unread=st.booleans(),
)


@st.composite
def facts_about(draw: st.DrawFn, draft: Draft, *, live: bool) -> Facts:
    """Draw facts about a draft."""
    return Facts(
        size=measure(draft.text),
        now=draw(moments),
        live=live,
        simulated=draw(st.booleans()),
        estimate=draw(estimates),
        contacts=draw(contact_books),
        recall=draw(recalls),
        taint=draw(st.none() | st.builds(Taint, created_at=moments, texted=st.integers(0, 4))),
    )
