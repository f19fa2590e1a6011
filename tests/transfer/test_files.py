"""Files of cards, activities and comments: only what the box lacks is read, sent, and compared by its content."""

import base64
import hashlib
import json

import pytest

from publish.sandbox import Limits
from publish.sandbox.files import content, keep
from tests.transfer.test_models import Move


@pytest.fixture
def move(tmp_path):
    move = Move(tmp_path)
    yield move
    move.stop()


def packed(name: str, text: bytes) -> list[str]:
    return [name, base64.b64encode(text).decode()]


def held(portal) -> dict[int, tuple[str, bytes]]:
    return {row["ID"]: (row["NAME"], row["CONTENT"]) for row in portal.rows("file")}


def filled(move: Move) -> None:
    """Cards with files, an activity and a comment with one, as the backup has them."""
    for sandbox in (move.cloud,):
        field = {"FIELD_NAME": "SCAN", "USER_TYPE_ID": "file", "MULTIPLE": "Y"}
        move.ask(sandbox, "crm.deal.userfield.add", fields=field)
        move.ask(sandbox, "crm.item.add", entityTypeId=3, fields={"name": "Анна", "photo": packed("a.png", b"photo")})
        scans = [packed("1.pdf", b"one"), packed("2.pdf", b"two")]
        fields = {"title": "Заказ", "contactId": 1, "UF_CRM_SCAN": scans}
        move.ask(sandbox, "crm.item.add", entityTypeId=2, useOriginalUfNames="Y", fields=fields)


def call_with(files: list) -> dict:
    partner = {"VALUE": "+7495", "ENTITY_TYPE_ID": 3, "ENTITY_ID": 1}
    return {"OWNER_TYPE_ID": 2, "OWNER_ID": 1, "TYPE_ID": 2, "RESPONSIBLE_ID": 1, "SUBJECT": "Звонок",
            "COMMUNICATIONS": [partner], "FILES": [{"fileData": file} for file in files]}  # fmt: skip


def comment_with(files: list) -> dict:
    return {"ENTITY_TYPE": "deal", "ENTITY_ID": 1, "COMMENT": "Договор", "FILES": files}


def read_by_content(move: Move) -> dict[str, int]:
    rows = move.rows(
        "select split_part(portal, ':', 2), count(*) from transfer.files where sha256 is not null group by 1"
    )
    return dict(rows)


def test_only_what_the_box_lacks_is_read_and_it_arrives_with_its_content(move):
    filled(move)
    move.restore()
    move.land("--portal", "box", "--label", "baseline")
    deal = move.ask(move.cloud, "crm.item.list", entityTypeId=2, select=["*"], useOriginalUfNames="Y")["items"][0]
    kept = {"id": deal["UF_CRM_SCAN"][0]["id"]}
    fields = {"UF_CRM_SCAN": [kept, packed("3.pdf", b"three")]}
    move.ask(move.cloud, "crm.item.update", entityTypeId=2, id=1, useOriginalUfNames="Y", fields=fields)
    made = {"name": "Пётр", "photo": packed("p.png", b"Peter")}
    move.ask(move.cloud, "crm.item.add", entityTypeId=3, fields=made)
    move.ask(move.cloud, "crm.activity.add", fields=call_with([packed("call.mp3", b"voice" * 9999)]))
    move.ask(move.cloud, "crm.timeline.comment.add", fields=comment_with([packed("договор.doc", b"contract")]))
    move.land()
    assert move.rows("select entity, name from transfer.files order by 1, 2") == [
        ("activity", "call.mp3"),
        ("comment", "договор.doc"),
        ("contact", "p.png"),
        ("deal", "2.pdf"),
        ("deal", "3.pdf"),
    ]
    move.build()
    move.push()
    move.land()
    move.build()
    assert move.counts("transfer_records", "action || ' ' || outcome").keys() == {"none unchanged"}
    assert move.counts("transfer_files", "difference") == {"equal": 4}
    box = move.box.portal
    files = held(box)
    deal = box.items("deal")[0]
    assert [files[number] for number in deal["UF_CRM_SCAN"]] == [("1.pdf", b"one"), ("3.pdf", b"three")]
    assert deal["UF_CRM_SCAN"][0] == kept["id"]
    assert files[box.items("contact")[1]["photo"]] == ("p.png", b"Peter")
    assert ("call.mp3", b"voice" * 9999) in files.values() and ("договор.doc", b"contract") in files.values()
    # The same content comes once more, under another id: it is sent once more. So does one more file of a comment that
    # is there, with those that it had.
    again = comment_with([packed("ещё.doc", b"contract")])
    move.ask(move.cloud, "crm.timeline.comment.add", fields=again)
    both = {"FILES": [packed("договор.doc", b"contract"), packed("акт.doc", b"act")]}
    move.ask(move.cloud, "crm.timeline.comment.update", id=1, fields=both)
    move.ask(move.cloud, "crm.item.update", entityTypeId=2, id=1, fields={"comments": "Акт приложен"})
    store = move.cloud.app.state.engine.store
    recorded = [
        *json.loads(store.row("select FILES from activity where ID = 1")[0]),
        keep(store, packed("2.mp3", b"late")),
    ]
    store.update("activity", 1, {"FILES": json.dumps(recorded)})
    move.land()
    move.build()
    move.push()
    late = next(row for row in box.rows("comment") if "2.mp3" in row["COMMENT"])
    assert late["COMMENT"].splitlines()[1:] == ["Звонок", "2.mp3"] and ", файл]" in late["COMMENT"]
    assert [held(box)[number] for number in json.loads(late["FILES"])] == [("2.mp3", b"late")]
    assert ("ещё.doc", b"contract") in held(box).values()
    first = next(row for row in box.rows("comment") if "Договор" in row["COMMENT"])
    files = held(box)
    assert {files[number] for number in json.loads(first["FILES"])} == {
        ("договор.doc", b"contract"),
        ("акт.doc", b"act"),
    }
    assert len(json.loads(first["FILES"])) == 2
    move.land()
    move.build()
    assert move.counts("transfer_records", "action || ' ' || outcome").keys() == {"none unchanged"}
    assert move.counts("transfer_files", "difference").keys() == {"equal"}


def test_without_a_restore_all_files_move_and_one_that_cannot_be_read_is_listed_and_stops_nothing(move):
    filled(move)
    field = {"FIELD_NAME": "SCAN", "USER_TYPE_ID": "file", "MULTIPLE": "Y"}
    move.ask(move.box, "crm.deal.userfield.add", fields=field)
    move.ask(move.cloud, "crm.timeline.comment.add", fields=comment_with([packed("a.doc", b"a")]))
    too_large = packed("film.mp4", b"x" * 200_000)
    move.ask(move.cloud, "crm.item.add", entityTypeId=3, fields={"name": "Кино", "photo": too_large})
    move.environment["SVOD_TRANSFER_FILE_MB"] = "0.1"
    move.cloud.start_over(move.folder / "cloud.sqlite", limits=Limits.none(), clock=move.clock, scopes=["user"])
    move.land()
    assert move.rows("select entity, name, problem from transfer.files where sha256 is null order by 1, 2") == [
        ("comment", None, "the webhook has no right `disk`, which files of comments need"),
        ("contact", None, "larger than 104,857 bytes"),
    ]
    move.build()
    move.push()
    move.land()
    move.build()
    assert move.counts("transfer_files", "difference") == {"equal": 3, "unreadable": 2}
    assert move.counts("transfer_records", "action").keys() == {"none"}
    ((fields,),) = move.rows("select detail from marts.transfer_differences where difference = 'different'")
    assert fields == "photo"
    ((detail,),) = move.rows("select detail from marts.transfer_outcomes where entity = 'contact' and source_id = '2'")
    assert "file 5 (larger than 104,857 bytes)" in detail
    assert sorted(name for name, _ in held(move.box.portal).values()) == ["1.pdf", "2.pdf", "a.png"]


def test_a_digest_is_that_of_the_content(move):
    filled(move)
    move.land()
    digests = {name: digest for name, digest in move.rows("select name, sha256 from transfer.files")}
    assert digests["1.pdf"] == hashlib.sha256(b"one").hexdigest()
    folder = move.folder / "transfer" / "files"
    assert (folder / digests["1.pdf"]).read_bytes() == b"one"
    assert folder.stat().st_mode & 0o077 == (folder / digests["1.pdf"]).stat().st_mode & 0o077 == 0
    assert content(move.cloud.app.state.engine.store, "1-1")
