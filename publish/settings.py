"""Where the portal is, how fast it may be used, and what belongs to whom, from the environment or `.env`."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from ingest.bitrix24.webhook import FORM, has_its_form, portal_of, user_of
from ingest.warehouse import variables
from ingest.warehouse.checklist import Language
from ingest.warehouse.environment import PREFIX, EnvironmentSettings, read_all, read_environment, refuse_plain_http
from ingest.warehouse.errors import SettingsError
from ingest.warehouse.place import WarehousePath
from ingest.warehouse.variables import known_names_hint
from publish.parts import Owner

MOVED = (
    "company", "contact", "lead", "deal", "requisite", "bank_detail", "address", "product_rows", "requisite_link",
    "activity", "comments", "names", "activity_file",
)  # fmt: skip
TODOS = ("conflicts", "duplicates")
_OF_THE_VENDOR = re.compile(r"(^|\.)bitrix24\.[a-z]{2,5}(\.[a-z]{2})?$")


def _kinds(value: Any, known: Sequence[str], what: str) -> Any:
    """Kinds with commas between them. Raises ValueError for one that there is not."""
    if not isinstance(value, str):
        return value
    kinds = [kind.strip() for kind in value.split(",") if kind.strip()]
    for kind in kinds:
        if kind not in known:
            raise ValueError(f"names no kind of {what}: {known_names_hint(kind, known)}")
    return kinds


class Settings(EnvironmentSettings):
    """Settings of `publish`. Frozen; the webhook is a secret and shows as stars."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    warehouse: WarehousePath = Path("warehouse/svod.duckdb")
    readers_group: str = ""  # who may read the copy that readers use; '': whoever may read the warehouse
    inspect_mask: bool = False  # nobody's names, phones and e-mails in the copy that people look into
    retention_days: int = Field(0, ge=0)  # how long old versions of records are kept; 0: for ever
    forget_key: SecretStr | None = Field(None, min_length=32)  # whoever lands reads it: ingest.warehouse.forgotten
    allow_http: bool = False  # a webhook of a portal on another machine in clear text
    lang: Language = "ru"  # of pages, and of what people are told to do
    machine: str = ""  # this machine's name in a portal's mark; the host's own unless set
    bitrix24_webhook: SecretStr | None = None
    bitrix24_rate: float = Field(2, ge=0)  # requests a second; 0: a self-hosted portal without limits
    bitrix24_burst: int = Field(50, ge=1)
    bitrix24_operating: float = Field(480, ge=0)  # seconds of work a method may take in ten minutes; 0: no limit
    bitrix24_request_limit: float = Field(60, ge=0)  # seconds after which the portal has given up a request for sure
    bitrix24_merge_cards: bool = False
    field_owners: Annotated[Mapping[str, Owner], NoDecode] = Field(default_factory=dict)
    deal_stages: Annotated[Mapping[str, str], NoDecode] = Field(default_factory=dict)
    deal_pipeline: int = Field(0, ge=0)  # the one that new deals begin in; 0: the portal's main one
    deal_departed_stage: str = ""  # where a deal goes whose order left the sources; '': it stays in its stage
    crm_lang: Literal["codes", "ru", "en"] = "codes"  # of the states that cards tell
    source_names: Annotated[Mapping[str, str], NoDecode] = Field(default_factory=dict)  # what people call the sources
    inn_field: str = Field("", pattern=r"^(UF_CRM_[A-Z0-9_]+)?$")  # custom field of companies that may hold an INN too
    # Users who answer for new cards, by the region of an INN, '' for all others; {}: the webhook's user.
    responsible: Annotated[Mapping[str, Sequence[int]], NoDecode] = Field(default_factory=dict)
    todos: Annotated[Sequence[str], NoDecode] = ()  # what people get a to-do for on its card; (): nothing
    todos_a_day: int = Field(100, ge=1)  # no more than that in 24 hours
    fuse_share: float = Field(0.2, ge=0, le=1)
    # A source may fail so long before nothing is published; 0: for ever.
    source_max_age_hours: float = Field(72, ge=0, le=87_600)
    # `publish follow`: minutes between increments of tables and looks for new files; hours between comparisons of
    # tables with their servers, None: as each source says.
    follow_shop_a_minutes: float = Field(5, gt=0, le=1440)
    follow_reconcile_hours: int | None = Field(None, ge=0)
    cloud_webhook: SecretStr | None = None  # the portal that a company leaves
    cloud_rate: float = Field(2, ge=0)
    box_webhook: SecretStr | None = None  # the one on its own server
    box_rate: float = Field(0, ge=0)
    transfer_entities: Annotated[Sequence[str], NoDecode] = ()  # kinds to move; (): all
    transfer_deletions: Literal["report", "delete"] = "report"  # what was deleted in the cloud since
    # The models read these three themselves; here it is told what is wrong with them before anything is read.
    transfer_winner: Literal["cloud", "box", "list"] = "list"
    transfer_users: Path | None = None
    transfer_fallback_user: int | None = Field(None, ge=1)
    mart_change_limit: float = Field(0.2, ge=0)  # the models read it
    lag_limit_seconds: float = Field(300, ge=0)  # `publish follow`: events may wait so long; 0: for ever
    publish_max_age_hours: float = Field(26, ge=0, le=87_600)  # without a push for longer, all is not well; 0: never
    metrics_file: Path | None = None  # figures for Prometheus' node exporter
    notify_url: SecretStr | None = None  # who is told when something is wrong, and when it is well again
    fuse_floor: int = Field(100, ge=0)  # so many changed parts, of a kind and in all, are always let through

    @field_validator("bitrix24_webhook", "cloud_webhook", "box_webhook", mode="before")
    @classmethod
    def _webhook_has_its_form(cls, value: Any) -> Any:
        if value in (None, ""):
            return None
        if not has_its_form(str(value)):
            raise ValueError(f"is not of the form {FORM}")
        return value

    @field_validator("notify_url")
    @classmethod
    def _is_an_address(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"https?://[^\s/]+(/\S*)?", value.get_secret_value()):
            raise ValueError("is not of the form https://host/…")
        return value

    @field_validator("transfer_entities", mode="before")
    @classmethod
    def _kinds_of_records(cls, value: Any) -> Any:
        return _kinds(value, MOVED, "record")

    @field_validator("todos", mode="before")
    @classmethod
    def _kinds_of_todos(cls, value: Any) -> Any:
        return _kinds(value, TODOS, "to-do")

    @field_validator("field_owners", "deal_stages", "source_names", mode="before")
    @classmethod
    def _pairs(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
        if any(not sign for _, sign, _ in pairs):
            raise ValueError("is not a list of name=value pairs with commas between them")
        return {name.strip(): wanted.strip() for name, _, wanted in pairs}

    @field_validator("source_names")
    @classmethod
    def _names_tell_sources_apart(cls, names: Mapping[str, str]) -> Mapping[str, str]:
        if "" in names.values() or len({*names.values()}) < len(names):
            raise ValueError("gives two sources one name, or a source none")
        return names

    @field_validator("responsible", mode="before")
    @classmethod
    def _users(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        users: dict[str, list[int]] = {}
        for entry in filter(None, map(str.strip, value.split(","))):
            told = re.fullmatch(r"(?:(\d\d)\s*=\s*)?([1-9]\d{0,9})", entry)
            if told is None:
                raise ValueError(
                    "is not a list like 7,12 or 77=7,78=12,3: users, with the region of an INN before them"
                )
            users.setdefault(told[1] or "", []).append(int(told[2]))
        return users

    @property
    def operating_limit(self) -> float:
        """Seconds of work a method may take in ten minutes; without a request limit there is none of this either."""
        return self.bitrix24_operating if self.bitrix24_rate else 0.0

    @property
    def portal(self) -> str:
        """The portal's name in the ledger: `host`, or `host:port` where that is not the scheme's; '' when not set."""
        if self.bitrix24_webhook is None:
            return ""
        return portal_of(self.bitrix24_webhook.get_secret_value())

    @property
    def moved_entities(self) -> Sequence[str]:
        """Kinds of records that a move takes along; an activity its files, those too that came after it."""
        chosen = self.transfer_entities or MOVED
        return [*chosen, *(["activity_file"] if "activity" in chosen and "activity_file" not in chosen else [])]

    def box(self) -> tuple[SecretStr, str]:
        """The webhook and the name of the portal to move to.

        Raises SettingsError when it is not set, or is the one that is moved from.
        """
        if self.box_webhook is None:
            raise SettingsError(
                "SVOD_BOX_WEBHOOK is not set",
                hint="create an inbound webhook of an administrator with the rights crm, user and bizproc in the box",
            )
        name = portal_of(self.box_webhook.get_secret_value())
        if _OF_THE_VENDOR.search(name.partition(":")[0].rstrip(".")):
            raise SettingsError(
                f"SVOD_BOX_WEBHOOK names {name}, a portal in the vendor's cloud, which nobody moves to",
                hint="are SVOD_CLOUD_WEBHOOK and SVOD_BOX_WEBHOOK swapped?",
            )
        if self.cloud == name:
            raise SettingsError("SVOD_CLOUD_WEBHOOK and SVOD_BOX_WEBHOOK name one portal", hint="see .env.example")
        return self.box_webhook, name

    @property
    def box_user(self) -> int:
        """The user of the box that its webhook acts as; 0 where it is not set."""
        return user_of(self.box_webhook.get_secret_value()) if self.box_webhook else 0

    @property
    def cloud(self) -> str:
        """The name of the portal to leave; '' when it is not set."""
        return portal_of(self.cloud_webhook.get_secret_value()) if self.cloud_webhook else ""

    def stages_of(self, entity: str) -> Mapping[str, str]:
        """Stages of the portal that are chosen by hand for a kind of card: status -> stage."""
        return {"deal": self.deal_stages}.get(entity, {})

    def pipeline_of(self, entity: str) -> int:
        """The pipeline of the portal that new cards of a kind begin in; 0 for the main one, and of kinds without."""
        return self.deal_pipeline if entity == "deal" else 0

    def departed_stages_of(self, entity: str) -> Mapping[str, str]:
        """Stages for a kind of card whose record left: state -> stage; none where it stays in its stage."""
        return {"source_removed": self.deal_departed_stage} if entity == "deal" and self.deal_departed_stage else {}

    def webhook(self) -> SecretStr:
        """The webhook address. Raises SettingsError when it is not set."""
        if self.bitrix24_webhook is None:
            raise SettingsError(
                "SVOD_BITRIX24_WEBHOOK is not set",
                hint="create an inbound webhook with the right `crm` in the portal; `publish plan` works without one",
            )
        return self.bitrix24_webhook


# What a plan is made without: nothing is sent, and nobody moves.
_OF_SENDING = {
    "readers_group", "retention_days", "forget_key", "allow_http", "lang", "machine", "bitrix24_request_limit",
    "follow_shop_a_minutes", "follow_reconcile_hours",
    "inn_field", "responsible", "notify_url", "cloud_webhook", "box_webhook", "box_rate", "transfer_entities",
    "transfer_deletions",
}  # fmt: skip


def read_settings(*, to_send: bool = True) -> Settings:
    """Settings from the environment; wrong ones that a plan needs none of are passed over unless it is `to_send`.

    Raises SettingsError naming all wrong and unknown variables, never a value.
    """
    but = () if to_send else _OF_SENDING
    settings: Settings
    _, settings = read_all(variables.refuse_unknown, partial(read_environment, Settings, but=but))
    addresses = {
        "BITRIX24_WEBHOOK": settings.bitrix24_webhook,
        "BOX_WEBHOOK": settings.box_webhook,
        "NOTIFY_URL": settings.notify_url,
    }
    for name, address in addresses.items() if to_send else ():
        if address and not settings.allow_http:
            refuse_plain_http(f"{PREFIX}{name}", address.get_secret_value())
    return settings
