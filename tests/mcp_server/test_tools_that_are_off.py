"""A tool whose toolset is off does not exist: its call is answered like that of an invented name."""

import pytest

from elks_mcp.domain.toolsets import DEFAULT_TOOLSETS, Toolset
from elks_mcp.sandbox import Sandbox
from tests.mcp_server.test_toolsets import NAMES
from tests.support.connecting import EITHER_ERA, Era, call, connected, live, words

pytestmark = pytest.mark.anyio

OFF = sorted(name for toolset in Toolset if toolset not in DEFAULT_TOOLSETS for name in NAMES[toolset])


@pytest.mark.parametrize("era", EITHER_ERA)
async def test_each_tool_that_is_off_is_answered_like_an_unknown_name(box: Sandbox, era: Era) -> None:
    assert {"send_mms", "get_image", "call_phone", "alert_until_acknowledged", "number_info"} <= {*OFF}
    async with connected(live(box), box=box, way=era) as client:
        listed = await client.list_tools()
        invented = await call(client, "invented_tool", to="+46701740605")
        assert invented.is_error
        for name in OFF:
            assert name not in listed.model_dump_json()
            answer = await call(client, name, to="+46701740605")
            assert answer.is_error
            assert words(answer) == words(invented).replace("invented_tool", name)
    assert [each for each in box.requests if each.method == "POST"] == []
