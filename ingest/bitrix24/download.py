"""Downloads of a portal: a stream to a file that is called by its digest, never more than so many bytes.

Page `files/how-to-upload-files`, Response Content: the request takes headers as a browser sends them.
"""

import hashlib
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import httpx

_HEADERS = {"User-Agent": "Mozilla/5.0 (compatible; Svod)", "Accept": "*/*", "Accept-Language": "ru,en"}
_NAME = re.compile(r"""filename\*\s*=\s*utf-8''([^;]+)|filename\s*=\s*"?([^";]+)""", re.IGNORECASE)
_LONGEST_NAME = 200


class Unreadable(Exception):
    """A file that cannot be read: why, without its address."""


@dataclass(frozen=True, slots=True)
class Content:
    """A file as it was read."""

    name: str
    bytes: int
    sha256: str


async def download(
    http: httpx.AsyncClient, address: str, referer: str, folder: Path, most_bytes: int, *, keep: bool
) -> Content:
    """Read a file of the portal at `referer`; its content is at `folder`/<sha256> then, when it is to be kept.

    Raises Unreadable, and leaves nothing behind then.
    """
    half = folder / f".{secrets.token_hex(8)}.part"
    try:
        async with http.stream(
            "GET", address, headers=_HEADERS | {"Referer": referer}, follow_redirects=True
        ) as answer:
            _check(answer, most_bytes)
            digest, size = hashlib.sha256(), 0
            with _opened(half if keep else Path(os.devnull)) as into:
                async for chunk in answer.aiter_bytes():
                    digest.update(chunk)
                    size += len(chunk)
                    if size > most_bytes:
                        raise Unreadable(f"larger than {most_bytes:,} bytes")
                    into.write(chunk)
        promised = answer.headers.get("content-length")
        if promised and "content-encoding" not in answer.headers and int(promised) != size:
            raise Unreadable(f"{size:,} of {promised} bytes came")
        content = Content(_name(answer, address), size, digest.hexdigest())
        if keep:
            half.replace(folder / content.sha256)
        return content
    except (httpx.HTTPError, ValueError) as error:
        raise Unreadable(f"no proper answer ({type(error).__name__})") from None
    finally:
        half.unlink(missing_ok=True)


def _opened(path: Path) -> BinaryIO:
    return path.open("wb")


def _check(answer: httpx.Response, most_bytes: int) -> None:
    if answer.status_code != 200:
        raise Unreadable(f"HTTP status {answer.status_code}")
    has_name = "content-disposition" in answer.headers
    if answer.headers.get("content-type", "").startswith(("text/html", "application/json")) and not has_name:
        raise Unreadable("a page came in its place: the webhook's user may not read it")
    if int(answer.headers.get("content-length") or 0) > most_bytes:
        raise Unreadable(f"larger than {most_bytes:,} bytes")


def _name(answer: httpx.Response, address: str) -> str:
    told = _NAME.search(answer.headers.get("content-disposition", ""))
    name = unquote(told[1]) if told and told[1] else told[2] if told else Path(urlsplit(address).path).name
    return Path(name.replace("\\", "/")).name[-_LONGEST_NAME:] or "file"
