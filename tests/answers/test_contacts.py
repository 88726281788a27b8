"""`find_contact`: which people a query finds, and what the answer says about them."""

import pytest

from elks_mcp.domain.contact_search import search
from tests.support.connecting import EITHER_ERA, Era, call, connected, data, live, new_box, words
from tests.support.people import Book, book, person

pytestmark = pytest.mark.anyio

PEOPLE = (
    person(
        "Åsa Lind", ("+46701740605", "mobile"), ("+46846500405", "work"), groups="jour", company="Kliniken"
    ),
    person("Asa", "+46701740606"),
    person("Bo Ek", "+46701740607", groups="jour Jul", aliases=("chefen",)),
    person("Åsalotta", "+46701740608"),
    person("Lasse Brasa", "+46701740609"),
    person("Søren", "+46701740610"),
    person("Bo Ek Holm", "+46701740612"),
    person("Per"),
)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("åsa", ["Åsa Lind", "Asa", "Åsalotta", "Lasse Brasa"]),
        ("asa", ["Asa", "Åsa Lind", "Åsalotta", "Lasse Brasa"]),
        ("åsa lind", ["Åsa Lind"]),
        ("LIND", ["Åsa Lind"]),
        ("bra", ["Lasse Brasa"]),
        ("chef", ["Bo Ek"]),
        ("soren", ["Søren"]),
        ("xyz", []),
        ("", []),
        ("bo holm", ["Bo Ek Holm"]),
        ("ho bo", ["Bo Ek Holm"]),
        ("bo olm", []),
        ("h ho hol bo bo", ["Bo Ek Holm"]),
        ("l l", ["Lasse Brasa", "Åsa Lind"]),
        ("holmen bo", []),
    ],
)
def test_a_name_is_found_exactly_by_prefix_and_by_any_part(query: str, names: list[str]) -> None:
    assert [each.name for each in search(book(*PEOPLE), query, 9).best] == names


@pytest.mark.parametrize("era", EITHER_ERA)
async def test_the_answer_names_people_groups_and_last_digits(era: Era) -> None:
    box, contacts = new_box(), Book(*PEOPLE)
    async with connected(live(box), box=box, way=era, contacts=contacts) as client:
        found = await call(client, "find_contact", query="Åsa L")
        assert data(found)["contacts"] == [
            {
                "name": "Åsa Lind",
                "also": [],
                "company": "Kliniken",
                "groups": ["@jour"],
                "numbers": ["…05 mobile", "…05 work"],
            }
        ]
        assert words(found) == (
            'No contact is called exactly "Åsa L". Similar: 1 contact.\n'
            "- Åsa Lind: …05 mobile, …05 work; Kliniken; @jour"
        )
        group = words(await call(client, "find_contact", query="@JOUR"))
        assert group.startswith('"@JOUR" has 2 contacts.\n- Åsa Lind: ')
        assert "- Bo Ek: …07 mobile; @jour @Jul; also chefen" in group
        missing = words(await call(client, "find_contact", query="@all"))
        assert missing == 'No contact is in a group "@all". Groups: @jour, @Jul.'
        unknown = words(await call(client, "find_contact", query="Kim"))
        assert unknown == 'No contact has a name like "Kim". Groups: @jour, @Jul.'
        assert "- Per: no number" in words(await call(client, "find_contact", query="Per"))
        for answer in (found, group, missing, unknown):
            assert "+46" not in str(answer)
    assert box.requests == []


async def test_a_number_returns_its_owner_or_how_to_add_it() -> None:
    async with connected(live(new_box()), contacts=Book(*PEOPLE)) as client:
        known = words(await call(client, "find_contact", query="070-174 06 07"))
        assert known.startswith("The number belongs to 1 contact.\n- Bo Ek: …07 mobile")
        unknown = words(await call(client, "find_contact", query="070-174 06 20"))
        assert unknown == "No contact has that number. Add to contacts.csv: Name,+46701740620"
        assert (await call(client, "find_contact", query="07O-174 06 20")).is_error


async def test_a_group_is_found_by_its_name_without_its_mark() -> None:
    contacts = Book(*PEOPLE, person("Jour Lista", "+46701740611"))
    async with connected(live(new_box()), contacts=contacts) as client:
        alone = words(await call(client, "find_contact", query="jul"))
        assert alone.startswith('"@jul" has 1 contact.\n- Bo Ek: ')
        beside = words(await call(client, "find_contact", query="Jour"))
        assert beside.startswith("Found 1 contact.") or "Similar: 1 contact." in beside
        assert 'There is also a group "@Jour".\n- Jour Lista: ' in beside


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("Rut +46701740630", "Rut,+46701740630"),
        ("Rut Ek: 070-174 06 30", "Rut Ek,+46701740630"),
        ("Bosse 070-174 06 07", "The number belongs to 1 contact.\n- Bo Ek: …07 mobile"),
        ("Agent 007", 'No contact has a name like "Agent 007"'),
    ],
)
async def test_a_name_with_a_number_returns_the_owner_or_the_line_to_add(query: str, said: str) -> None:
    async with connected(live(new_box()), contacts=Book(*PEOPLE)) as client:
        assert said in words(await call(client, "find_contact", query=query))


async def test_without_a_query_the_answer_says_what_to_give() -> None:
    async with connected(live(new_box()), contacts=Book(*PEOPLE)) as client:
        for query in ("", "  "):
            assert "`query` is empty. Give a name" in words(await call(client, "find_contact", query=query))


async def test_the_answer_says_why_contacts_changed_in_the_file_are_not_used() -> None:
    contacts = Book(*PEOPLE)
    environ = {"ELKS_SANDBOX": "true", "ELKS_CONTACTS": "x.csv", "ELKS_ALLOWED_RECIPIENTS": "contacts"}
    async with connected(environ, contacts=contacts) as client:
        contacts.change(*PEOPLE[1:], person("Kim", "+46701740613", groups="Jul"))
        for query in ("Kim", "@jul", "+46701740613", "Åsa Lind"):
            said = words(await call(client, "find_contact", query=query))
            assert "the changes count once a person accepts them: restart this server." in said, query
        assert "accepts" not in words(await call(client, "find_contact", query="Søren"))


async def test_without_contacts_the_answer_says_so() -> None:
    async with connected(live(new_box())) as client:
        answer = await call(client, "find_contact", query="Åsa")
    assert not answer.is_error
    assert "ELKS_CONTACTS" in words(answer)


async def test_contacts_that_cannot_be_read_are_an_error() -> None:
    contacts = Book(*PEOPLE)
    contacts.is_readable = False
    async with connected(live(new_box()), contacts=contacts) as client:
        assert (await call(client, "find_contact", query="Åsa")).is_error


async def test_at_most_20_contacts_are_shown_and_the_answer_says_that_there_are_more() -> None:
    people = [person(f"Kim {number}", f"+467017406{number}") for number in range(10, 40)]
    async with connected(live(new_box()), contacts=Book(*people)) as client:
        answer = await call(client, "find_contact", query="Kim")
    assert len(data(answer)["contacts"]) == 20
    assert words(answer).startswith("Found 30 contacts, of which the best 20 are shown.\n")
