"""A box, or the warehouse, that was put back from an older copy: what it lacks is made again, and nothing twice."""

import shutil
from collections import Counter

import pytest

from ingest.warehouse.connection import open_warehouse
from publish.sandbox import Limits
from publish.transfer import push as pushing
from tests.publish.transfer.office import counts_of, fill, held, ref


@pytest.fixture
def back(mover, tmp_path):
    """Keeps a copy of the box, and puts it back."""

    class Back:
        state = tmp_path / "copy.sqlite"

        def keep(self):
            """Some time after the last push: the mark tells whole seconds."""
            mover.sql("update transfer.ledger set synced_at = synced_at - interval 1 minute")
            mover.sql("update transfer.id_map set proven_at = proven_at - interval 1 minute")
            mover.portal.copy_to(self.state)

        def put(self):
            mover.box.start_over(self.state, limits=Limits.none())

    return Back()


def says(portal):
    """What people read in a box, whatever the ids are."""
    rows = [row["RQ_INN"] for row in portal.requisites()]
    rows += [(row["CITY"], row["TYPE_ID"]) for row in portal.addresses()]
    rows += [row["RQ_ACC_NUM"] for row in portal.bank_details()]
    rows += [(row["SUBJECT"], row["COMPLETED"], row["ORIGIN_ID"]) for row in portal.rows("activity")]
    rows += [(row["ENTITY_ID"], row["COMMENT"]) for row in portal.rows("comment")]
    rows += [(row["ownerId"], row["productName"], row["price"]) for row in portal.rows("product_row")]
    rows += [tuple(row.values())[1:] for row in portal.rows("requisite_link")]
    rows += [(row["entity_type_id"], row["entity_id"]) for row in portal.rows("activity_binding")]
    rows += [(card["title"], card["leadId"]) for card in portal.items("company")]
    return Counter(map(str, rows))


def add_to(mover):
    """More that hangs on what `fill` has made for one company, and changes of what hung on it."""
    inn = {"ENTITY_TYPE_ID": 4, "ENTITY_ID": ref("company", 1000), "PRESET_ID": 1, "NAME": "Новые", "RQ_INN": "5"}
    mover.wants("requisite", 5900, inn)
    mover.wants("bank_detail", 6900, {"ENTITY_ID": ref("requisite", 5900), "NAME": "Счёт", "RQ_ACC_NUM": "9"})
    place = {"TYPE_ID": 6, "ENTITY_TYPE_ID": 8, "ENTITY_ID": ref("requisite", 5900), "CITY": "Тверь"}
    mover.wants("address", "6:8:5900", place)
    rows = [{"productName": "Другой кабель", "price": 11, "quantity": 1}]
    mover.wants("product_rows", "D:4000", {"productRows": rows}, action="update")
    call = {"OWNER_TYPE_ID": 2, "OWNER_ID": ref("deal", 4000), "RESPONSIBLE_ID": 1, "TYPE_ID": 2, "SUBJECT": "Ещё"}
    partner = {"ENTITY_TYPE_ID": 3, "ENTITY_ID": ref("contact", 2000), "VALUE": "+7495"}
    bound = [{"entityTypeId": 4, "entityId": ref("company", 1000)}]
    mover.wants("activity", 7900, call | {"COMPLETED": "Y", "COMMUNICATIONS": [partner], "BINDINGS": bound})
    chat = {"OWNER_TYPE_ID": 2, "OWNER_ID": ref("deal", 4000), "TYPE_ID": 6, "PROVIDER_ID": "REST_APP"}
    mover.wants("activity", 7901, chat | {"SUBJECT": "Чат 2", "CREATED": "2024-03-01T10:00:00+03:00"})
    said = [
        {"ID": str(number), "CREATED": "2024-01-01T10:00:00+03:00", "AUTHOR": "Ира", "COMMENT": text}
        for number, text in ((9000, "Позвонил"), (9001, "Позвонить 'завтра'"), (9900, "Ждём"))
    ]
    mover.wants("comments", "deal:4000", {"parts": said}, action="update")


def test_what_hung_on_cards_is_made_again_in_a_box_that_was_put_back(mover, back):
    fill(mover.connection, 1)
    mover.push()
    back.keep()
    add_to(mover)
    mover.push()
    as_it_was = says(mover.portal)
    back.put()
    assert says(mover.portal) != as_it_was
    result = mover.push()
    assert result.lost > 0
    assert any("put back" in note for note in result.notes)
    assert says(mover.portal) == as_it_was
    mover.portal.clear_log()
    assert mover.push().lost == 0
    assert mover.portal.writes() == {}


def test_cards_with_all_that_hangs_on_them_are_made_again_once(mover, back):
    fill(mover.connection, 1)
    mover.push()
    back.keep()
    fill(mover.connection, 2, first=1)
    mover.push()
    back.put()
    mover.push()
    assert held(mover.portal).items() >= counts_of(3).items()
    known = mover.sql("select source_id, target_id from transfer.id_map where entity = 'requisite' order by 2")
    assert [target for _, target in known] == [row["ID"] for row in mover.portal.requisites()]


def test_a_copy_made_while_a_push_went_on_that_was_killed_is_known_too(mover, back, monkeypatch):
    fill(mover.connection, 2)
    send_comments = pushing.send_comments

    async def copy_and_go_on(move):
        mover.portal.copy_to(back.state)
        await send_comments(move)

    async def killed(move):
        raise RuntimeError

    monkeypatch.setattr(pushing, "send_comments", copy_and_go_on)
    monkeypatch.setattr(pushing, "delete", killed)
    with pytest.raises(RuntimeError):
        mover.push()
    monkeypatch.undo()
    back.put()
    mover.push()
    assert {name: held(mover.portal)[name] for name in counts_of(2)} == counts_of(2)


def test_nothing_is_made_twice_after_a_warehouse_that_was_put_back(mover):
    fill(mover.connection, 1)
    mover.push()
    file = mover.folder / "svod.duckdb"
    mover.connection.close()
    shutil.copy(file, mover.folder / "copy.duckdb")
    mover.connection = open_warehouse(file)
    add_to(mover)
    fill(mover.connection, 1, first=1)
    mover.push()
    as_it_was = says(mover.portal)
    mover.connection.close()
    shutil.copy(mover.folder / "copy.duckdb", file)
    mover.connection = open_warehouse(file)
    add_to(mover)
    fill(mover.connection, 1, first=1)
    mover.push()
    assert says(mover.portal) == as_it_was
    assert mover.sql("select count(*) from transfer.ledger where entity = 'missed'") == [(1,)]


def test_what_people_deleted_in_the_box_after_a_push_that_ended_stays_deleted(mover):
    fill(mover.connection, 1)
    mover.push()
    mover.call("crm.requisite.delete", id=mover.target("requisite", 5001))
    assert mover.push().lost == 0
    assert mover.portal.counts()["requisite"] == 1


def test_a_push_that_was_killed_while_it_changed_restored_cards_takes_nobody_for_an_older_copy(mover, monkeypatch):
    card = mover.call("crm.item.add", entityTypeId=4, fields={"title": "Из копии"})["item"]["id"]
    mover.wants("company", card, {"title": "Иначе"}, action="update", target=card)

    async def killed(move):
        raise RuntimeError

    monkeypatch.setattr(pushing, "delete", killed)
    with pytest.raises(RuntimeError):
        mover.push()
    monkeypatch.undo()
    result = mover.push()
    assert (result.lost, result.updated) == (0, {})
    assert mover.sql("select count(*) from transfer.id_map") == [(0,)]
