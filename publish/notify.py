"""SVOD_NOTIFY_URL: messages for whoever looks after all this, by a webhook that takes JSON.

The text is `text`, as Telegram, Slack, Mattermost and most others want it, and `MESSAGE` for a chat of Bitrix24 (method
im.message.add). What the address has behind its question mark (whom it is for) goes along in the JSON. The address is
a secret: nothing of it is in an error.
"""

import logging
import platform
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlsplit

import httpx
from pydantic import SecretStr

from publish.standing import Problem

_TIMEOUT_S = 10.0
_LONGEST = 3_500  # characters: Telegram takes 4,096


class NotSent(Exception):
    """The message was not taken; the text says why in a word."""


def wrong(problems: Sequence[Problem]) -> str:
    """What is wrong, a line each, with what to do."""
    return "\n".join(["Svod: NOT OK", *(f"- {problem}" for problem in problems), f"({platform.node()}: make status)"])


def well_again(verdict: str) -> str:
    """Nothing is wrong any more."""
    return f"Svod: well again. {verdict} ({platform.node()})"


def send(url: SecretStr, text: str) -> None:
    """Send one message. Raises NotSent."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs addresses
    address = urlsplit(url.get_secret_value())
    field = "MESSAGE" if "/im." in address.path else "text"
    told = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    try:
        answer = httpx.post(
            url.get_secret_value(), json=dict(parse_qsl(address.query)) | {field: told}, timeout=_TIMEOUT_S
        )
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise NotSent(type(error).__name__) from None
    if not answer.is_success:
        raise NotSent(f"HTTP {answer.status_code}")
