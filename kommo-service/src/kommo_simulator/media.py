"""Files of messages: made up with the bytes of a sample or given, and kept to be downloaded."""

import base64
import binascii
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote

import msgspec

from kommo_simulator.answers import Problem
from kommo_simulator.model import Attachment
from kommo_simulator.settings import SimulatorSettings

FILES_KEPT = 500
SAMPLES = Path(__file__).parent / "samples"
FILE_NAMES = {
    "voice": "file.ogg",
    "audio": "audio.mp3",
    "picture": "image.jpeg",
    "video": "video.mp4",
    "sticker": "sticker.webp",
    "file": "document.pdf",
}


class AttachmentLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file to send; what is empty is made up. `data` holds its bytes in base64."""

    type: str = "file"
    link: str = ""
    file_name: str = ""
    data: str = ""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """The bytes of a file that is served."""

    name: str
    content: bytes


class MediaStore:
    """Makes attachments and keeps their bytes, the newest `FILES_KEPT`."""

    def __init__(self, settings: SimulatorSettings) -> None:
        self._settings = settings
        self._files: OrderedDict[str, StoredFile] = OrderedDict()
        self.address = ""

    def clear(self) -> None:
        """Forget all files."""
        self._files.clear()

    def attachment(self, line: AttachmentLine) -> Attachment:
        """Return the attachment of an order; without a link of its own its file is kept and served.

        Raises:
            Problem: `data` is no base64.
        """
        name = PurePosixPath(line.file_name).name or FILE_NAMES.get(line.type, FILE_NAMES["file"])
        if line.link:
            return Attachment(line.type, line.link, name)
        content = _decoded(line.data) if line.data else _sample(line.type)
        file_id = str(uuid.uuid4())
        self._files[file_id] = StoredFile(name, content)
        while len(self._files) > FILES_KEPT:
            self._files.popitem(last=False)
        return Attachment(line.type, self._link(file_id, name), name, len(content))

    def find(self, file_id: str, name: str) -> StoredFile | None:
        """Return a kept file by the id and the name that its link carries."""
        found = self._files.get(file_id)
        return found if found and found.name == name else None

    def path_of(self, attachment: Attachment) -> str | None:
        """Return the path under which the simulator serves an attachment; None when it does not."""
        file_id = attachment.link.rpartition("/")[0].rpartition("/")[2]
        return f"/media/{file_id}/{quote(attachment.file_name, safe='')}" if file_id in self._files else None

    def _link(self, file_id: str, name: str) -> str:
        quoted = quote(name, safe="")
        if self._settings.serve_media:
            return f"{(self._settings.public_url or self.address).rstrip('/')}/media/{file_id}/{quoted}"
        return f"https://amojo.kommo.com/v2/{self._settings.amojo_id}/attachments/{file_id}/{quoted}"


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Problem(400, "data is not base64", "attachment.data") from error


def _sample(kind: str) -> bytes:
    return (SAMPLES / FILE_NAMES.get(kind, FILE_NAMES["file"])).read_bytes()
