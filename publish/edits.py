"""Whose value stands: ours when nobody touched the field since we sent it, the manager's when somebody did.

`sent` is what we last sent, `current` what the portal holds, `wanted` what the mart says now. A card that we adopted
was never sent anything, so only its empty fields are ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from publish.mapping import Field, Part, canonical, same_value
from publish.portal import shown
from publish.settings import Ownership


@dataclass
class Decision:
    """What to send, what to remember as sent, and what was left to the manager: (field, sent, in portal, wanted)."""

    fields: dict[str, Any] = field(default_factory=dict)
    multifields: dict[str, dict[str, str]] = field(default_factory=dict)
    sent: dict[str, Any] = field(default_factory=dict)
    conflicts: list[tuple[str, str | None, str | None, str | None]] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not self.fields and not self.multifields


def decide(
    part: Part,
    owners: Ownership,
    *,
    sent: Mapping[str, Any],
    wanted: Mapping[str, Any],
    current: Mapping[str, Any],
    portal_values: Mapping[str, Mapping[str, Any]],
) -> Decision:
    """Compare a part field by field.

    `portal_values` translates our values into the portal's, by kind of field: stages, ids of companies and contacts. A
    reference to a card that is not there yet is left for the next run.
    """
    found = Decision(sent=dict(sent))
    for item in part.fields:
        if item.once:
            found.sent[item.name] = wanted.get(item.name)
            continue
        owner = owners.of(part.entity, item.name)
        if item.kind == "multifield":
            _merge_values(found, item.name, owner, sent, wanted, current.get("fm") or ())
            continue
        ours, last = wanted.get(item.name), sent.get(item.name)
        if item.kind in portal_values:
            known = portal_values[item.kind]
            if ours is not None and ours not in known:
                continue
            new, old = known.get(ours) if ours is not None else None, known.get(last) if last is not None else None
        else:
            new, old = ours, last
        new, old, held = (canonical(item.kind, value) for value in (new, old, current.get(item.name)))
        if canonical(item.kind, ours) == canonical(item.kind, last) and owner != "source":
            continue
        if held == new:
            found.sent[item.name] = ours
        elif owner == "source" or (held is None if owner == "manager" else held == old or _is_default(item, old)):
            found.fields[item.name] = None if new is None else portal_values.get(item.kind, {}).get(ours, ours)
            found.sent[item.name] = ours
        elif new is not None or old is not None:
            found.conflicts.append(
                (item.name, shown(last) or None, str(held) if held is not None else None, shown(ours))
            )
    return found


def _is_default(item: Field, last_sent: Any) -> bool:
    return item.has_default and last_sent is None


def _merge_values(
    found: Decision, type_id: str, owner: str, sent: Mapping[str, Any], wanted: Mapping[str, Any], fm: Sequence[Mapping]
) -> None:
    """Phones and e-mails, value by value: ours change, theirs stay, and what they took away stays away."""
    held = {same_value(type_id, str(one["value"])): str(one["id"]) for one in fm if one.get("typeId") == type_id}
    ours = {same_value(type_id, value): value for value in wanted.get(type_id) or []}
    last = {same_value(type_id, value): value for value in sent.get(type_id) or []}
    found.sent[type_id] = wanted.get(type_id) or []
    if owner == "manager" and held:
        return
    taken_away = [key for key in ours if key in last and key not in held]
    if owner == "source":
        taken_away = []
    new = [ours[key] for key in ours if key not in held and key not in taken_away]
    old = [held[key] for key in last if key not in ours and key in held]
    for number, value in enumerate(new):
        # A value that takes the place of another keeps its id, and with it what the portal hangs on it.
        key = old.pop(0) if old else f"n{number}"
        found.multifields[key] = {"typeId": type_id, "valueType": "WORK", "value": value}
    for key in old:
        found.multifields[key] = {"typeId": type_id, "value": ""}
    for key in taken_away:
        found.conflicts.append((type_id, ours[key], None, ours[key]))
