"""What the tap can do, as tables: `tap-sentry --about --format=markdown` and the README."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tap_sentry.personal_fields import MASKED
from tap_sentry.settings import ENVIRONMENT_PREFIX, SETTINGS
from tap_sentry.streams import STREAMS, SentryStream


def settings_table() -> str:
    """One line per setting of the tap."""
    rows = [
        (
            f"`{setting.name}`",
            "" if setting.default is None else f"`{setting.default}`".replace("F", "f"),
            setting.description,
        )
        for setting in SETTINGS
    ]
    return (
        f"{_table(('setting', 'default', 'what it does'), rows)}\n\n"
        f"Each may also stand in the environment or `.env` as `{ENVIRONMENT_PREFIX}<NAME>`, "
        f"such as `{ENVIRONMENT_PREFIX}RATE_LIMIT`."
    )


def streams_table() -> str:
    """One line per stream of the tap."""
    rows = []
    for stream in STREAMS:
        replication_key = getattr(stream, "replication_key", None)
        is_incremental = isinstance(replication_key, str)
        rows.append(
            (
                f"[`{vars(stream)['name']}`]({_page(stream)})",
                stream.one_row,
                ", ".join(f"`{name}`" for name in stream.primary_keys),
                f"`{replication_key}`" if is_incremental else "the beginning",
                f"`{stream.scope}`",
                "yes" if is_default(stream) else "",
            )
        )
    heads = ("stream", "one row is", "key", "read again from", "needs", "selected by default")
    return _table(heads, rows)


def personal_data_table() -> str:
    """One line per kind of personal data that `mask_pii` takes out."""
    rows = [
        (
            field.kind.replace("_", " "),
            ", ".join(f"`{name}`" for name in field.names),
            field.where,
            field.effect.hash,
            field.effect.drop,
        )
        for field in MASKED
    ]
    return _table(("what", "fields", "where", "`hash` gives", "`drop` gives"), rows)


TABLES = {
    "settings": settings_table,
    "streams": streams_table,
    "personal data": personal_data_table,
}


def markdown() -> str:
    """All tables, each below its heading."""
    return "\n\n".join(f"## {name.capitalize()}\n\n{table()}" for name, table in TABLES.items())


def is_default(stream: type[SentryStream]) -> bool:
    """Whether a stream is selected without being asked for."""
    return vars(stream).get("selected_by_default", True) is True


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in lines)


def _page(stream: type[SentryStream]) -> str:
    found = re.search(r"https://\S+", stream.__doc__ or "")
    return found[0] if found else ""
