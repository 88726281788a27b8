"""The texts of the phones page: each says where it belongs, and which command does that."""

import shlex

import pytest

from elks_mcp.clients.catalog import find_client
from elks_mcp.clients.snippets import write_snippets

OTHER = {"ELKS_API_BASE_URL": "http://127.0.0.1:4646/a1", "DRY_RUN": "false"}


@pytest.mark.parametrize(
    ("env", "options"),
    [({"ELKS_SANDBOX": "true"}, ["--sandbox"]), (OTHER, ["--env-file", "FILE"])],
    ids=["sandbox", "other"],
)
def test_each_snippet_says_where_it_belongs_and_which_command_adds_it(
    env: dict[str, str], options: list[str]
) -> None:
    for title, (_, place) in write_snippets(env).items():
        before, command, after = place.split("`")
        assert before.startswith(("Add it to ", "Run it in a terminal."))
        assert shlex.split(command)[-len(options) - 2 :] == ["connect", find_client(title).name, *options]
        assert after == ""
