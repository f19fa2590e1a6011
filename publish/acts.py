"""ops.acts_of_forgetting: what each request to be forgotten came to, and the paper that is filed. No personal data.

Articles 14, 20 and 21 of Federal Law 152-FZ give the right, the terms and the duty; the order of Roskomnadzor № 179 of
28 October 2022 says what an act and the extract of a log beside it have to tell. What a machine cannot know (the
operator, the people who sign) is left open to fill in.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

from ingest.warehouse.journal import current_run_id, utc_now
from ingest.warehouse.period import in_moscow

TO_DO = ("to delete", "to empty")


@dataclass(frozen=True, slots=True)
class Act:
    """One request. `erased` is table -> rows; a card has portal, origin_id, bitrix_id and its state."""

    number: str
    asked: str
    asked_at: datetime
    run_id: str
    people: int
    erased: dict[str, int]
    cards: list[dict[str, Any]]
    space_given_back_at: datetime | None

    @property
    def waiting_cards(self) -> int:
        return sum(card["state"] in TO_DO for card in self.cards)


def next_number(connection: duckdb.DuckDBPyConnection) -> str:
    """The year, and which act of all it is."""
    ((count,),) = connection.execute("select count(*) from ops.acts_of_forgetting").fetchall()
    return f"{utc_now():%Y}-{count + 1:04}"


def write(
    connection: duckdb.DuckDBPyConnection,
    number: str,
    asked: str,
    people: int,
    erased: dict[str, int],
    cards: list[dict[str, Any]],
) -> None:
    """Keep an act; in the transaction that erases."""
    connection.execute(
        "insert into ops.acts_of_forgetting values (?, ?, ?, ?, ?, ?, ?, null, null)",
        [number, asked, utc_now(), current_run_id(), people, json.dumps(erased), json.dumps(cards)],
    )


def unfinished(connection: duckdb.DuckDBPyConnection) -> list[Act]:
    """Acts with something left to do, the oldest first."""
    return _read(connection, "finished_at is null")


def one(connection: duckdb.DuckDBPyConnection, number: str) -> Act:
    """An act by its number."""
    (act,) = _read(connection, f"act = '{number}'")
    return act


def _read(connection: duckdb.DuckDBPyConnection, where: str) -> list[Act]:
    rows = connection.execute(
        f"""select act, asked, asked_at, run_id, people, erased::varchar, cards::varchar,
                space_given_back_at
            from ops.acts_of_forgetting where {where} order by asked_at"""
    ).fetchall()
    return [
        Act(number, asked, asked_at, run_id, people, json.loads(erased), json.loads(cards), given_back_at)
        for number, asked, asked_at, run_id, people, erased, cards, given_back_at in rows
    ]


def set_space_given_back(connection: duckdb.DuckDBPyConnection) -> None:
    """The file was written anew, and so were its copies: of all acts until now."""
    connection.execute(
        "update ops.acts_of_forgetting set space_given_back_at = ? where space_given_back_at is null", [utc_now()]
    )


def set_cards(connection: duckdb.DuckDBPyConnection, number: str, cards: list[dict[str, Any]]) -> None:
    """What became of an act's cards."""
    connection.execute("update ops.acts_of_forgetting set cards = ? where act = ?", [json.dumps(cards), number])


def finish(connection: duckdb.DuckDBPyConnection, number: str) -> None:
    """Nothing is left to do."""
    connection.execute("update ops.acts_of_forgetting set finished_at = ? where act = ?", [utc_now(), number])


_STATES = {
    "listed": "не изменена, перечислена для оператора CRM",
    "to delete": "подлежит удалению",
    "to empty": "подлежит очистке",
    "deleted": "удалена",
    "emptied": "очищена",
    "gone": "отсутствует на портале",
    "not ours": "принадлежит не нам: проверить вручную",
    "refused": "портал отказал: обработать вручную",
}


def lines(act: Act, machine: str) -> list[str]:
    """The act in Russian, for the file."""
    rows = [f"  {table}: {count}" for table, count in act.erased.items()] or ["  записей не найдено"]
    cards = [
        f"  {card['portal']}, контакт {card['bitrix_id']} ({card['origin_id']}): {_STATES[card['state']]}"
        for card in act.cards
    ] or ["  карточек нет"]
    given_back = _told(act.space_given_back_at) if act.space_given_back_at else "ещё нет"
    return [
        f"АКТ № {act.number} об уничтожении персональных данных",
        "Основание: Федеральный закон № 152-ФЗ, статьи 14, 20, 21",
        f"Дата: {_told(act.asked_at)}",
        f"Запрос (сокращённо): {act.asked}",
        f"Субъектов персональных данных: {act.people}",
        "Категории: фамилия, имя, отчество, должность, телефоны, адреса электронной почты",
        "Способ: удаление записей, перезапись файла хранилища и его копий",
        f"Выполнено: программа Svod на {machine}, запуск {act.run_id}",
        "Уничтожено (таблица: строк):",
        *rows,
        f"Файл хранилища и копия для чтения записаны заново: {given_back}",
        "Карточки в Битрикс24:",
        *cards,
        "Оператор: ____________________   Ответственный: ____________________   Подпись: ____________",
    ]


def _told(moment: datetime) -> str:
    return f"{in_moscow(moment):%d.%m.%Y %H:%M} МСК"
