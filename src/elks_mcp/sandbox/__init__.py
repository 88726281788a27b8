"""A complete simulated 46elks on this machine, for trying out, demonstrating and testing.

It answers as 46elks' documentation says, delivers to handsets in memory, and connects only to this machine.
`Sandbox` is the entry point; docs/sandbox.md lists how faithful each part is and what is not simulated.
"""

from elks_mcp.sandbox.account import Charge
from elks_mcp.sandbox.call_behaviours import CallBehaviour, pressing
from elks_mcp.sandbox.clock import ManualClock, NotManualError, SimulatedClock, SystemClock
from elks_mcp.sandbox.faults import Fault, InjectedFault
from elks_mcp.sandbox.handsets import DELIVERS, FIRST_PHONE, MAGIC, Behaviour, Handset, HandsetText
from elks_mcp.sandbox.messages import StoredMessage
from elks_mcp.sandbox.network import CannotAnswerError
from elks_mcp.sandbox.page_context import Approvals, PageContext, ShownBatch, WaitingText
from elks_mcp.sandbox.phone_calls import PhoneCalls
from elks_mcp.sandbox.pictures import SAMPLE, Picture
from elks_mcp.sandbox.prices_and_rules import Rules
from elks_mcp.sandbox.requests import ApiRequest
from elks_mcp.sandbox.sandbox import Sandbox
from elks_mcp.sandbox.voice.call_log import ActionRun, ConnectedLeg, StoredCall, StoredRecording
from elks_mcp.sandbox.voice.exchange import PhoneError
from elks_mcp.sandbox.voice.sounds import Sound, build_wav
from elks_mcp.sandbox.webhooks import WebhookAttempt

__all__ = [
    "DELIVERS",
    "FIRST_PHONE",
    "MAGIC",
    "SAMPLE",
    "ActionRun",
    "ApiRequest",
    "Approvals",
    "Behaviour",
    "CallBehaviour",
    "CannotAnswerError",
    "Charge",
    "ConnectedLeg",
    "Fault",
    "Handset",
    "HandsetText",
    "InjectedFault",
    "ManualClock",
    "NotManualError",
    "PageContext",
    "PhoneCalls",
    "PhoneError",
    "Picture",
    "Rules",
    "Sandbox",
    "ShownBatch",
    "SimulatedClock",
    "Sound",
    "StoredCall",
    "StoredMessage",
    "StoredRecording",
    "SystemClock",
    "WaitingText",
    "WebhookAttempt",
    "build_wav",
    "pressing",
]
