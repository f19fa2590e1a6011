"""A card's history over a whole move: made, changed and moved when and by whom it was in the cloud, or listed in the
file that a person runs in the box's own database."""

import re
import sqlite3
from datetime import datetime, timedelta, timezone

from tests.transfer.test_comparison import verdict
from tests.transfer.test_models import Move, filled, move

__all__ = ["move"]
CARDS = ("company", "contact", "lead", "deal")
HISTORY = ("createdTime", "updatedTime", "movedTime", "createdBy", "updatedBy", "movedBy")
COLUMNS = dict(zip(HISTORY, ("DATE_CREATE", "DATE_MODIFY", "MOVED_TIME", "CREATED_BY_ID", "MODIFY_BY_ID",
                             "MOVED_BY_ID"), strict=True))  # fmt: skip
STATEMENT = re.compile(r"update b_crm_(\w+) set (.+) where ID = (\d+) and .+; set @changed = .+;")
ZONE = timezone(timedelta(hours=3))


def histories(move: Move, side: str) -> dict[tuple[str, int], dict[str, object]]:
    """(kind, id) -> fields of the history, of the cards of a portal."""
    return {
        (kind, card["id"]): {field: card.get(field) for field in HISTORY if card.get(field) is not None}
        for kind in CARDS
        for card in getattr(move, side).portal.items(kind)
    }


def listed(move: Move) -> dict[tuple[str, int], dict[str, str]]:
    """(kind, id) -> columns and values of the statements in the file of dates."""
    file = move.folder / "transfer" / "dates.sql"
    found = {}
    for line in file.read_text().splitlines() if file.exists() else []:
        if matched := STATEMENT.fullmatch(line):
            kind, changes, number = matched.groups()
            found[kind, int(number)] = dict(change.split(" = ") for change in changes.split(", "))
    return found


def test_every_card_has_the_history_of_the_cloud_or_is_listed_in_the_file_of_dates(move: Move):
    filled(move)
    move.restore()
    move.land("--portal", "box", "--label", "baseline")
    past = {"createdTime": "2026-09-22T10:00:00+03:00", "updatedTime": "2026-09-23T11:00:00+03:00", "createdBy": 7,
            "updatedBy": 7, "movedTime": "2026-09-22T12:00:00+03:00", "movedBy": 7}  # fmt: skip
    move.clock.now += 3 * 86_400
    move.ask(move.cloud, "crm.item.import", entityTypeId=1, fields={"title": "Заявка"} | past)
    deal = move.ask(move.cloud, "crm.item.import", entityTypeId=2, fields={"title": "Заказ"} | past)["item"]["id"]
    move.ask(move.cloud, "crm.item.update", entityTypeId=2, id=5, fields={"title": "Иначе"})
    move.ask(move.box, "crm.item.add", entityTypeId=1, fields={"title": "Проверка"})  # younger: imports refuse dates
    move.land()
    move.build()
    move.push()
    move.land()
    move.build()
    move.dates()
    assert verdict(move)["is_exact"]
    targets = {
        (kind, int(source)): target
        for kind, source, target in move.rows(
            "select entity, source_id, target_id from marts.transfer_outcomes"
            f" where target_id is not null and entity in {CARDS}"
        )
    }
    box, statements, different = histories(move, "box"), listed(move), []
    for (kind, number), history in histories(move, "cloud").items():
        target = targets[kind, number]
        wrong = {COLUMNS[field] for field, value in history.items() if box[kind, target].get(field) != value}
        different += [(kind, number)] * bool(wrong)
        assert wrong == set(statements.get((kind, target), {})), (kind, number, history, box[kind, target])
    assert ("deal", 5) in different and ("lead", 6) in different and ("deal", deal) not in different
    with sqlite3.connect(move.folder / "box.sqlite") as database:  # as the person runs it
        for (kind, number), changes in statements.items():
            for column, value in changes.items():
                seconds = int(re.sub(r"\D", "", value))
                told = datetime.fromtimestamp(seconds, ZONE).isoformat() if "unixtime" in value else seconds
                database.execute(f"update {kind} set {column} = ? where ID = ?", [told, number])
    move.land()
    move.build()
    move.dates()
    assert move.rows("select * from marts.transfer_dates") == [] and listed(move) == {}
    assert {key: history for key, history in histories(move, "box").items() if key[0] == "deal"} == {
        ("deal", targets["deal", number]): history
        for (kind, number), history in histories(move, "cloud").items() if kind == "deal"
    }  # fmt: skip
