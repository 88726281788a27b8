"""Yes and no, as people, models and clients write them."""

_WORDS = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}


def parse_switch(value: object) -> bool:
    """Read true/false, 1/0, yes/no or on/off, in any case.

    Raises:
        ValueError: it is none of them.
    """
    word = str(value).strip().lower()
    if word not in _WORDS:
        raise ValueError("use true or false")
    return _WORDS[word]
