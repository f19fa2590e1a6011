"""Files of a portal: streamed to the disk under their digest, never more than allowed, and never from elsewhere."""

import asyncio
import hashlib
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from ingest.bitrix24.download import Content, Unreadable
from ingest.bitrix24.pacing import Pace
from ingest.bitrix24.reading import ReadingClient

HOOK = "https://portal.test/rest/1/s3cretsecret/"


def download(answer, folder: Path, *, address: str = f"{HOOK}download/?token=1", most: int = 100, keep: bool = True):
    async def work() -> Content:
        transport = httpx.MockTransport(answer)
        client = ReadingClient(SecretStr(HOOK), Pace(0, 50, 0), variable="SVOD_CLOUD_WEBHOOK", transport=transport)
        async with client:
            return await client.download(address, folder, most, keep=keep)

    return asyncio.run(work())


def named(content: bytes, name: str = "filename*=utf-8''%D0%B0.pdf", **headers: str) -> httpx.Response:
    return httpx.Response(200, content=content, headers={"content-disposition": f"attachment; {name}"} | headers)


async def chunks():
    for _ in range(2):
        yield b"x" * 60


def test_a_file_is_kept_under_its_digest_and_called_as_the_portal_calls_it(tmp_path):
    content = download(lambda request: named(b"one"), tmp_path)
    assert content == Content("а.pdf", 3, hashlib.sha256(b"one").hexdigest())
    assert [path.name for path in tmp_path.iterdir()] == [content.sha256]
    assert (tmp_path / content.sha256).read_bytes() == b"one"


def test_of_a_file_that_is_only_compared_nothing_stays(tmp_path):
    assert download(lambda request: named(b"one"), tmp_path, keep=False).bytes == 3
    assert list(tmp_path.iterdir()) == []


def test_the_request_looks_like_a_browsers_and_a_name_is_no_path(tmp_path):
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers)
        return named(b"one", 'filename="../../etc/passwd"')

    assert download(answer, tmp_path).name == "passwd"
    assert asked[0]["referer"] == "https://portal.test/" and asked[0]["user-agent"].startswith("Mozilla")


def test_a_redirect_to_a_storage_is_followed(tmp_path):
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "portal.test":
            return httpx.Response(302, headers={"location": "https://storage.test/1"})
        return named(b"stored")

    assert download(answer, tmp_path).bytes == 6


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (httpx.Response(404), "HTTP status 404"),
        (httpx.Response(200, html="<form>Log in</form>"), "a page came in its place"),
        (named(b"x" * 101), "larger than 100 bytes"),
        (httpx.Response(200, content=chunks()), "larger than 100 bytes"),
    ],
    ids=["gone", "a log-in page", "too large", "too large without saying so"],
)
def test_what_cannot_be_read_is_told_and_nothing_is_left_behind(tmp_path, answer, why):
    with pytest.raises(Unreadable, match=why):
        download(lambda request: answer, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_line_that_breaks_is_no_file(tmp_path):
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("broken")

    with pytest.raises(Unreadable, match="no proper answer"):
        download(answer, tmp_path)


@pytest.mark.parametrize("address", ["https://elsewhere.test/rest/1/s3cretsecret/download/", "http://portal.test/x"])
def test_an_address_that_is_not_the_portals_is_not_asked(tmp_path, address):
    with pytest.raises(Unreadable, match="not the portal's"):
        download(lambda request: named(b"one"), tmp_path, address=address)
