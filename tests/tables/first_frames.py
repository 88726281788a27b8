"""The first frames that MCP clients send over stdio, byte for byte, with one file for each recording.

A program between the client and `elks-mcp` with `ELKS_SANDBOX=true` copied what the client wrote, on Linux
in November 2026. The clients came from npm, with an empty home and no account of an AI provider. Only the
folder that a client works in has another name here.

- Each client waits for the answer to its greeting before it sends more. The next frames mostly follow
  within 50 ms, some in one write.
- The older era begins with `initialize`, and the newer with `server/discover`.
- Claude Code sends `initialize` as well, three seconds after a `server/discover` without an answer.
  `claude-code-slow-server` is that recording: the server got both after twelve seconds, and
  refused the second.
- A frame without a method answers the server's `roots/list`.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

_FOLDER: Final = Path(__file__).with_suffix("")


@dataclass(frozen=True, slots=True)
class Recording:
    """The frames that one client sent after one way of starting it."""

    name: str
    package: str
    version: str
    command: str
    era: Literal["2025-06-18", "2025-11-25", "2026-07-28"]

    @property
    def path(self) -> Path:
        """The file that has the frames."""
        return _FOLDER / f"{self.name}.jsonl"

    def read_frames(self) -> list[bytes]:
        """Return the frames as the client wrote them, each with its line feed."""
        return self.path.read_bytes().splitlines(keepends=True)

    def parse_frames(self) -> list[dict[str, Any]]:
        """Return the values of the frames."""
        return [json.loads(frame) for frame in self.read_frames()]


_CLAUDE: Final = "@anthropic-ai/claude-code"
_CODEX: Final = "@openai/codex"
_GEMINI: Final = "@google/gemini-cli"
_INSPECTOR: Final = "@modelcontextprotocol/inspector"
_STREAM: Final = "claude -p --input-format stream-json --output-format stream-json --verbose"

RECORDINGS: Final = (
    Recording("claude-code-health-check", _CLAUDE, "2.1.332", "claude mcp list", "2026-07-28"),
    Recording("claude-code-session", _CLAUDE, "2.1.332", _STREAM, "2026-07-28"),
    Recording("claude-code-slow-server", _CLAUDE, "2.1.332", "claude mcp list", "2026-07-28"),
    Recording("claude-code-2.1.197-health-check", _CLAUDE, "2.1.197", "claude mcp list", "2025-11-25"),
    Recording("claude-code-2.1.197-session", _CLAUDE, "2.1.197", _STREAM, "2025-11-25"),
    Recording("codex-status", _CODEX, "0.171.0", "codex app-server: mcpServerStatus/list", "2025-06-18"),
    Recording("codex-thread", _CODEX, "0.171.0", "codex app-server: thread/start", "2025-06-18"),
    Recording("gemini-cli-health-check", _GEMINI, "0.61.0", "gemini mcp list", "2025-06-18"),
    Recording("gemini-cli-session", _GEMINI, "0.61.0", "gemini -p hello", "2025-06-18"),
    Recording("inspector-2025-11-25", _INSPECTOR, "2.12.0", "--cli --method tools/list", "2025-11-25"),
    Recording("inspector-2026-07-28", _INSPECTOR, "2.12.0", "protocolEra: modern, or auto", "2026-07-28"),
    Recording("opencode-health-check", "opencode-ai", "1.18.33", "opencode mcp list", "2025-11-25"),
    Recording("opencode-session", "opencode-ai", "1.18.33", "opencode serve", "2025-11-25"),
)
