"""The address of an inbound webhook, `https://portal/rest/USER/SECRET/`: its form, the portal it names, its secret."""

import re
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

_FORM = re.compile(r"https?://[^/\s]+/rest/\d+/[^/\s]+/?")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LEAST_SECRET = 8  # characters; shorter ones, those of tests and sandboxes, may be words that mean something else
FORM = "https://portal/rest/USER/SECRET/"


def has_its_form(address: str) -> bool:
    """Whether it is the address of a webhook."""
    if not _FORM.fullmatch(address):
        return False
    import httpx  # a fifth of the time in which `ingest` starts, and most of its commands have no webhook

    try:
        parts = urlsplit(address)
        httpx.URL(address)
        return bool(parts.hostname) and parts.port != 0
    except (ValueError, httpx.InvalidURL):  # the port is no number or too large a one; a control character, an odd host
        return False


def followed(address: str, location: str) -> tuple[str, str]:
    """Where a portal sends a request to `address`, for people, and the address to go on at: '' where that is not safe.

    Only https is, where the path is still the webhook's: who sends us there knows that path then, and on the way nobody
    else learns it.
    """
    ours = urlsplit(address)
    try:
        target = urlsplit(urljoin(address, location))
    except ValueError:
        location, target = "", ours
    if not location:
        return "nowhere", ""
    is_kept = target.scheme == "https" and target.path.rstrip("/") == ours.path
    kept = urlunsplit((target.scheme, target.netloc.rpartition("@")[2], ours.path, "", ""))
    return f"{target.scheme}://{target.hostname}", kept if is_kept else ""


def portal_of(address: str) -> str:
    """The portal's name: `host`, or `host:port` where that is not the scheme's."""
    parts = urlsplit(address)
    is_usual = parts.port in (None, _DEFAULT_PORTS[parts.scheme])
    return f"{parts.hostname}" if is_usual else f"{parts.hostname}:{parts.port}"


def user_of(address: str) -> int:
    """The user that the webhook acts as."""
    return int(urlsplit(address).path.split("/")[2])


def without_secret(text: str, address: str) -> str:
    """A text in which the webhook is blotted out: addresses of files for programs hold it, and errors of a gateway may
    repeat what they were asked, however that was written there."""
    path = urlsplit(address).path.rstrip("/")
    for written in (path, quote(path, safe=""), path.replace("/", "\\/")):
        text = text.replace(written, "/rest/-/-")
    secret = path.rpartition("/")[2]
    return text.replace(secret, "-") if len(secret) >= _LEAST_SECRET else text
