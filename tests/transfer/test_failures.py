"""Failures of a move that stop it, and that every one of docs/transfer.md has its test."""

import csv
import re

import pytest

from tests.transfer.test_models import ROOT, Move, filled, move

__all__ = ["move"]


def test_every_failure_that_is_documented_has_its_test():
    page = (ROOT / "docs" / "transfer.md").read_text("utf-8")
    _, failures = page.split("## What can go wrong, and what happens then")
    rows = [line.split("|")[3] for line in failures.splitlines()
            if line.startswith("| ") and not line.startswith(("| failure", "| ---"))]  # fmt: skip
    named = [re.findall(r"`(\w+)`", row) for row in rows]
    assert len(rows) > 25 and all(named), "a row without a test"
    code = "".join(file.read_text("utf-8") for file in (ROOT / "tests").rglob("test_*.py"))
    models = "".join(file.read_text("utf-8") for file in (ROOT / "dbt_project").rglob("*__unit_tests.yml"))
    there = {*re.findall(r"def (test_\w+)", code), *re.findall(r"name: (\w+)", models)}
    assert [name for names in named for name in names if name not in there] == []


def test_a_user_whose_id_has_another_email_in_the_box_stops_the_move_until_somebody_says_who_it_is(move: Move):
    filled(move)
    move.restore()
    move.land("--portal", "box", "--label", "baseline")
    move.cloud.portal.set_user(7, EMAIL="anna.new@example.com")
    move.ask(move.cloud, "crm.item.update", entityTypeId=2, id=5, fields={"assignedById": 7})
    move.land()
    with pytest.raises(AssertionError, match="transfer_users_of_one_id_are_one"):
        move.build(SVOD_TRANSFER_FALLBACK_USER="1")
    users = move.folder / "users.csv"
    users.write_text("cloud_id,box_id\n7, 77\n")
    with pytest.raises(AssertionError, match="transfer_users_by_hand_are_known"):
        move.build_with_dbt(SVOD_TRANSFER_USERS=str(users))
    users.write_text("cloud_id,box_id\n7, 7\n")
    move.build_with_dbt(SVOD_TRANSFER_USERS=str(users))
    assert move.records()["deal", "5"][3] == {"assignedById": 7}


def test_a_value_of_a_list_that_the_box_lacks_stops_the_move_until_it_is_made_there(move: Move):
    filled(move)
    values = [{"VALUE": "Опт", "XML_ID": "wholesale"}]
    field = {"FIELD_NAME": "KIND", "USER_TYPE_ID": "enumeration", "LIST": values}
    number = move.ask(move.cloud, "crm.deal.userfield.add", fields=field)
    move.restore()
    move.land("--portal", "box", "--label", "baseline")
    tender = {"VALUE": "Тендер", "XML_ID": "tender"}
    move.ask(move.cloud, "crm.deal.userfield.update", id=number, fields={"LIST": [tender]})
    kept = move.ask(move.cloud, "crm.deal.userfield.get", id=number)["LIST"]
    chosen = next(entry["ID"] for entry in kept if entry["XML_ID"] == "tender")
    move.ask(move.cloud, "crm.item.update", entityTypeId=2, id=5, fields={"ufCrmKind": chosen})
    move.land()
    with pytest.raises(AssertionError, match="transfer_references_are_resolved"):
        move.build()
    move.ask(move.box, "crm.deal.userfield.update", id=number, fields={"LIST": [tender]})
    move.land()
    move.build()
    assert "UF_CRM_KIND" in move.records()["deal", "5"][3]


# Page `crm/universal/object-fields`: fields that are shown, and written by no method or only as a card is made.
NOT_WRITTEN = {
    "lead deal contact company": "createdBy createdTime entityTypeId id lastCommunicationCallTime updatedBy "
    "updatedTime lastCommunicationEmailTime lastCommunicationImolTime lastCommunicationTime "
    "lastCommunicationWebformTime webformId searchContent",
    "lead contact company": "address email emailHome emailMailing emailWork hasEmail hasImol hasPhone imol phone "
    "phoneMailing phoneMobile phoneWork",
    "lead": "dateClosed dateCreateShort dateModifyShort icq isConvert isReturnCustomer login movedBy movedTime "
    "productId shortName skype stageSemanticId",
    "deal": "begindateShort closed closedateShort dateCreateShort dateModifyShort eventDate eventDateShort "
    "eventId eventDescription hasProducts isLose isNew isRepeatedApproach isReturnCustomer isWon isWork lostAmount "
    "movedBy movedTime orderStage previousStageId productId receivedAmount searchContent stageSemanticId",
    "contact": "login shortName",
    "company": "addressLegal isMyCompany ufAccountantSign ufDirectorSign ufLogo ufStamp",
}


def test_no_field_that_no_method_writes_is_sent_with_a_change():
    with (ROOT / "dbt_project" / "seeds" / "transfer" / "transfer_fields.csv").open(encoding="utf-8") as file:
        rows = [(row["entities"].split(), row["field"], row["sent"]) for row in csv.DictReader(file)]
    left_out = {(kind, field) for kinds, field, sent in rows for kind in kinds if sent in ("create", "never")}
    shown = {
        (kind, field) for kinds, fields in NOT_WRITTEN.items() for kind in kinds.split() for field in fields.split()
    }
    assert sorted(shown - left_out) == []
