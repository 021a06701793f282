"""The download of files: no token, as Kommo's links need none, and only types that a browser may open safely."""

from pathlib import PurePosixPath
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kommo_simulator.answers import Problem
from kommo_simulator.media import StoredFile
from kommo_simulator.simulator import Simulator

# Whatever else a file claims to be is sent as bytes to keep, never as a page to open.
SAFE_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".ogg": "audio/ogg",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
    ".wav": "audio/wav",
    ".mp4": "video/mp4",
    ".pdf": "application/pdf",
    ".txt": "text/plain; charset=utf-8",
}


async def get_media(request: Request) -> Response:
    """Return a file's bytes."""
    file = Simulator.of(request).media.find(request.path_params["file_id"], request.path_params["name"])
    if file is None:
        raise Problem(404, "File not found")
    return _served(file)


def _served(file: StoredFile) -> Response:
    """Return the answer that carries a file."""
    kind = SAFE_TYPES.get(PurePosixPath(file.name).suffix.lower())
    headers = {
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Content-Disposition": f"{'inline' if kind else 'attachment'}; filename*=UTF-8''{quote(file.name, safe='')}",
        "Cache-Control": "private, max-age=3600",
    }
    return Response(file.content, media_type=kind or "application/octet-stream", headers=headers)


ROUTES = [Route("/media/{file_id}/{name}", get_media, methods=["GET"], name="get_media")]
