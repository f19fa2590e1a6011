"""Files of custom fields, comments and activities: sent as [name, Base64], downloaded by their addresses.

Pages `files/*`, `universal/object-fields`. An address for programs (`urlMachine`) holds the webhook with its secret, as
the reference warns; addresses change from answer to answer.
"""

import base64
import binascii
from typing import Any

from publish.sandbox import php
from publish.sandbox.methods import ApiError, Call
from publish.sandbox.store import Store, moment


def keep(store: Store, sent: Any) -> int | None:
    """The id of a file: of one that is sent, or of one that is kept (`{"id": 7}` or its number); None for none."""
    if php.is_empty(sent):
        return None
    if isinstance(sent, dict) and "id" in sent:
        return php.integer(sent["id"]) or None
    if isinstance(sent, dict) and "fileData" in sent:
        sent = sent["fileData"]
    if not php.is_array(sent):
        return php.integer(sent) or None
    named = [text for _, text in php.pairs(sent)]
    try:
        name, content = named
        body = base64.b64decode(content, validate=True)
    except (ValueError, TypeError, binascii.Error):
        raise ApiError("100", "Invalid value of a file: should be [name, content]") from None
    return store.insert("file", {"NAME": str(name), "CONTENT": body})


def keep_all(store: Store, sent: Any) -> list[int]:
    """The same for several."""
    return [file_id for _, file in php.pairs(sent or []) if (file_id := keep(store, file)) is not None]


def content(store: Store, token: str) -> tuple[str, bytes] | None:
    """Name and content of a file by the token of its address."""
    row = store.row("select NAME, CONTENT from file where ID = ?", php.integer(token.partition("-")[0]))
    return None if row is None else (row["NAME"], row["CONTENT"])


def _address(call: Call, file_id: int) -> str:
    return f"{call.webhook}/download/?token={file_id}-{int(call.now)}"


def shown(call: Call, file_id: int | None) -> dict[str, Any] | None:
    """A file as `crm.item.*` and activities show it."""
    if file_id is None:
        return None
    url = f"/bitrix/tools/crm_show_file.php?fileId={file_id}&ts={int(call.now)}"
    return {"id": file_id, "url": url, "urlMachine": _address(call, file_id)}


def attached(call: Call, file_id: int) -> dict[str, Any]:
    """A file as comments show it."""
    row = call.store.row("select NAME, length(CONTENT) as size from file where ID = ?", file_id)
    named = {"name": row["NAME"], "size": row["size"]} if row is not None else {"name": "", "size": 0}
    url = f"/disk/downloadFile/{file_id}/?ts={int(call.now)}"
    return {"id": file_id, "date": moment(call.now), "type": "file", **named, "urlShow": url, "urlDownload": url}


def of_drive(call: Call, file_id: int) -> dict[str, Any] | None:
    """A file as Drive shows it."""
    row = call.store.row("select NAME, length(CONTENT) as size from file where ID = ?", file_id)
    if row is None:
        return None
    named = {"ID": file_id, "NAME": row["NAME"], "TYPE": "file", "SIZE": str(row["size"])}
    return named | {"DOWNLOAD_URL": _address(call, file_id)}
