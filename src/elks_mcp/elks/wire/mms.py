"""Sending an MMS, and the facts of its pictures: POST /mms, GET /images/{id}.

https://46elks.se/docs/send-mms, https://46elks.se/docs/get-image-id
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field

from elks_mcp.domain.callbacks import NO_CALLBACKS, Callbacks
from elks_mcp.domain.mms_payload import require_mms
from elks_mcp.domain.models import ImageFacts
from elks_mcp.domain.orders import Draft
from elks_mcp.domain.phone import written
from elks_mcp.elks.wire.field_types import Lenient, Whole, parse_body

_IMAGE_ID = r"[a-z][0-9a-f]{32}-i[0-9]{1,2}"
_IMAGE_FIELD = re.compile(r"image[0-9]{0,2}")
_IN_ADDRESS = re.compile(rf"/({_IMAGE_ID})(?:\.[a-z]{{3,4}})?")


def build_mms(draft: Draft, *, callbacks: Callbacks = NO_CALLBACKS) -> dict[str, str]:
    """Build the form of POST /mms, with the picture itself as a data URL.

    Only a third party documents that `whendelivered` works for an MMS. Without its effect nothing is lost.
    """
    mms = require_mms(draft.payload)
    form = {"from": written(draft.sender), "to": draft.to.e164}
    if mms.text:
        form["message"] = mms.text
    if mms.image:
        form["image"] = mms.image.data_url
    if callbacks.report:
        form["whendelivered"] = callbacks.report
    return form


def parse_image(body: bytes) -> ImageFacts:
    """Read the facts of a picture; those that cannot be read are empty.

    Raises:
        NoAnswer: it is not an object.
    """
    image = parse_body(_ImageBody, body)
    return ImageFacts(digest=image.digest or "", size=image.size)


def is_image_id(image_id: str) -> bool:
    """Return whether an id is that of a picture of an MMS."""
    return re.fullmatch(_IMAGE_ID, image_id) is not None


def list_image_ids(raw: object) -> tuple[str, ...]:
    """Return the ids of pictures in a field `images`; others are left out."""
    ids = raw if isinstance(raw, list) else []
    return tuple(each for each in ids if isinstance(each, str) and is_image_id(each))[:_MOST_IMAGES]


def find_image_ids(form: Mapping[str, str]) -> list[str]:
    """Return the ids in the picture addresses of a webhook: `image`, `image2`, `image3`.

    https://46elks.se/docs/receive-mms. Such an address is never requested.
    """
    addresses = [value for name, value in form.items() if _IMAGE_FIELD.fullmatch(name)]
    found = (_IN_ADDRESS.search(address) for address in addresses)
    return [each[1] for each in found if each]


_MOST_IMAGES = 20


class _ImageBody(BaseModel):
    digest: Lenient[Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]] = None
    size: Annotated[Lenient[Annotated[Whole, Field(ge=0)]], Field(alias="bytes")] = None


Images = Lenient[list[Any]]
"""The field `images` of an MMS."""
