"""The credentials of the account, which docs/settings.md lists first."""

from typing import Annotated

from pydantic import SecretStr

from elks_mcp.domain.models import Frozen
from elks_mcp.domain.setting_declaration import Setting


def mask_username(username: str) -> str:
    """Return the beginning and the length of an API username: enough to recognize it."""
    return f"{username[:3]}… ({len(username)} characters)"


class CredentialSettings(Frozen):
    """The settings that every account needs; docs/settings.md lists them first."""

    api_username: Annotated[
        str | None, Setting("ELKS_API_USERNAME", is_private=True, can_be_file=True, write=mask_username)
    ] = None
    """The API username of the 46elks account: see 46elks.com, Account → API."""

    api_password: Annotated[
        SecretStr | None, Setting("ELKS_API_PASSWORD", is_secret=True, can_be_file=True)
    ] = None
    """The API password of the 46elks account. It is not the password of the web site."""
