"""A portal as a source: read whole in snapshots, complete or not at all, and never written to."""

import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from unittest.mock import patch

import duckdb
import pytest
from pydantic import SecretStr

from ingest.bitrix24.pacing import Pace
from ingest.bitrix24.reading import Read, ReadingClient, ReadMethod
from ingest.cli import app
from ingest.portal.entities import ENTITIES
from ingest.portal.records import record_of
from ingest.warehouse.connection import open_warehouse
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.terminal import print_error
from publish.sandbox import Limits, Portal, RunningSandbox

FIRST_DAY = 1_790_000_000.0


class Clock:
    """A clock that tests turn: times of change tell versions apart."""

    now = FIRST_DAY

    def time(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSandbox]:
    with RunningSandbox() as sandbox:
        yield sandbox


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def start_portal(running: RunningSandbox, clock: Clock) -> Callable[..., Portal]:
    def start(**settings) -> Portal:
        running.start_over(**{"limits": Limits.none(), "clock": clock, **settings})
        return running.portal

    return start


@pytest.fixture
def portal(start_portal) -> Portal:
    """A portal with some of everything."""
    portal = start_portal()
    portal.fill(company=60, contact=70, lead=55, deal=120, activity=30, comment=20, product_row=170, requisite_link=90,
                now=FIRST_DAY)  # fmt: skip
    portal.set_user(7, NAME="Анна", EMAIL="anna@example.com")
    portal.add_template("DEAL", auto_execute=1)
    return portal


@pytest.fixture
def call(running: RunningSandbox, clock: Clock) -> Callable[..., object]:
    """What people do in the portal, a minute after what was done last."""

    def call(method: str, **params):
        clock.now += 60
        status, body, _ = running.app.state.engine.request(method, params)
        assert status == 200, body
        return body["result"]

    return call


class Source:
    """`ingest bitrix24` of one portal, and what it landed."""

    def __init__(self, ingest, sandbox: RunningSandbox) -> None:
        self.ingest = ingest
        self._connection: duckdb.DuckDBPyConnection | None = None
        ingest.set(cloud_webhook=sandbox.webhook, cloud_rate="0")

    def read(self, *arguments: str, portal: str = "cloud", status: int = 0) -> str:
        self.close()
        said, ended = io.StringIO(), 0
        settings = {name: value for name, value in self.ingest.environment.items() if name.startswith("SVOD_")}
        # In this process: a new one takes longer to start than a small portal to be read.
        with patch.dict(os.environ, settings), redirect_stdout(said), redirect_stderr(said):
            try:
                app(["bitrix24", "--portal", portal, *arguments], standalone_mode=False)
            except OperatorError as error:
                print_error(error)
                ended = error.exit_status
        assert ended == status, said.getvalue()
        return said.getvalue()

    def close(self) -> None:
        """Let go of the warehouse, which a reading is about to write to."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def query(self, sql: str) -> list[tuple]:
        """Rows of a query on the warehouse, which stays open until the next reading."""
        if self._connection is None:
            self._connection = open_warehouse(self.ingest.warehouse, read_only=True)
        return self._connection.execute(sql).fetchall()

    def present(self, entity: str) -> dict[str, dict]:
        """Records of the newest complete snapshot, as a model would find them."""
        rows = self.query(
            f"""select landed.source_key, landed.payload
                from raw.cloud__{entity} as landed join ops.snapshot_keys as version on version.source = 'cloud'
                    and version.entity = '{entity}' and version.to_snapshot is null
                    and version.source_key = landed.source_key
                    and version.from_snapshot = landed.source_position::bigint"""
        )
        assert len(rows) == len({key for key, _ in rows}), "one version of a record"
        return {key: json.loads(payload) for key, payload in rows}

    def gone(self, entity: str) -> set[str]:
        """Records of an earlier complete snapshot that the newest lacks."""
        rows = self.query(
            f"""select source_key from ops.snapshot_keys where source = 'cloud' and entity = '{entity}'
                group by all having bool_and(to_snapshot is not null)"""
        )
        return {key for (key,) in rows}

    def landed(self) -> int:
        """Raw rows of all entities."""
        tables = self.query("select table_name from duckdb_tables() where table_name like 'cloud\\_\\_%' escape '\\'")
        return sum(self.query(f"select count(*) from raw.{name}")[0][0] for (name,) in tables)

    def snapshots(self) -> list[tuple]:
        return self.query("select snapshot_id, label, completed_at is not null from ops.snapshots order by snapshot_id")


@pytest.fixture
def source(ingest, running: RunningSandbox) -> Iterator[Source]:
    source = Source(ingest, running)
    yield source
    source.close()


def test_everything_that_the_portal_holds_is_landed_and_nothing_is_written_to_it(source, portal, call):
    call("crm.deal.userfield.add", fields={"FIELD_NAME": "KIND", "USER_TYPE_ID": "enumeration",
                                           "LIST": [{"VALUE": "Опт", "XML_ID": "wholesale"}]})  # fmt: skip
    portal.clear_log()
    source.read("--label", "baseline")
    for entity, name in (("leads", "lead"), ("deals", "deal"), ("contacts", "contact"), ("companies", "company")):
        held = {str(item["id"]): item for item in portal.items(name)}
        found = source.present(entity)
        assert found.keys() == held.keys()
        for key, item in held.items():
            linked = "companyIds" if name == "contact" else "contactIds"
            names = ["title", "name", "createdTime", "opportunity", "companyId", linked]
            names += ["fm"] if name != "deal" else []
            for field in names:
                if field == "fm":
                    assert {one["value"] for one in found[key]["fm"]} == {one["value"] for one in item["fm"]}
                elif field in item:
                    assert found[key][field] == item[field], (entity, key, field)
    assert {row["RQ_INN"] for row in source.present("requisites").values()} == {
        r["RQ_INN"] for r in portal.requisites()
    }
    assert source.present("bank_details").keys() == {str(row["ID"]) for row in portal.bank_details()}
    held = {f"{row['TYPE_ID']}:{row['ENTITY_TYPE_ID']}:{row['ENTITY_ID']}" for row in portal.addresses()}
    assert source.present("addresses").keys() == held
    assert source.present("requisite_links").keys() == {
        f"2:{row['ENTITY_ID']}" for row in portal.rows("requisite_link")
    }
    parts = [row for record in source.present("product_rows").values() for row in record["parts"]]
    assert sorted(row["id"] for row in parts) == [row["id"] for row in portal.rows("product_row")]
    comments = [row for record in source.present("comments").values() for row in record["parts"]]
    assert sorted(int(row["ID"]) for row in comments) == [row["ID"] for row in portal.rows("comment")]
    held = {str(row["ID"]): row["SUBJECT"] for row in portal.rows("activity")}
    assert {key: row["SUBJECT"] for key, row in source.present("activities").items()} == held
    bound = {
        (record["owner_id"], part["entityTypeId"], part["entityId"])
        for record in source.present("activity_bindings").values()
        for part in record["parts"]
    }
    assert bound == {tuple(row.values()) for row in portal.rows("activity_binding")}
    assert len(source.present("statuses")) == len(portal.documents("status"))
    assert source.present("funnels").keys() == {"0"}
    assert [one["XML_ID"] for row in source.present("user_fields").values() for one in row["LIST"]] == ["wholesale"]
    assert len(source.present("requisite_presets")) == len(portal.documents("preset"))
    assert source.present("currencies").keys() == {"RUB", "USD", "EUR"}
    assert {row["EMAIL"] for row in source.present("users").values()} == {user["EMAIL"] for user in portal.users()}
    assert [row["AUTO_EXECUTE"] for row in source.present("workflow_templates").values()] == ["1"]
    assert source.snapshots() == [(1, "baseline", True)]
    assert (portal.writes(), portal.automation_started(), portal.mail_sent()) == ({}, 0, 0)


def test_a_second_reading_lands_what_changed_and_nothing_else(source, portal, call):
    source.read()
    landed = source.landed()
    source.read()
    assert source.landed() == landed
    call("crm.item.update", entityTypeId=2, id=5, fields={"title": "Иначе"})
    call("crm.item.productrow.set", ownerType="D", ownerId=9, productRows=[{"productName": "Кабель", "price": 5}])
    call("crm.timeline.comment.add", fields={"ENTITY_TYPE": "lead", "ENTITY_ID": 3, "COMMENT": "Перезвонить"})
    source.read()
    assert source.present("deals")["5"]["title"] == "Иначе"
    assert [row["price"] for row in source.present("product_rows")["D:9"]["parts"]] == [5]
    assert [row["COMMENT"] for row in source.present("comments")["lead:3"]["parts"]] == ["Перезвонить"]
    # Deal 5; deal 9 by its sum, and its rows; lead 3 by the time of its last activity, and its comments.
    assert source.landed() == landed + 5


def test_a_comment_that_moved_nothing_of_its_card_is_read_where_all_parts_are(source, portal, call):
    number = call("crm.timeline.comment.add", fields={"ENTITY_TYPE": "lead", "ENTITY_ID": 3, "COMMENT": "Было"})
    source.read()
    call("crm.timeline.comment.update", id=number, fields={"COMMENT": "Стало"})
    texts = "select payload::varchar from raw.cloud__comments where source_key = 'lead:3' order by source_position desc"
    source.read()
    assert "Стало" not in source.query(texts)[0][0]
    source.read("--all-parts")
    assert "Стало" in source.query(texts)[0][0]
    call("crm.timeline.comment.delete", id=number)
    source.read("--all-parts")
    now = "select digest from ops.snapshot_keys where entity = 'comments' and to_snapshot is null"
    assert source.query(f"{now} and source_key = 'lead:3'") == [("",)]
    assert source.query("select snapshot_id, reads_all from ops.snapshots order by 1") == [
        (1, False), (2, False), (3, True), (4, True),
    ]  # fmt: skip


def test_a_comment_that_the_move_has_changed_in_the_box_is_read_though_its_card_has_not_changed(
    source, portal, call, running
):
    comments = [
        call("crm.timeline.comment.add", fields={"ENTITY_TYPE": "lead", "ENTITY_ID": lead, "COMMENT": "Было"})
        for lead in (3, 4)
    ]
    source.ingest.set(cloud_webhook="http://127.0.0.1:9/rest/1/secret/", box_webhook=running.webhook, box_rate="0")
    source.read(portal="box")
    for number in comments:
        call("crm.timeline.comment.update", id=number, fields={"COMMENT": "Стало"})
    source.close()
    with duckdb.connect(str(source.ingest.warehouse)) as connection:
        connection.execute(
            """insert into transfer.ledger by name
               select portal, 'cloud.test' as source_portal, 'comment' as entity, '7' as origin_id, ? as bitrix_id,
                   '{}' as sent, '{}' as wanted, false as is_adopted, now()::timestamp as synced_at
               from ops.snapshots""",
            [comments[0]],
        )
    source.read(portal="box")
    texts = "select source_key, payload::varchar like '%Стало%' from raw.box__comments where source_position = '2'"
    assert source.query(texts) == [("lead:3", True)]


def test_a_deletion_is_a_record_that_a_complete_snapshot_had_and_a_later_one_lacks(source, portal, call):
    source.read()
    call("crm.item.delete", entityTypeId=2, id=5)
    call("crm.item.productrow.set", ownerType="D", ownerId=7, productRows=[])
    source.read()
    assert source.gone("deals") == {"5"} and "5" not in source.present("deals")
    assert source.gone("product_rows") == {"D:5", "D:7"} and "deal:5" in source.gone("comments")
    versions = source.query(
        "select from_snapshot, to_snapshot from ops.snapshot_keys where entity = 'deals' and source_key = '5'"
    )
    assert versions == [(1, 2)]


def test_a_killed_reading_goes_on_where_it_was_and_reads_everything(source, portal, running):
    portal.fill(deal=9_000, now=FIRST_DAY)
    running.faults.delay = 0.05
    running.faults.script(*["slow"] * 400)
    was_running = source.ingest.run_killed("bitrix24", "--portal", "cloud", committed=3_000_000)
    running.faults.configure({"clear": True})
    assert was_running, "killed too late to say anything"
    assert source.snapshots() == [(1, "", False)] and source.gone("deals") == set()
    before = source.query("select count(distinct source_key) from ops.snapshot_rows where entity = 'deals'")
    assert 0 < before[0][0] < 9_120
    portal.clear_log()
    assert "going on with snapshot 1" in source.read("--active-since", "2030-01-01")
    assert len(source.present("deals")) == 9_120 and source.snapshots() == [(1, "", True)]
    assert source.query("select count(*) from ops.snapshot_rows") == [(0,)]


def test_who_is_no_administrator_is_refused_with_a_hint(source, portal):
    portal.set_rights(is_admin=False)
    said = source.read(status=2)
    assert "no administrator" in said and "hint: create the webhook as an administrator" in said
    assert source.query("select count(*) from ops.snapshot_rows") == [(0,)]


@pytest.mark.parametrize("counts_hidden", [True, False])
def test_a_hidden_funnel_makes_a_snapshot_incomplete_and_nothing_is_said_deleted(source, portal, call, counts_hidden):
    funnel = call("crm.category.add", entityTypeId=2, fields={"name": "Опт"})["category"]["id"]
    call("crm.item.add", entityTypeId=2, fields={"title": "Заказ", "categoryId": funnel})
    source.read()
    landed = source.landed()
    portal.set_rights(hidden_funnels=[funnel], counts_hidden=counts_hidden)
    assert f"does not show funnel:{funnel}" in source.read(status=1)
    if counts_hidden:  # also when somebody says that the funnel is gone
        assert "counts 121 deals and its lists give 120" in source.read("--gone", f"funnel:{funnel}", status=1)
    assert source.snapshots() == [(1, "", True)] and source.gone("deals") == set() and source.landed() == landed
    portal.set_rights()
    source.read()
    assert source.snapshots() == [(1, "", True), (2, "", True)] and source.gone("deals") == set()


def test_a_funnel_that_was_never_seen_is_told_by_its_stages(source, portal, call):
    funnel = call("crm.category.add", entityTypeId=2, fields={"name": "Опт"})["category"]["id"]
    portal.set_rights(hidden_funnels=[funnel])
    assert f"does not show funnel:{funnel}" in source.read(status=1)


def test_a_funnel_that_is_shown_without_any_of_its_deals_is_a_right_that_was_lost(source, portal, call):
    funnel = call("crm.category.add", entityTypeId=2, fields={"name": "Тендеры"})["category"]["id"]
    deals = [call("crm.item.add", entityTypeId=2, fields={"categoryId": funnel})["item"]["id"] for _ in range(6)]
    moved = [call("crm.item.add", entityTypeId=2, fields={"title": "Останется"})["item"]["id"] for _ in range(6)]
    source.read()
    for deal in deals:
        call("crm.item.delete", entityTypeId=2, id=deal)
    assert f"--gone funnel:{funnel}" in source.read(status=1)
    assert source.gone("deals") == set()
    source.read("--gone", f"funnel:{funnel}")
    assert source.gone("deals") == {str(deal) for deal in deals} and str(moved[0]) in source.present("deals")


def test_a_funnel_that_is_really_gone_is_said_to_be(source, portal, call):
    funnel = call("crm.category.add", entityTypeId=2, fields={"name": "Опт"})["category"]["id"]
    deal = call("crm.item.add", entityTypeId=2, fields={"title": "Заказ", "categoryId": funnel})["item"]["id"]
    source.read()
    call("crm.item.delete", entityTypeId=2, id=deal)
    call("crm.category.delete", entityTypeId=2, id=funnel)
    assert "--gone funnel:" in source.read(status=1)
    source.read("--gone", f"funnel:{funnel}")
    assert source.gone("deals") == {str(deal)} and source.gone("funnels") == {str(funnel)}


def test_a_kind_of_card_that_is_missing_whole_is_a_lost_right(source, portal, call):
    source.read()
    for lead in portal.items("lead"):
        call("crm.item.delete", entityTypeId=1, id=lead["id"])
    assert "does not show leads" in source.read(status=1)
    assert source.gone("leads") == set()
    source.read("--gone", "leads")
    assert len(source.gone("leads")) == 55


def test_activities_that_are_missing_whole_are_a_module_that_is_off(source, portal, call):
    source.read()
    for activity in portal.rows("activity"):
        call("crm.activity.delete", id=activity["ID"])
    assert "does not show activities" in source.read(status=1)
    assert source.gone("activities") == set()


def test_another_portal_under_the_name_of_a_source_is_read_anew_and_nothing_of_the_other_is_gone(source, portal):
    source.read()
    with RunningSandbox(limits=Limits.none()) as other:
        other.portal.fill(deal=4, now=FIRST_DAY)
        source.ingest.set(cloud_webhook=other.webhook)
        assert ", 0 gone" in source.read()
    assert source.present("deals").keys() == {"1", "2", "3", "4"} and source.present("leads") == {}


def test_a_right_that_is_lost_while_the_portal_is_read_makes_no_deletion(source, portal, call, running):
    funnel = call("crm.category.add", entityTypeId=2, fields={"name": "Опт"})["category"]["id"]
    call("crm.item.add", entityTypeId=2, fields={"title": "Заказ", "categoryId": funnel})
    source.read()
    running.faults.fail("crm.timeline.comment.list", "ACCESS_DENIED", "Access denied", times=1000)
    call("crm.item.update", entityTypeId=2, id=3, fields={"title": "Иначе"})
    assert "comments of deals 3" in source.read(status=1)  # broken off after the funnels and the deals
    running.faults.configure({"clear": True})
    portal.set_rights(hidden_funnels=[funnel])
    assert f"does not show funnel:{funnel}" in source.read(status=1)
    assert source.gone("deals") == set()


def test_of_a_chunk_of_owners_that_is_refused_each_is_asked_for_by_itself(source, portal, running):
    running.faults.fail("crm.item.productrow.list", "ACCESS_DENIED", "Access denied")
    source.read()
    parts = [row for record in source.present("product_rows").values() for row in record["parts"]]
    assert len(parts) == len(portal.rows("product_row"))


def test_products_are_read_with_the_right_to_and_without_it_that_is_said_and_all_else_is_read(source, start_portal):
    portal = start_portal()
    portal.fill(deal=3, now=FIRST_DAY)
    for number in range(120):
        portal.add_product(f"Товар {number}", xml_id=f"x-{number}")
    assert "could not be read" not in source.read()
    products = source.present("products")
    assert len(products) == 120
    assert ("Товар 7", "x-7", 23) in {(one["name"], one["xmlId"], one["iblockId"]) for one in products.values()}
    start_portal(scopes=["user"])
    said = source.read("--gone", "deals")
    assert "catalogs could not be read" in said and "products could not be read" in said


def test_sparse_ids_cost_hardly_more_requests_than_dense_ones(source, start_portal):
    portal = start_portal()
    portal.fill(deal=6_000, every=40, now=FIRST_DAY)
    source.read("--active-since", "2030-01-01")
    assert len(source.present("deals")) == 6_000
    # 120 pages of 50 rows; by windows of 50 ids it would be 4,800 commands.
    assert portal.calls()["crm.item.list"] <= 120 / 0.6 + 20


def test_a_webhook_without_the_rights_for_workflows_reads_the_rest_and_says_so(source, start_portal):
    start_portal(scopes=["user"]).fill(deal=3, now=FIRST_DAY)
    assert "workflow_templates could not be read" in source.read()
    assert len(source.present("deals")) == 3


def test_an_interrupted_reading_of_another_label_is_forgotten(source, portal, running):
    running.faults.fail("crm.requisite.list", "ACCESS_DENIED", "Access denied")
    source.read(status=1)
    assert source.snapshots() == [(1, "", False)]
    source.read("--label", "baseline")
    assert [row[1:] for row in source.snapshots()] == [("baseline", True)]


def test_the_secret_of_the_webhook_is_not_in_the_warehouse(source, start_portal, call):
    start_portal()
    call("crm.deal.userfield.add", fields={"FIELD_NAME": "DOC", "USER_TYPE_ID": "file"})
    file = ["договор.pdf", "JVBERg=="]
    call("crm.item.add", entityTypeId=2, fields={"title": "Заказ", "ufCrmDoc": file})
    source.read()
    address = source.present("deals")["1"]["UF_CRM_DOC"]["urlMachine"]
    assert "/rest/1/" not in address and address.startswith("/rest/-/-/download/")
    landed = source.landed()
    call("server.time")  # addresses are signed anew
    source.read()
    assert source.landed() == landed


def test_both_portals_are_read_at_once_and_one_that_fails_does_not_keep_the_other(source, portal):
    with RunningSandbox(limits=Limits.none()) as box:
        box.portal.fill(deal=4, now=FIRST_DAY)
        source.ingest.set(box_webhook=box.webhook)
        ran = source.ingest.run("bitrix24")
        assert ran.returncode == 0, ran.stderr
        assert "cloud: snapshot 1" in ran.stdout and "box: snapshot 1" in ran.stdout
        portal.set_rights(is_admin=False)
        ran = source.ingest.run("bitrix24")
        assert ran.returncode == 2 and "box: snapshot 2" in ran.stdout and "no administrator" in ran.stderr
    assert source.query("select count(*) from raw.box__deals") == [(4,)]


@pytest.mark.parametrize(
    ("settings", "arguments", "said"),
    [
        ({"box_webhook": "same"}, [], "name one portal"),
        ({}, ["--portal", "box"], "SVOD_BOX_WEBHOOK is not set"),
        ({}, ["--portal", "clod"], "did you mean cloud?"),
        ({"cloud_webhook": "https://portal.test/"}, [], "SVOD_CLOUD_WEBHOOK is not usable"),
        ({"cloud_webhook": "http://portal.test/rest/1/abc/"}, [], "in clear text"),
        ({"cloud_webhook": ""}, [], "SVOD_CLOUD_WEBHOOK nor SVOD_BOX_WEBHOOK is set"),
    ],
)
def test_wrong_settings_are_told_before_anything_is_read(source, running, settings, arguments, said):
    for name, value in settings.items():
        source.ingest.set(**{name: running.webhook if value == "same" else value})
    ran = source.ingest.run("bitrix24", *arguments)
    assert ran.returncode == 2 and said in ran.stderr and running.webhook not in ran.stderr


def test_a_wrong_webhook_is_told_by_its_own_setting(source, running, portal):
    source.ingest.set(cloud_webhook=running.webhook.replace("sandbox", "other"))
    said = source.read(status=2)
    assert "check SVOD_CLOUD_WEBHOOK" in said and "/other" not in said


def test_the_client_of_a_source_takes_no_method_that_writes():
    webhook = SecretStr("http://127.0.0.1:9/rest/1/abc/")
    client = ReadingClient(webhook, Pace(0, 50, 0), variable="SVOD_CLOUD_WEBHOOK")
    for method in ("crm.item.add", "crm.item.list", "batch"):
        with pytest.raises(TypeError, match="no method that reads"):
            client.read([Read(method)]).send(None)  # before anything is sent
    public = {name for name in dir(client) if not name.startswith("_")}
    assert public == {"download", "host", "read", "requests", "without_secret"}
    assert {entity.method for entity in ENTITIES.values()} <= set(ReadMethod)


def test_no_method_that_is_read_writes_in_the_sandbox():
    from publish.sandbox.methods import METHODS

    assert {member.value for member in ReadMethod} <= {method.name for method in METHODS.values() if not method.writes}


def test_half_a_surrogate_pair_in_a_text_lands_as_a_question_mark_and_stops_nothing():
    record = record_of(ENTITIES["leads"], {"id": 1, "title": "a\ud83d"}, str)
    assert json.loads(record.payload or "") == {"id": 1, "title": "a?"}
    assert record.digest == record_of(ENTITIES["leads"], {"title": "a?", "id": 1}, str).digest
