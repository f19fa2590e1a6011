"""Whose value stands: ours when nobody touched the field since we sent it, the manager's when somebody did.

`sent` is what we last sent, `current` what the portal holds, `wanted` what the mart says now. A card that we adopted
was never sent anything, so only its empty fields are ours.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from publish.parts import Field, Owner, Part, ValueChange, canonical, same_value, shown

CalledBefore = Mapping[str, Mapping[str, Collection[Any]]]  # field -> our value -> what the portal has called it
_NEVER: CalledBefore = {}


@dataclass(frozen=True, slots=True)
class Ownership:
    """Who has the last word on a field: `source`, `manager`, or by default whoever touched it last."""

    chosen: Mapping[str, Owner]

    def of(self, entity: str, field: Field) -> Owner:
        return self.chosen.get(f"{entity}.{field.name}", "source" if field.custom_type else "last_sent")


class FieldConflict(NamedTuple):
    """A field that was left to the manager: what we sent last, what the portal holds, what we would have sent."""

    field: str
    last_sent: str | None
    in_portal: str | None
    wanted: str | None


@dataclass(slots=True)
class Decision:
    """What to send (values as the portal takes them), what to remember as sent, and what was left to the manager."""

    fields: dict[str, Any] = dataclasses.field(default_factory=dict)
    values: list[ValueChange] = dataclasses.field(default_factory=list)
    sent: dict[str, Any] = dataclasses.field(default_factory=dict)
    conflicts: list[FieldConflict] = dataclasses.field(default_factory=list)


def decide(
    part: Part,
    owners: Ownership,
    *,
    sent: Mapping[str, Any],
    wanted: Mapping[str, Any],
    current: Mapping[str, Any],
    translations: Mapping[str, Mapping[str, Any]],
    before: CalledBefore = _NEVER,
    held: Collection[str] = (),
) -> Decision:
    """Compare a part field by field; those that are `held` stay as they are, whoever owns them.

    `current` holds the portal's values by field, of phones and e-mails {value's id: value}. `translations` gives, by
    field, the portal's value for each of ours: of choices and references. What has none yet is left for the next run.
    `before` gives those that choices had in this portal at any time: what we sent last may be one of them.
    """
    decision = Decision(sent=dict(sent))
    for field in part.fields:
        owner = owners.of(part.entity, field)
        last, ours, theirs = (values.get(field.name) for values in (sent, wanted, current))
        if field.once or field.name in held or (field.is_kept and ours is None):  # it went with the create, or it stays
            continue
        if field.is_multiple:
            _decide_values(decision, field, owner, last or [], ours or [], theirs or {})
        else:
            translation = translations.get(field.name)
            if translation is None or ours is None or ours in translation:
                called_before = before.get(field.name, {}).get(last or "", ())
                _decide_value(decision, field, owner, last, ours, current, translation, called_before)
    return decision


def recalled(
    part: Part,
    versions: Sequence[Mapping[str, Any]],
    current: Mapping[str, Any],
    translations: Mapping[str, Mapping[str, Any]],
    before: CalledBefore = _NEVER,
) -> dict[str, Any]:
    """What was sent last as far as the portal still has it: field by field the newest of the versions sent that it
    shows, so that ours of before is not taken for a manager's; the last one where it shows none of them."""
    sent = dict(versions[0])
    for field in part.fields:
        for version in versions:
            value = version.get(field.name)
            if field.is_multiple:
                there = {same_value(field.kind, text) for text in (current.get(field.name) or {}).values()}
                ours = {same_value(field.kind, text) for text in value or []}
                is_shown = ours <= there if ours else not there  # none of ours is among others in every version
            else:
                translation = translations.get(field.name)
                translated = value if translation is None or value is None else translation.get(value)
                called = [translated, *before.get(field.name, {}).get(value or "", ())]
                is_shown = canonical(field.kind, current.get(field.name)) in [canonical(field.kind, v) for v in called]
            if is_shown:
                sent[field.name] = value
                break
    return sent


def _decide_value(
    decision: Decision,
    field: Field,
    owner: Owner,
    last: Any,
    ours: Any,
    current: Mapping[str, Any],
    translation: Mapping[str, Any] | None,
    called_before: Collection[Any],
) -> None:
    def translated(value: Any) -> Any:
        return value if translation is None or value is None else translation.get(value)

    kind, name = field.kind, field.name
    if canonical(kind, ours) == canonical(kind, last) and owner != "source":
        return
    theirs = canonical(kind, current.get(name))
    new, old = canonical(kind, translated(ours)), canonical(kind, translated(last))
    in_portal = None if theirs is None else str(theirs)
    is_untouched = theirs == old or (field.has_default and old is None)
    is_untouched |= theirs in [canonical(kind, value) for value in called_before]
    if theirs == new:
        decision.sent[name] = ours
    elif owner == "source" or (theirs is None if owner == "manager" else is_untouched):
        if field.first_of and len(current.get(field.first_of) or ()) > 1:
            # Sending the first one alone would take the others away that a manager has added.
            decision.sent.pop(name, None)
            decision.conflicts.append(FieldConflict(name, None, str(current.get(name)), str(translated(ours))))
        else:
            decision.sent[name] = ours
            decision.fields[name] = None if new is None else translated(ours)
    elif new is not None or old is not None:
        decision.conflicts.append(FieldConflict(name, shown(last) or None, in_portal, shown(ours)))


def _decide_values(
    decision: Decision, field: Field, owner: Owner, last: list[str], ours: list[str], theirs: Mapping[str, str]
) -> None:
    """Phones and e-mails, value by value: ours change, theirs stay, and what they took away stays away."""
    there = {same_value(field.kind, value): value_id for value_id, value in theirs.items()}
    wanted = {same_value(field.kind, value): value for value in ours}
    sent = dict.fromkeys(same_value(field.kind, value) for value in last)
    if owner == "manager" and theirs:
        decision.sent[field.name] = last + [wanted[form] for form in wanted if form in there and form not in sent]
        if left := [wanted[form] for form in wanted if form not in there]:
            told = [", ".join(values) or None for values in (last, theirs.values(), left)]
            decision.conflicts.append(FieldConflict(field.name, *told))
        return
    decision.sent[field.name] = ours
    taken_away = [] if owner == "source" else [form for form in wanted if form in sent and form not in there]
    missing = [value for form, value in wanted.items() if form not in there and form not in taken_away]
    outdated = [there[form] for form in sent if form in there and form not in wanted]
    for value in missing:
        # A value that takes the place of another keeps its id, and with it what the portal hangs on it.
        decision.values.append(ValueChange(field.name, outdated.pop(0) if outdated else None, value))
    decision.values += [ValueChange(field.name, value_id, None) for value_id in outdated]
    if taken_away:
        told_away = ", ".join(wanted[form] for form in taken_away)
        decision.conflicts.append(FieldConflict(field.name, told_away, None, told_away))
