"""Forgets a person: erases them everywhere, gives the file's space back, deals with their cards, and writes an act.

Each step may be killed: the erasure is one transaction, with the act in it; what comes after is done by the next
`publish forget`, whatever that is asked.
"""

import asyncio
import platform
import shutil
from collections.abc import Sequence
from typing import Literal

import duckdb

from ingest.bitrix24.client import Client
from ingest.bitrix24.pacing import Pace
from ingest.warehouse import compaction, journal, parts_of_people
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.forgotten import Memory
from ingest.warehouse.lock import only_run
from ingest.warehouse.snapshot import make_snapshot, snapshot_path
from ingest.warehouse.terminal import say, say_aside
from publish import acts, erasure, portal_people, stamps
from publish.bitrix24.forgotten_cards import Treatment, treat, wanted_states
from publish.bitrix24.parts import CONTACT, PARTS
from publish.ledger import Ledger
from publish.people import Asked, Person, find
from publish.portals import is_put_aside
from publish.screen import warehouse
from publish.settings import Settings

STEP = "publish forget"
Cards = Literal["list", "delete", "empty"]
_TREATMENTS: tuple[Treatment, ...] = ("delete", "empty")


def run(settings: Settings, asked: Asked, *, is_sure: bool, everyone: bool, cards: Cards) -> None:
    """One request; without one, what is left of those before.

    Raises SettingsError when more people are meant than were agreed to, OperatorError when something could not be done
    or is still found.
    """
    with only_run(settings.warehouse):
        left: dict[str, int] | None = {}
        if not asked.is_empty:
            left = _erase(settings, asked, is_sure=is_sure, everyone=everyone, cards=cards)
        if left is None:
            return
        _finish(settings)
    if left:
        raise OperatorError(
            f"a phone or an e-mail is still in {', '.join(left)}",
            hint="where a source keeps people is said in dbt_project/seeds/people_in_sources.csv",
        )


def _erase(settings: Settings, asked: Asked, *, is_sure: bool, everyone: bool, cards: Cards) -> dict[str, int] | None:
    """Where something of them is still found, table -> rows; None when nothing was to be done yet."""
    with warehouse(settings) as connection:
        if not parts_of_people.are_known(connection):
            raise OperatorError(
                "the models of the move say where portals have people, and they have not been built",
                hint="dbt build --selector transfer, then the same again",
            )
        people = find(connection, asked)
        _say_who(people, asked)
        if len(people) > 1 and not everyone and not asked.ids:
            raise OperatorError(
                f"{len(people)} people are meant by {asked.masked}",
                hint="add --id with each one who asked to be forgotten, or --everyone for all of them",
                exit_status=2,
            )
        is_known = bool(people) or not (asked.inn or asked.ids)
        if not is_known and acts.unfinished(connection) and is_sure:
            return {}  # it was broken off after they were gone
        if not is_known:
            raise OperatorError(f"nobody is known by {asked.masked}", hint="a phone or an e-mail may be", exit_status=2)
        if not is_sure:
            say("publish forget: nothing was erased; add --yes to do it, for it cannot be undone")
            return None
        cards_of_people = _cards(connection, settings, people)
        with journal.step(connection, STEP) as step:
            step.detail["act"], left = _erase_in_one(connection, asked, people, cards_of_people, cards)
        return left


def _cards(
    connection: duckdb.DuckDBPyConnection, settings: Settings, people: Sequence[Person]
) -> list[dict[str, object]]:
    """Cards of these people: those that the ledger knows, and those with our key that the portal has besides, of a push
    that was killed or with a warehouse that was put back. Once they are erased nobody can tell whose those are.

    Raises OperatorError when such a push may have made one and the portal does not answer.
    """
    known = erasure.cards_of(connection, people)
    held = {card["origin_id"] for card in known if card["portal"] == settings.portal}
    unheld = [one for person in people for one in person.ids if one not in held]
    if not settings.portal or not unheld:
        return known
    try:
        there = asyncio.run(_with_our_key(settings, unheld))
    except OperatorError as error:
        under_way = {intent.origin_id for intent in Ledger(connection, settings.portal).open_intents()}
        if under_way.intersection(unheld):
            hint = f"nothing was erased; try again when {settings.portal} answers, or unset SVOD_BITRIX24_WEBHOOK"
            raise OperatorError(f"whether they have a card is not known: {error.problem}", hint=hint) from error
        say_aside(f"warning: {settings.portal} was not asked for cards that are not known here: {error.problem}")
        return known
    return known + [
        {"portal": settings.portal, "origin_id": origin_id, "bitrix_id": number} for origin_id, number in there.items()
    ]


def _erase_in_one(
    connection: duckdb.DuckDBPyConnection,
    asked: Asked,
    people: Sequence[Person],
    cards_of_people: Sequence[dict[str, object]],
    cards: Cards,
) -> tuple[str, dict[str, int]]:
    right = stamps.still_right(connection)
    connection.begin()
    try:
        number = acts.next_number(connection)
        memory = Memory.made(connection)
        names = erasure.full_names(connection, people)
        state = "listed" if cards == "list" else f"to {cards}"
        listed = [
            {**card, "state": "listed" if is_put_aside(str(card["portal"])) else state} for card in cards_of_people
        ]
        erasure.remember(connection, memory, asked, people, number)
        names += portal_people.remember(connection, memory, number)
        erased = erasure.erase(connection, memory, people, PARTS)
        of_values, of_names = erasure.leftovers(connection, names)
        stamps.stamp_again(connection, right)
        acts.write(connection, number, asked.masked, len(people), erased, listed)
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
    if of_names:
        say_aside(
            f"warning: that name is still in {', '.join(of_names)}: somebody else's, or what the register publishes"
        )
    return number, of_values


def _finish(settings: Settings) -> None:
    """Give the space back, renew the copies, treat the cards: of this act, and of those that were broken off."""
    with warehouse(settings) as connection:
        unfinished = acts.unfinished(connection)
    if any(act.space_given_back_at is None for act in unfinished):
        snapshot_path(settings.warehouse).unlink(missing_ok=True)
        snapshot_path(settings.warehouse).with_name(f"{snapshot_path(settings.warehouse).name}.new").unlink(
            missing_ok=True
        )
        beside = settings.warehouse.parent / "transfer"  # what is made there of a move is made again without them
        for folder in (settings.warehouse.parent, beside):
            (folder / "report.html").unlink(missing_ok=True)
        shutil.rmtree(beside / "files", ignore_errors=True)
        compaction.rewrite(settings.warehouse)
    with warehouse(settings) as connection:
        acts.set_space_given_back(connection)
        for act in unfinished:
            for treatment in _TREATMENTS:
                _treat_cards(connection, settings, act, treatment)
            if not acts.one(connection, act.number).waiting_cards:
                acts.finish(connection, act.number)
        told = [acts.one(connection, act.number) for act in unfinished]
    make_snapshot(settings.warehouse, settings.readers_group, mask=settings.inspect_mask)
    for act in told:
        for line in acts.lines(act, settings.machine or platform.node()):
            say(line)
    if not told:
        say("publish forget: nothing is left to do")
    if waiting := [act for act in told if act.waiting_cards]:
        raise OperatorError(
            f"{sum(act.waiting_cards for act in waiting)} cards of act {', '.join(act.number for act in waiting)} wait",
            hint="SVOD_BITRIX24_WEBHOOK names another portal, or it did not answer: `publish forget` goes on with them",
        )


def _treat_cards(
    connection: duckdb.DuckDBPyConnection, settings: Settings, act: acts.Act, treatment: Treatment
) -> None:
    """Delete or empty an act's cards in the portal of the settings; what became of them is in the act."""
    ours = wanted_states(act.cards, settings.portal, treatment) if settings.portal else {}
    if not ours:
        return
    states = asyncio.run(_treat(settings, treatment, ours))
    current = acts.one(connection, act.number).cards
    cards = [
        {**card, "state": states.get(card["bitrix_id"], card["state"])} if card["portal"] == settings.portal else card
        for card in current
    ]
    acts.set_cards(connection, act.number, cards)


async def _with_our_key(settings: Settings, origin_ids: Sequence[str]) -> dict[str, int]:
    async with _client(settings) as client:
        return await CONTACT.find(client, origin_ids)


async def _treat(settings: Settings, treatment: Treatment, ours: dict[int, str]) -> dict[int, str]:
    async with _client(settings) as client:
        return dict(await treat(client, CONTACT, treatment, ours))


def _client(settings: Settings) -> Client:
    pace = Pace(settings.bitrix24_rate, settings.bitrix24_burst, settings.operating_limit)
    pace.on_wait = lambda what, until: say(f"publish forget: waiting for {what}")
    pace.on_pause = lambda text: say(f"publish forget: {text}")
    return Client(settings.webhook(), pace)


def _say_who(people: Sequence[Person], asked: Asked) -> None:
    """Who is meant, by ids and initials: a log is no place for names."""
    if not people:
        say(f"publish forget: nobody is known by {asked.masked}; wherever it is written, it goes")
    for person in people:
        say(f"publish forget: {person.told}")
