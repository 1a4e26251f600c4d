"""All that a person may choose, in one list: the command's options, the address, the sidebar.

A field's annotation holds its limits and what it is; its default is what nobody chose.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

Currency = Literal["USD", "EUR", "GBP", "CAD", "AUD"]
JobType = Literal["scheduled", "ci", "merge", "other"]
ReuseMode = Literal["on", "shadow", "off", "unknown"]
Grouping = Literal["none", "package", "owner", "tag", "folder", "materialized"]
# Snowflake's, whose prices are known: https://docs.snowflake.com/en/user-guide/warehouses-overview
WarehouseSize = Literal[
    "X-Small", "Small", "Medium", "Large", "X-Large", "2X-Large", "3X-Large", "4X-Large"
]


class ChoiceError(ValueError):
    """The message says what was chosen, what is wrong and what would do, in one line."""


def _described(text: str, low: float | None = None, high: float | None = None) -> msgspec.Meta:
    return msgspec.Meta(description=text, ge=low, le=high)


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked at. Empty means all."""

    source: Annotated[str, _described("which ledger: `local`, or the name of another")] = "local"
    days: Annotated[
        int, _described("how many days back; 0 is all there is", low=0, high=10_000)
    ] = 30
    environment: Annotated[str, _described("only this environment")] = ""
    target: Annotated[str, _described("only this target of dbt")] = ""
    job: Annotated[tuple[str, ...], _described("only these jobs")] = ()
    job_type: Annotated[tuple[JobType, ...], _described("only jobs of these types")] = ()
    result: Annotated[tuple[str, ...], _described("only runs that ended so")] = ()
    planner: Annotated[
        tuple[ReuseMode, ...], _described("only runs that built with the reuse planner so")
    ] = ()

    package: Annotated[tuple[str, ...], _described("only nodes of these packages")] = ()
    owner: Annotated[tuple[str, ...], _described("only nodes of these owners")] = ()
    tag: Annotated[tuple[str, ...], _described("only nodes with one of these tags")] = ()
    node_class: Annotated[tuple[str, ...], _described("only nodes that ended so")] = ()
    search: Annotated[str, _described("only nodes whose name holds this")] = ""
    group_by: Annotated[Grouping, _described("group nodes by this")] = "none"
    model: Annotated[str, _described("look at this node: its name or unique id")] = ""
    manifest: Annotated[str, _described("look at this manifest: the begin of its hash")] = ""
    other_manifest: Annotated[str, _described("compare it with this one")] = ""

    run: Annotated[str, _described("look at this run: `last`, or digits of its id")] = "last"
    other_run: Annotated[str, _described("compare it with this one; else the one before")] = ""

    currency: Annotated[Currency, _described("what prices are in; none is converted")] = "USD"
    machine_hour: Annotated[float, _described("price of an hour of the machine", 0)] = 0.20
    credit: Annotated[float, _described("price of a credit of the warehouse", 0)] = 3.0
    warehouse_size: Annotated[
        WarehouseSize | Literal[""], _described("price dbt's time by a warehouse of this size")
    ] = ""
    request_price: Annotated[float, _described("price of 1,000 requests to Sentry", 0)] = 0.0


_FIELDS = {field.name: field for field in msgspec.structs.fields(Choice)}
WINDOW = ("source", "days", "environment", "target", "job", "job_type", "result", "planner")
# What the pages ask for beside these.
PAGE_FIELDS: dict[str, tuple[str, ...]] = {
    "configuration": (),
    "overview": (),
    "models": (
        "package",
        "owner",
        "tag",
        "node_class",
        "search",
        "group_by",
        "model",
        "manifest",
        "other_manifest",
    ),
    "trends": ("run", "other_run"),
    "cost": ("currency", "machine_hour", "credit", "warehouse_size", "request_price"),
    "overlap": ("currency", "machine_hour", "credit", "warehouse_size"),
    "extraction": (),
    "trace": ("run",),
}


def description(name: str) -> str:
    """What a field is, for help and labels."""
    meta = next(part for part in get_args(_FIELDS[name].type) if isinstance(part, msgspec.Meta))
    return meta.description or ""


def default(name: str) -> Any:
    """What holds where nobody chose."""
    return _FIELDS[name].default


def is_many(name: str) -> bool:
    """Whether a field takes several values; an unknown one does not."""
    return name in _FIELDS and get_origin(_plain(name)) is tuple


def values(name: str) -> tuple[str, ...]:
    """The values that a field may have, where there is a list of them."""
    kind = _plain(name)
    if get_origin(kind) is tuple:
        kind = get_args(kind)[0]
    parts = [kind, *get_args(kind)]
    return tuple(one for part in parts if get_origin(part) is Literal for one in get_args(part))


def choose(given: Mapping[str, Any]) -> Choice:
    """A choice from texts, as a command line or an address has them.

    Raises:
        ChoiceError: If a name is unknown or a value is not one that it may have.
    """
    unknown = sorted(set(given) - set(_FIELDS))
    if unknown:
        raise ChoiceError(f"{unknown[0]!r} can't be chosen. There are: {', '.join(_FIELDS)}.")
    try:
        return msgspec.convert(dict(given), Choice, strict=False)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$.")
        name = place.partition("`")[0].partition("[")[0] or next(iter(given), "")
        allowed = values(name) if name in _FIELDS else ()
        hint = f"It may be {', '.join(one or 'nothing' for one in allowed)}." if allowed else ""
        raise ChoiceError(
            f"{name} is {given.get(name)!r}: {message[0].lower()}{message[1:]}. {hint}".strip()
        ) from None


def chosen(choice: Choice) -> dict[str, Any]:
    """What is other than the default: that much stands in an address."""
    return {
        name: value
        for name, value in msgspec.structs.asdict(choice).items()
        if value != _FIELDS[name].default
    }


def _plain(name: str) -> Any:
    return get_args(_FIELDS[name].type)[0]
