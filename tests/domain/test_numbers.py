"""The destinations of what a number receives, shown without a secret."""

import pytest

from elks_mcp.domain.numbers import Capability, NumberChange, OwnNumber, mask_address

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("", "nowhere"),
        (
            f"https://u:{SECRET}@sms.example.com/hooks/{SECRET}?k={SECRET}#{SECRET}",
            "https://sms.example.com/…",
        ),
        (f'{{"forward": "{SECRET}"}}', "46elks' action `forward`"),
        (f' {{"connect":"{SECRET}"}}', "46elks' action `connect`"),
        (f'{{"{SECRET}": 1}}', "46elks' action in JSON"),
        (f"{{{SECRET}", "46elks' action in JSON"),
        (f"https://[{SECRET}", "an address that cannot be read"),
        (SECRET, "an address that cannot be read"),
        (f"wss://calls.example.com/{SECRET}", "wss://calls.example.com/…"),
    ],
)
def test_an_address_is_shown_without_what_may_be_a_secret_in_it(address: str, shown: str) -> None:
    assert mask_address(address) == shown
    assert SECRET not in shown


def test_a_number_without_listed_capabilities_may_have_any() -> None:
    assert OwnNumber(id="n1", number="+46701740699").can(Capability.MMS)
    assert not OwnNumber(id="n1", number="+46701740699", capabilities=("sms",)).can(Capability.MMS)


def test_a_change_names_only_what_differs() -> None:
    number = OwnNumber(id="n1", number="+46701740699", name="Växel", sms_url="https://a.example.com")
    wanted = NumberChange(name="Växel", sms_url="", mms_url="", replies=False)
    assert wanted.find_differences(number) == NumberChange(sms_url="", replies=False)
    assert NumberChange(name="Växel").find_differences(number).is_empty
