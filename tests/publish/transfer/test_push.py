"""`publish transfer push` against a box over HTTP."""

from contextlib import closing

import pytest

from ingest.warehouse import journal
from ingest.warehouse.connection import open_warehouse
from ingest.warehouse.errors import OperatorError
from publish.entries import Refusal
from publish.sandbox import Limits
from publish.transfer.ledger import TransferLedger
from publish.transfer.push import Word
from publish.transfer.records import drop_letters
from tests.publish.transfer.office import CLOUD, Mover, counts_of, fill, held, prepare, ref

PAST = {"createdTime": "2024-01-10T10:00:00+03:00", "updatedTime": "2024-02-01T10:00:00+03:00", "createdBy": 1}


def test_everything_is_made_once_with_its_past_and_nothing_is_sent_or_started(mover):
    fill(mover.connection, 3)
    mover.portal.add_template("DEAL", auto_execute=1)
    result = mover.push()
    assert result.dead_letters == 0
    assert held(mover.portal).items() >= counts_of(3).items()
    assert (mover.portal.mail_sent(), mover.portal.automation_started()) == (0, 0)
    first = mover.portal.items("lead")[0]
    assert first["createdTime"] == "2024-01-01T00:00:00+03:00" and first["movedTime"] == "2024-05-01T10:00:00+03:00"
    assert first["UF_CRM_SVOD_SOURCE"] == f"{CLOUD}:3000"
    deal = mover.portal.items("deal")[2]
    company, contact, lead = (mover.target(*of) for of in (("company", 1002), ("contact", 2002), ("lead", 3002)))
    assert (deal["companyId"], deal["contactId"], deal["leadId"]) == (company, contact, lead)
    assert deal["closedate"] is None and deal["opportunity"] == 21
    assert mover.portal.items("contact")[0]["fm"][0]["valueType"] == "MOBILE"
    assert mover.portal.items("company")[1]["leadId"] == mover.target("lead", 3001)
    assert not mover.dates.exists()


def test_an_activity_is_bound_to_what_it_was_bound_to(mover):
    fill(mover.connection, 1)
    assert mover.push().dead_letters == 0
    rows = [row for row in mover.portal.rows("activity_binding") if row["activity_id"] == 1]
    assert {(row["entity_type_id"], row["entity_id"]) for row in rows} == {(2, 1), (3, 1), (4, 1)}


def test_a_reference_may_have_a_prefix(mover):
    mover.call("crm.deal.userfield.add", fields={"FIELD_NAME": "LINK", "USER_TYPE_ID": "string"})
    mover.wants("company", 9, {"title": "ООО Ромашка"})
    mover.wants("deal", 1, {"title": "Заказ", "UF_CRM_LINK": ref("company", 9) | {"prefix": "CO_"}})
    mover.push()
    assert mover.portal.items("deal")[0]["UF_CRM_LINK"] == f"CO_{mover.target('company', 9)}"


def test_a_second_push_writes_nothing(mover):
    fill(mover.connection, 2)
    mover.push()
    mover.portal.clear_log()
    result = mover.push()
    assert (result.created, result.updated) == ({}, {})
    assert mover.portal.writes() == {}


def test_letters_are_completed_without_being_sent_and_what_no_webhook_may_make_is_told_in_a_comment(mover):
    fill(mover.connection, 1)
    mover.push()
    call, letter = mover.portal.rows("activity")
    assert (letter["TYPE_ID"], letter["COMPLETED"], call["ORIGIN_ID"]) == (4, "Y", f"{CLOUD}:7000")
    assert letter["DIRECTION"] == 1, "it came in"
    told = {comment["COMMENT"] for comment in mover.portal.rows("comment")}
    assert told == {"[01.01.2024 10:00, Ира, приложение]\nЧат", "[01.01.2024 10:00, Ира]\nПозвонить 'завтра'"}
    assert mover.target("activity_comment", 7002)
    assert mover.sql("select count(*) from transfer.id_map where entity = 'activity'") == [(2,)]


def test_a_card_of_which_only_what_it_points_to_later_has_changed_is_changed_by_the_second_pass_alone(mover):
    card = mover.call("crm.item.add", entityTypeId=3, fields={"name": "Анна"})["item"]["id"]
    mover.wants("lead", 5, PAST | {"title": "Заявка"})
    mover.wants("contact", 2, action="update", target=card, second_pass={"leadId": ref("lead", 5)})
    assert mover.push().dead_letters == 0
    assert mover.portal.items("contact")[0]["leadId"] == mover.target("lead", 5)
    mover.portal.clear_log()
    mover.push()
    assert mover.portal.writes() == {}


def test_a_reference_to_what_is_not_there_is_a_dead_letter_until_it_is(mover):
    mover.wants("deal", 4000, PAST | {"title": "Заказ", "companyId": ref("company", 1)})
    assert mover.push().dead_letters_now == 1
    letter = "select error, error_description from transfer.dead_letters"
    assert mover.sql(letter) == [("MISSING_REFERENCE", "not in the box: company 1")]
    mover.wants("company", 1, PAST | {"title": "ООО Ромашка"})
    assert mover.push().dead_letters == 0
    assert mover.portal.items("deal")[0]["companyId"] == 1
    assert mover.sql(letter) == []


def test_a_record_that_the_models_know_in_the_box_is_pointed_to(mover):
    there = mover.call("crm.item.add", entityTypeId=4, fields={"title": "Из копии"})["item"]["id"]
    mover.wants("company", 77, action="none", target=there)
    mover.wants("deal", 4000, {"title": "Заказ", "companyId": ref("company", 77)})
    mover.push()
    assert mover.portal.items("deal")[0]["companyId"] == there


def test_dates_that_an_import_refuses_go_to_a_file_for_the_box(mover):
    mover.call("crm.item.add", entityTypeId=1, fields={"title": "Проба"})
    fill(mover.connection, 1)
    mover.push()
    assert mover.portal.counts()["lead"] == 2
    lead = mover.target("lead", 3000)
    (statement,) = [line for line in mover.dates.read_text().splitlines() if line.startswith("update")]
    assert statement == (
        "update b_crm_lead set DATE_CREATE = from_unixtime(1704056400), DATE_MODIFY = from_unixtime(1717225200), "
        f"MOVED_TIME = from_unixtime(1714546800) where ID = {lead} and exists (select 1 from b_uts_crm_lead "
        f"where VALUE_ID = {lead} and UF_CRM_SVOD_SOURCE = '{CLOUD}:3000'); set @changed = @changed + row_count();"
    )


def test_a_card_that_the_box_refuses_is_a_dead_letter_and_holds_up_nobody(mover):
    mover.wants("contact", 1, PAST | {"post": "без имени"})
    mover.wants("contact", 2, PAST | {"name": "Олег"})
    assert mover.push().dead_letters_now == 1
    assert [item["name"] for item in mover.portal.items("contact")] == ["Олег"]
    mover.portal.clear_log()
    mover.push()
    assert mover.portal.writes() == {}


def test_only_changed_fields_are_sent_and_phones_one_by_one(mover):
    phones = [{"typeId": "PHONE", "valueType": "WORK", "value": value} for value in ("+71", "+72", "+73")]
    fields = {"name": "Анна", "post": "Директор", "fm": phones[:2]}
    card = mover.call("crm.item.add", entityTypeId=3, fields=fields)["item"]
    mover.wants("contact", 5, {"lastName": "Иванова", "fm": phones[1:]}, action="update", target=card["id"])
    mover.push()
    changed = mover.portal.items("contact")[0]
    assert (changed["name"], changed["lastName"], changed["post"]) == ("Анна", "Иванова", "Директор")
    assert [entry["value"] for entry in changed["fm"]] == ["+72", "+73"]
    assert changed["fm"][0]["id"] == card["fm"][1]["id"]


def test_a_deletion_is_reported_until_it_is_asked_for(mover):
    card = mover.call("crm.item.add", entityTypeId=1, fields={"title": "Удалён в облаке"})["item"]["id"]
    mover.wants("lead", 9, action="delete", target=card)
    mover.push()
    assert mover.portal.counts()["lead"] == 1
    mover.push(transfer_deletions="delete")
    assert mover.portal.counts()["lead"] == 0
    mover.portal.clear_log()
    mover.push(transfer_deletions="delete")
    assert mover.portal.writes() == {}


def test_a_changed_comment_is_changed_and_a_new_one_added(mover):
    fill(mover.connection, 1)
    mover.push()
    said = [
        {"ID": "9000", "CREATED": "2024-01-01T10:00:00+03:00", "AUTHOR": "Ира", "COMMENT": "Позвонил"},
        {"ID": "9001", "CREATED": "2024-01-01T10:00:00+03:00", "AUTHOR": "Ира", "COMMENT": "Позвонить 'завтра'"},
        {"ID": "9002", "CREATED": "2024-01-02T10:00:00+03:00", "AUTHOR": "Ира", "COMMENT": "Ждём"},
    ]
    mover.wants("comments", "deal:4000", {"parts": said}, action="update")
    mover.push()
    texts = [row["COMMENT"].splitlines()[-1] for row in mover.portal.rows("comment") if "Чат" not in row["COMMENT"]]
    assert sorted(texts) == ["Ждём", "Позвонил", "Позвонить 'завтра'"]


def test_an_activity_hangs_on_the_card_that_it_hangs_on_by_now_unless_that_is_of_another_kind(mover):
    cards = [mover.call("crm.item.add", entityTypeId=4, fields={"title": title})["item"]["id"] for title in ("А", "Б")]
    deal = mover.call("crm.item.add", entityTypeId=2, fields={"title": "Заказ"})["item"]["id"]
    partner = {"ENTITY_TYPE_ID": 4, "ENTITY_ID": cards[1], "VALUE": "+7495"}
    call = {"TYPE_ID": 2, "SUBJECT": "Звонок", "RESPONSIBLE_ID": 1, "COMMUNICATIONS": [partner]}
    on_first = {"OWNER_TYPE_ID": 4, "OWNER_ID": cards[0]}
    partner_of_first = [partner | {"ENTITY_ID": cards[0]}]
    calls = [
        mover.call("crm.activity.add", fields=call | on_first | {"COMMUNICATIONS": partner_of_first}) for _ in range(2)
    ]
    mover.wants("activity", 7, call | on_first | {"OWNER_ID": cards[1]}, action="update", target=calls[0])
    elsewhere = {"OWNER_TYPE_ID": 2, "OWNER_ID": deal, "SUBJECT": "Иначе"}
    mover.wants("activity", 8, call | elsewhere, action="update", target=calls[1])
    assert mover.push().dead_letters_now == 1
    owners = [(row["OWNER_TYPE_ID"], row["OWNER_ID"], row["SUBJECT"]) for row in mover.portal.rows("activity")]
    assert owners == [(4, cards[1], "Звонок"), (4, cards[0], "Звонок")]
    ((told,),) = mover.sql("select error from transfer.dead_letters where origin_id = '8'")
    assert told == "SOURCE_AND_TARGET_ENTITY_TYPES_ARE_NOT_EQUAL"
    mover.portal.clear_log()
    mover.push()
    assert mover.portal.writes() == {}


def test_nothing_is_written_before_somebody_says_that_automation_is_off(mover):
    mover.portal.add_template("LEAD", auto_execute=3, name="Обзвон")
    mover.wants("lead", 1, PAST | {"title": "Заявка"})
    with pytest.raises(OperatorError, match="«Обзвон» of lead starts when one is added or changed") as refused:
        mover.push(Word())
    assert refused.value.exit_status == 2
    assert mover.portal.writes() == {}
    mover.wants("deal", 2, PAST | {"title": "Заказ"})  # the sandbox has rows start what changes of their card start
    mover.wants("product_rows", "D:2", {"productRows": [{"productName": "Кабель", "price": 1, "quantity": 1}]})
    notes = mover.push().notes
    assert "workflow «Обзвон» of lead starts when one is added or changed" in notes
    assert "rows of goods are set of 1 cards, new ones too: that may start what a change starts" in notes


def test_a_map_of_one_box_says_nothing_of_another_in_its_place(mover):
    fill(mover.connection, 1)
    mover.push()
    targets = mover.sql("select distinct target from transfer.id_map")
    mover.box.start_over(limits=Limits.none())
    with pytest.raises(OperatorError, match="no custom field UF_CRM_SVOD_SOURCE") as refused:
        mover.push()
    assert refused.value.exit_status == 3
    mover.push(Word(automation_is_off=True, is_new_box=True))
    assert held(mover.portal).items() >= counts_of(1).items()
    assert len(mover.sql("select distinct target from transfer.id_map")) == len(targets) + 1 == 2


def test_chosen_kinds_alone_are_moved(mover):
    fill(mover.connection, 1)
    mover.push(transfer_entities=["company"])
    assert held(mover.portal).items() >= {"company": 1, "contact": 0, "requisite": 0}.items()


def test_lost_answers_double_nothing(mover):
    fill(mover.connection, 2)
    mover.box.faults.script(*[None] * 6, *["lose_answer", None] * 40)
    mover.push()
    assert held(mover.portal).items() >= counts_of(2).items()
    assert mover.portal.mail_sent() == 0
    assert mover.sql("select count(*) from transfer.intents") == [(0,)]


def test_a_card_keeps_the_name_of_a_user_who_is_not_in_the_box_in_one_comment(mover):
    fill(mover.connection, 1)
    named = {"CREATED": "2024-01-10T10:00:00+03:00", "AUTHOR": "Анна", "NAMED_IN": ["assignedById", "createdBy"]}
    mover.wants("names", "deal:4000:7", named)
    mover.wants("names", "deal:4001:7", named)
    mover.box.faults.fail("crm.timeline.comment.add", "INTERNAL_SERVER_ERROR", status=500, times=4)
    assert mover.push().dead_letters_now == 1
    mover.push()
    (kept,) = [row for row in mover.portal.rows("comment") if "Анна" in row["COMMENT"]]
    assert kept["COMMENT"].splitlines()[0] == "[10.01.2024 10:00, Анна, ответственный, создал]"
    assert (kept["ENTITY_TYPE"], kept["ENTITY_ID"]) == ("deal", mover.target("deal", 4000))
    assert mover.target("names", "deal:4000:7") == kept["ID"]
    assert mover.sql("select error_description from transfer.dead_letters") == [("not in the box: deal 4001",)]


def test_rows_of_goods_that_the_cloud_has_no_more_are_taken_away(mover):
    fill(mover.connection, 2)
    mover.push()
    mover.wants("product_rows", "D:4000", {"productRows": []}, action="update")
    assert mover.push().updated == {"product_rows": 1}
    assert [row["ownerId"] for row in mover.portal.rows("product_row")] == [mover.target("deal", 4001)]
    mover.portal.clear_log()
    mover.push()
    assert mover.portal.writes() == {}
    rows = [{"productName": f"Кабель {number}", "price": 1, "quantity": 1} for number in range(3)]
    mover.wants("product_rows", "D:4001", {"productRows": rows}, action="update")
    mover.push()
    mover.wants("product_rows", "D:4001", {"productRows": []}, action="update")
    mover.push()
    assert mover.portal.rows("product_row") == []


def test_a_dead_letter_of_what_is_not_wanted_any_more_leaves(mover):
    mover.wants("contact", 1, PAST | {"post": "без имени"})
    assert mover.push().dead_letters == 1
    mover.wants("contact", 1, action="none")
    assert mover.push().dead_letters == 0


def test_letters_of_parts_of_a_record_leave_with_what_they_are_about(mover):
    mover.wants("comments", "deal:1", {"parts": [{"ID": "8"}]}, action="update")
    mover.wants("company", 5, {}, action="update", target=5, second_pass={"leadId": 7})
    mover.sql("insert into marts.transfer_bindings values ('7', 'company/5', '{}', 0)")
    ledger = TransferLedger(mover.connection, "box.test", CLOUD)
    wanted = [("binding", "7:company/5"), ("comment", "8"), ("second_pass", "company/5")]
    unwanted = [("binding", "7:company/6"), ("comment", "9"), ("second_pass", "company/6"), ("lead", "6")]
    ledger.settle(refused=[Refusal(*key, "{}", "REFUSED", "") for key in wanted + unwanted])
    drop_letters(ledger)
    assert mover.sql("select entity, origin_id from transfer.dead_letters order by 1") == wanted


def test_what_is_told_of_a_record_afterwards_is_a_dead_letter_until_what_it_points_to_is_there(mover):
    mover.wants("company", 1, PAST | {"title": "ООО Ромашка"}, second_pass={"leadId": ref("lead", 7)})
    assert mover.push().dead_letters_now == 1
    letter = "select entity, origin_id, error_description from transfer.dead_letters"
    assert mover.sql(letter) == [("second_pass", "company/1", "not in the box: lead 7")]
    mover.wants("lead", 7, PAST | {"title": "Заявка"})
    assert mover.push().dead_letters == 0
    assert mover.portal.items("company")[0]["leadId"] == mover.target("lead", 7)
    assert mover.sql("select source_id from transfer.delivered where entity = 'company' and field = 'leadId'") == []
    mover.portal.clear_log()
    mover.push()
    assert mover.portal.writes() == {}


def test_a_change_that_is_told_afterwards_sends_no_other_and_is_sent_again_where_it_is_found_not_to_be_so(mover):
    mover.wants("lead", 7, PAST | {"title": "Заявка"})
    mover.wants("company", 1, PAST | {"title": "ООО Ромашка"})
    mover.push()
    ids = {kind: mover.target(kind, number) for kind, number in (("lead", 7), ("company", 1))}
    told = {"action": "update", "target": ids["company"], "second_pass": {"leadId": ids["lead"]}}
    for _ in range(2):
        mover.wants("company", 1, {}, **told)
        mover.portal.clear_log()
        mover.push()
        assert mover.portal.writes() == {"crm.item.update": 1}
        assert mover.portal.items("company")[0]["leadId"] == ids["lead"]
        mover.call("crm.item.update", entityTypeId=4, id=ids["company"], fields={"leadId": 0})
        mover.sql(
            """insert into ops.snapshots (source, snapshot_id, portal, label, started_at, completed_at)
               select 'box', 1 + count(*), 'box', '', ?, ? from ops.snapshots""",
            journal.utc_now(), journal.utc_now(),
        )  # fmt: skip


def test_another_warehouse_goes_on_in_the_box_when_somebody_says_so_and_makes_nothing_twice(mover, tmp_path):
    fill(mover.connection, 1)
    mover.push()
    with closing(open_warehouse(tmp_path / "other" / "svod.duckdb")) as connection:
        other = Mover(connection, mover.box, tmp_path / "other")
        prepare(connection)
        fill(connection, 1)
        with pytest.raises(OperatorError, match="another warehouse") as refused:
            other.push()
        assert "`publish transfer push --take-over`" in refused.value.hint
        other.push(Word(automation_is_off=True, takes_over=True))
    assert {name: held(mover.portal)[name] for name in counts_of(1)} == counts_of(1)


def test_two_clouds_with_the_same_numbers_move_into_one_box_and_share_nothing(mover):
    fill(mover.connection, 1)
    mover.push()
    first = dict(mover.sql("select entity || source_id, target_id from transfer.id_map"))
    mover.cloud = "other.test"
    assert mover.push().dead_letters == 0
    assert {name: held(mover.portal)[name] for name in counts_of(1)} == counts_of(2)
    second = dict(
        mover.sql("select entity || source_id, target_id from transfer.id_map where source_portal = 'other.test'")
    )
    assert first.keys() == second.keys()
    assert not [key for key, target in first.items() if second[key] == target]
    owners = [(row["ENTITY_ID"], row["RQ_INN"]) for row in mover.portal.requisites()]
    assert {owner for owner, _ in owners} == {first["company1000"], second["company1000"]}
    marks = [card["UF_CRM_SVOD_SOURCE"] for card in mover.portal.items("company")]
    assert marks == [f"{CLOUD}:1000", "other.test:1000"]
    mover.portal.clear_log()
    for cloud in (CLOUD, "other.test"):
        mover.cloud = cloud
        mover.push()
    assert mover.portal.writes() == {}
