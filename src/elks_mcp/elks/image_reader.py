"""The pictures of MMS at 46elks: their facts, and their content."""

from collections.abc import Awaitable, Callable

from elks_mcp.domain.models import Direction, ImageFacts, Message
from elks_mcp.elks import wire
from elks_mcp.errors import InvalidInput, NotFound, ProviderError, Rejected

_NOT_FOUND = 404


class ImageReader:
    """Reads pictures by their ids. `get` is a GET to 46elks.

    The address of a picture in a webhook is never requested: anyone could have written it.
    """

    def __init__(self, get: Callable[[str], Awaitable[bytes]]) -> None:
        self._get = get

    async def get_facts(self, image_id: str) -> ImageFacts:
        """Return the size and the digest of a picture (https://46elks.se/docs/get-image-id).

        Raises:
            InvalidInput: it cannot be the id of a picture.
            NotFound: 46elks has no such picture.
            ProviderError: 46elks cannot be asked.
        """
        return wire.parse_image(await self._read(image_id, ""))

    async def get_content(self, image_id: str) -> bytes:
        """Return the content of a picture, in any format. Raises the errors of `get_facts`.

        46elks' own programs ask for `.jpg`, whatever the format.
        """
        return await self._read(image_id, ".jpg")

    async def add_digests(self, message: Message) -> Message:
        """Return a sent MMS with the digests of its pictures; "" for one that cannot be read."""
        if message.direction is not Direction.OUTBOUND:
            return message
        digests = []
        for image_id in message.image_ids:
            try:
                digests.append((await self.get_facts(image_id)).digest)
            except (ProviderError, NotFound):
                digests.append("")
        return message.model_copy(update={"image_digests": tuple(digests)})

    async def _read(self, image_id: str, ending: str) -> bytes:
        if not wire.is_image_id(image_id):
            raise InvalidInput("That is not the id of a picture.", hint="Give the id of its MMS.")
        try:
            return await self._get(f"/images/{image_id}{ending}")
        except Rejected as error:
            if error.status != _NOT_FOUND:
                raise
            raise NotFound(
                "46elks has no such picture, or no longer.", hint="Ask the sender for it again."
            ) from None
