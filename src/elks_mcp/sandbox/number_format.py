"""Phone numbers as people write them, and as they type them."""

from functools import lru_cache


@lru_cache(maxsize=4096)
def format_number(number: str, own_number: str) -> str:
    """Return an E.164 `number` as people in the country of `own_number` write it.

    For a Swedish account `+46701740614` is `070-174 06 14`, and a number of another country keeps its code.
    Anything else, such as a sender name, is returned as it is.
    """
    import phonenumbers as library  # noqa: PLC0415  (only the page needs it)

    try:
        parsed, own = library.parse(number), library.parse(own_number)
    except library.NumberParseException:
        return number
    is_domestic = parsed.country_code == own.country_code
    style = library.PhoneNumberFormat.NATIONAL if is_domestic else library.PhoneNumberFormat.INTERNATIONAL
    return library.format_number(parsed, style)


def read_number(typed: str, own_number: str) -> str | None:
    """Return the E.164 number that somebody in the country of `own_number` typed, or None."""
    import phonenumbers as library  # noqa: PLC0415  (only the page needs it)

    region = library.region_code_for_country_code(library.parse(own_number).country_code or 0)
    try:
        parsed = library.parse(typed, region)
    except library.NumberParseException:
        return None
    return library.format_number(parsed, library.PhoneNumberFormat.E164)
