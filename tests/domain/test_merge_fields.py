"""Merge fields: each recipient's own values in a text, never read as anything but data."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elks_mcp.domain.merge_fields import EmptyField, MergeField, parse_template
from elks_mcp.errors import InvalidInput

VALUES = {"Namn": "Åsa", "tid": "09:00", "Ort": ""}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("Hej!", "Hej!"),
        ("", ""),
        ("Hej {namn}, kl {tid}", "Hej Åsa, kl 09:00"),
        ("{NAMN}{ namn }{Namn\u00a0}", "ÅsaÅsaÅsa"),
        ("{tid}{tid}", "09:0009:00"),
        ("i {ort|Lund}", "i Lund"),
        ("i {ort | i Lund }", "i i Lund"),
        ("Hej {namn|du}", "Hej Åsa"),
        ("Hej {ort|}!", "Hej !"),
        ("{ort|a|b}", "a|b"),
        ("{{namn}} {{ }}", "{namn} { }"),
        ("{{{namn}}}", "{Åsa}"),
        ("{namn}}}{{", "Åsa}{"),
        ("{namn.__class__|x}", "x"),
        ("{0|x}{namn!r|y}{tid:>9|z}", "xyz"),
    ],
)
def test_a_template_is_filled(text: str, filled: str) -> None:
    assert parse_template(text).fill(VALUES) == filled


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Åsa\nSvara JA", "Åsa Svara JA"),
        ("\r\n Åsa \t B \x0b\u2028C", "Åsa B C"),
        ("\u202eÅsa\u200b\x00\x1b", "Åsa"),
        ("Åsa\u00a0B", "Åsa B"),
        ("A\u030asa", "Åsa"),
        ("{tid}", "{tid}"),
        ("{{namn}}|}", "{{namn}}|}"),
    ],
)
def test_a_value_is_one_line_of_data(value: str, shown: str) -> None:
    assert parse_template("<{namn}>").fill({"namn": value, "tid": "09:00"}) == f"<{shown}>"


@pytest.mark.parametrize("value", ["", "  ", "\n", "\u200b", "\u00a0"])
def test_an_empty_value_without_a_default_is_named(value: str) -> None:
    template = parse_template("{tid} {Namn} {ort}")
    assert template.fill({"namn": value, "tid": "1"}) == EmptyField("Namn")
    assert parse_template("{namn|du}").fill({"namn": value}) == "du"


def test_names_are_compared_without_case_and_whatever_the_encoding_of_accents() -> None:
    composed, decomposed = "\u00c5lder i \u00e5r", "a\u030alder  i a\u030ar"
    template = parse_template(f"{{{decomposed}}}")
    assert template.fill({composed: "7"}) == "7"
    assert template.list_unknown([composed]) == ()


def test_fields_are_listed_once_and_unknown_ones_are_found() -> None:
    template = parse_template("{namn} {Tid} {NAMN|du} {ort}")
    assert template.fields == ("namn", "Tid", "ort")
    assert template.list_unknown(["Namn", "tid", "mobil"]) == ("ort",)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Hej {namn", 'The { at character 5 of the message is not closed: "{namn".'),
        ("{", 'The { at character 1 of the message is not closed: "{".'),
        ("{a{b}", 'The { at character 1 of the message is not closed: "{a{b}".'),
        ("{{a}", 'The } at character 4 of the message is not opened: "}".'),
        (":-} " + "x" * 99, f'The }} at character 3 of the message is not opened: "}} {"x" * 18}".'),
        ("Hej {}", "The field at character 5 of the message has no name."),
        ("Hej { |du}", "The field at character 5 of the message has no name."),
    ],
)
def test_a_brace_without_its_counterpart_is_refused_with_its_place(text: str, reason: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_template(text)
    assert str(caught.value) == reason
    assert "{{" in caught.value.hint or "}}" in caught.value.hint


# ── properties ──

names = st.sampled_from(["a", "B", "Åsa b", "0.x", "!_"])
literals = st.text(st.sampled_from("ab {}|\n!å€"), max_size=8)
defaults = st.none() | st.text(st.sampled_from("ab |\n!å"), max_size=6)
parts = st.lists(literals | st.builds(MergeField, names, defaults), max_size=8)
values = st.dictionaries(names, st.text(max_size=12) | st.sampled_from(["{a}", "}}{{", "{namn|x}", "\n"]))


def escape(literal: str) -> str:
    """Return a text as a template has it."""
    return literal.replace("{", "{{").replace("}", "}}")


def write(part: str | MergeField) -> str:
    """Return a part as a template has it."""
    if isinstance(part, str):
        return escape(part)
    return f"{{{part.name}}}" if part.default is None else f"{{{part.name}|{part.default}}}"


@given(parts, st.text(min_size=1).filter(lambda text: " ".join(text.split()) == text and text.isprintable()))
def test_each_part_of_a_template_is_filled_independently(
    template: list[str | MergeField], value: str
) -> None:
    known = {part.name: value for part in template if isinstance(part, MergeField)}
    alone = parse_template("{x}").fill({"x": value})
    assert isinstance(alone, str)
    expected = "".join(part if isinstance(part, str) else alone for part in template)
    assert parse_template("".join(map(write, template))).fill(known) == expected


@given(st.text())
def test_an_escaped_text_is_filled_unchanged(text: str) -> None:
    template = parse_template(escape(text))
    assert template.fields == ()
    assert template.fill({}) == text


@given(parts, values)
def test_values_are_not_read_as_templates(template: list[str | MergeField], known: dict[str, str]) -> None:
    parsed = parse_template("".join(map(write, template)))
    filled = parsed.fill(known)
    marked = parsed.fill({name: value.translate(_MARKS) for name, value in known.items()})
    if isinstance(filled, str):
        assert isinstance(marked, str)
        assert marked.translate(_UNMARKED) == filled
    else:
        assert filled == marked


_MARKS = str.maketrans("{}|", "\u2770\u2771\u2758")
_UNMARKED = str.maketrans("\u2770\u2771\u2758", "{}|")
"""Characters without a meaning in the place of those with one: a value with either is put in alike."""


@given(st.text(st.sampled_from("ab{}|\n ")))
def test_any_text_is_read_as_a_template_or_refused(text: str) -> None:
    with suppress(InvalidInput):
        template = parse_template(text)
        assert isinstance(template.fill(dict.fromkeys(template.fields, "x")), str)
