"""The comparison of two portals: what a move made is told apart from what people did, and nothing that lacks is passed
over."""

import sqlite3

import duckdb
import pytest

from tests.transfer.test_models import Move, filled, move

__all__ = ["move"]


def verdict(move: Move) -> dict[str, object]:
    """The one row of the verdict, by column."""
    names = [name for (name,) in move.rows("select column_name from (describe marts.transfer_verdict)")]
    ((*values,),) = move.rows("select * from marts.transfer_verdict")
    return dict(zip(names, values, strict=True))


def outcomes(move: Move) -> dict[str, int]:
    return move.counts("transfer_outcomes", "entity || ' ' || outcome || if(is_done, '', ', not done')")


def unequal(move: Move) -> list[tuple]:
    return move.rows(
        "select entity, breakdown, group_value, cloud_count, box_count from marts.transfer_counts where not is_equal"
    )


def worked_on(move: Move) -> dict[str, int]:
    """A restored box, and a week of work in both portals; ids of what was made."""
    filled(move)
    move.restore()
    move.land("--portal", "box", "--label", "baseline")

    def in_cloud(method: str, **params):
        return move.ask(move.cloud, method, **params)

    def in_box(method: str, **params):
        return move.ask(move.box, method, **params)

    made: dict[str, int] = {}
    made["lead in box"] = in_box("crm.item.add", entityTypeId=1, fields={"title": "Проверка"})["item"]["id"]
    made["lead"] = in_cloud("crm.item.add", entityTypeId=1, fields={"title": "Заявка", "opportunity": 10})["item"]["id"]
    made["company"] = in_cloud("crm.item.add", entityTypeId=4, fields={"title": "Новая"})["item"]["id"]
    person = {"name": "Пётр", "companyIds": [made["company"]]}
    made["contact"] = in_cloud("crm.item.add", entityTypeId=3, fields=person)["item"]["id"]
    order = {"title": "Заказ", "companyId": made["company"], "contactIds": [made["contact"]], "opportunity": 1000.5}
    made["deal"] = in_cloud("crm.item.add", entityTypeId=2, fields=order | {"leadId": made["lead"]})["item"]["id"]
    in_cloud("crm.item.update", entityTypeId=2, id=5, fields={"title": "Иначе", "opportunity": 77})
    in_cloud("crm.item.update", entityTypeId=1, id=2, fields={"title": "И тут"})
    in_box("crm.item.update", entityTypeId=1, id=2, fields={"title": "И там"})
    in_box("crm.item.update", entityTypeId=2, id=3, fields={"opportunity": 999999})
    in_cloud("crm.item.delete", entityTypeId=2, id=12)
    comment = {"ENTITY_TYPE": "deal", "ENTITY_ID": made["deal"], "COMMENT": "Перезвонить"}
    in_cloud("crm.timeline.comment.add", fields=comment)
    in_box("crm.timeline.comment.add", fields=comment | {"ENTITY_ID": 7, "COMMENT": "Сверка"})
    return made


def test_before_the_push_what_lacks_is_told_and_after_it_the_comparison_is_exact_with_what_people_did_named(move):
    made = worked_on(move)
    move.land()
    move.build()
    before = verdict(move)
    assert (before["is_exact"], before["missing_count"], before["different_count"]) == (False, 5, 1)
    assert ("deal", "stage", "NEW", 12, 12) in unequal(move), "one is new, another was deleted"
    planned = outcomes(move)
    assert planned["deal created, not done"] == planned["deal updated, not done"] == 1
    move.push()
    done = outcomes(move)
    assert (done["deal created"], done["deal updated"], done["deal box_kept"], done["lead conflict"]) == (1, 1, 1, 1)
    assert not [name for name in done if "not done" in name], "the view knows what the push has done"
    ids = dict(move.rows("select entity, target_id from marts.transfer_outcomes where outcome = 'created'"))
    assert ids["lead"] > made["lead in box"] and ids["deal"] == move.box.portal.items("deal")[-1]["id"]
    move.land()
    move.build()
    after = verdict(move)
    counted = ("missing_count", "different_count", "unwanted_count", "refused_count", "count_differences",
               "sum_differences", "link_differences")  # fmt: skip
    assert after["is_exact"], [after, unequal(move)]
    assert {after[name] for name in counted} == {0}
    # a test lead and a comment of the box, and the deal that the cloud has deleted
    assert (after["extra_count"], after["explained_count"], after["conflict_count"]) == (3, 2, 1)
    assert outcomes(move) == done, "what the move did stays said, though nothing is left to do"
    assert move.rows("select cloud_sum - cloud_apart_sum, box_sum from marts.transfer_sums where entity = 'lead'") == [
        (10, 10)
    ]
    (deal,) = move.rows("select cloud_sum, box_sum, cloud_apart_sum, box_apart_sum from marts.transfer_sums"
                        " where entity = 'deal'")  # fmt: skip
    assert deal[0] - deal[2] == deal[1] - deal[3] and deal[1] > deal[0], "the box raised one deal to 999,999"
    (changed,) = move.rows("select fields from marts.transfer_differences where entity = 'lead' and source_id = '2'")
    assert changed == ('{"title":{"cloud":"И тут","box":"И там","state":"conflict"}}',)


def test_a_second_card_of_one_a_lost_one_and_a_link_that_somebody_cut_are_told(move):
    filled(move)
    move.restore()
    move.land("--portal", "box", "--label", "baseline")
    company = move.ask(move.cloud, "crm.item.add", entityTypeId=4, fields={"title": "Новая"})["item"]["id"]
    move.land()
    move.build()
    move.push()
    mark = next(card["UF_CRM_SVOD_SOURCE"] for card in move.box.portal.items("company") if card["title"] == "Новая")
    twin = {"title": "Новая", "ufCrmSvodSource": mark}
    move.ask(move.box, "crm.item.add", entityTypeId=4, fields=twin)
    move.ask(move.cloud, "crm.item.add", entityTypeId=1, fields={"title": "После последнего прохода"})
    move.ask(move.cloud, "crm.item.update", entityTypeId=2, id=4, fields={"opportunity": 5, "companyId": company})
    move.land()
    move.build()
    told = verdict(move)
    assert (told["is_exact"], told["unwanted_count"], told["missing_count"]) == (False, 1, 1)
    assert (told["different_count"], told["sum_differences"]) == (1, 1)
    assert move.rows("select detail from marts.transfer_differences where difference = 'extra'") == [
        (f"a second one of: company {company}",)
    ]
    assert ("company", "all", "", 7, 8) in unequal(move) and ("lead", "all", "", 6, 5) in unequal(move)
    links = "select source_id, to_entity, to_source_id, side from marts.transfer_links where not is_explained"
    assert ("4", "company", str(company), "missing") in move.rows(links)


def test_an_orphan_of_the_box_is_marked_where_the_cloud_has_the_same_one(move):
    filled(move)
    with sqlite3.connect(move.folder / "cloud.sqlite") as database:
        database.execute("update deal set COMPANY_ID = 9999 where ID = 3")
    move.restore()
    move.land("--portal", "box", "--label", "baseline")
    move.land()
    move.build()
    orphans = "select source_id, to_source_id, side, is_orphan_in_cloud, is_orphan_in_box from marts.transfer_links"
    assert move.rows(f"{orphans} where entity = 'deal'") == [("3", "9999", "both", True, True)]
    assert verdict(move)["is_exact"]


def test_kinds_that_are_left_out_are_said_to_be_and_nothing_waits_for_them(move):
    filled(move)
    move.land()
    chosen = {"SVOD_TRANSFER_FALLBACK_USER": "1", "SVOD_TRANSFER_ENTITIES": "company, deal"}
    move.build(**chosen)
    found = move.rows("select distinct entity, outcome, detail from marts.transfer_outcomes order by 1")
    assert {row[1] for row in found if row[0] in ("company", "deal")} == {"created"}
    assert {row[1:] for row in found if row[0] not in ("company", "deal")} == {
        ("unsupported", "left out by SVOD_TRANSFER_ENTITIES")
    }
    deals = [fields for key, (_, _, _, fields) in move.records().items() if key[0] == "deal"]
    assert all(fields["companyId"]["ref"][0] == "company" and not fields.get("contactIds") for fields in deals)
    assert {entity for (entity,) in move.rows("select entity from marts.transfer_counts")} == {"company", "deal"}
    move.environment |= chosen
    move.push()
    move.land()
    move.build(**chosen)
    assert verdict(move)["is_exact"], unequal(move)


def test_what_the_box_refuses_is_refused_with_its_reason_until_it_is_taken(move):
    filled(move)
    move.restore()
    move.land("--portal", "box", "--label", "baseline")
    move.ask(move.cloud, "crm.item.update", entityTypeId=2, id=4, fields={"title": "Иначе"})
    move.land()
    move.build()
    move.box.faults.fail("crm.item.update", "CUSTOM_FIELD_ERROR", "Поле «Отдел» обязательно", times=9)
    with pytest.raises(AssertionError, match="1 records are dead-lettered"):
        move.push()
    refused = "select source_id, target_id, detail, is_done from marts.transfer_outcomes where outcome = 'refused'"
    told = [("4", 4, "CUSTOM_FIELD_ERROR: Поле «Отдел» обязательно", False)]
    assert move.rows(refused) == told
    move.land()
    move.build()
    assert (verdict(move)["is_exact"], verdict(move)["refused_count"], move.rows(refused)) == (False, 1, told)
    with duckdb.connect(str(move.warehouse)) as connection:  # dead letters of another box are no concern of this one
        connection.execute("update transfer.dead_letters set portal = 'rehearsal.test'")
    assert move.rows(refused) == []


def test_what_hung_on_a_card_that_was_merged_in_the_cloud_is_not_deleted_with_it(move):
    filled(move)

    def in_cloud(method: str, **params):
        return move.ask(move.cloud, method, **params)

    def twins(title: str) -> tuple[int, ...]:
        return tuple(in_cloud("crm.item.add", entityTypeId=4, fields={"title": title})["item"]["id"] for _ in "12")

    def with_parts(company: int) -> tuple[int, int]:
        kind = {"ENTITY_TYPE_ID": 4, "ENTITY_ID": company}
        requisite = in_cloud("crm.requisite.add", fields=kind | {"PRESET_ID": 1, "NAME": "Реквизиты"})
        partner = {"COMMUNICATIONS": [kind | {"VALUE": "+7495"}], "OWNER_TYPE_ID": 4, "OWNER_ID": company}
        call = partner | {"TYPE_ID": 2, "RESPONSIBLE_ID": 1, "SUBJECT": "Звонок"}
        return requisite, in_cloud("crm.activity.add", fields=call)

    kept, merged = twins("Одна")
    kept_in_box, merged_in_box = twins("Другая")
    requisite, call = with_parts(merged)
    with_parts(merged_in_box)
    move.restore()
    move.land("--portal", "box", "--label", "baseline")
    in_cloud("crm.entity.mergeBatch", params={"entityTypeId": 4, "entityIds": [kept, merged]})
    both = {"entityTypeId": 4, "entityIds": [kept_in_box, merged_in_box]}
    move.ask(move.box, "crm.entity.mergeBatch", params=both)
    move.environment["SVOD_TRANSFER_DELETIONS"] = "delete"
    move.land()
    move.build()
    told = "select entity, source_id, detail from marts.transfer_differences where entity = 'requisite'"
    assert move.rows(f"{told} and not is_explained") == [("requisite", str(requisite), "ENTITY_ID")]
    assert len(move.rows(f"{told} and difference = 'different' and is_explained")) == 1, "merged by people of the box"
    fates = f"select outcome, detail from marts.transfer_outcomes where entity = 'company' and source_id = '{merged}'"
    assert move.rows(fates) == [("conflict", "deleted in the cloud; on it hangs in the box what stays there")]
    move.push()
    assert [row["OWNER_ID"] for row in move.box.portal.rows("activity") if row["ID"] == call] == [kept]
    assert [row["ENTITY_ID"] for row in move.box.portal.requisites() if row["ID"] == requisite] == [merged]
