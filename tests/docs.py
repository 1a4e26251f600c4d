"""The README's tables, made from the code. `python -m tests.docs` writes them into the README."""

from __future__ import annotations

import re
from pathlib import Path

from tap_sentry.settings import ENVIRONMENT_PREFIX, SETTINGS
from tap_sentry.streams import STREAMS

README = Path(__file__).parent.parent / "README.md"


def settings_table() -> str:
    """One line per setting of the tap."""
    lines = ["| setting | default | what it does |", "| --- | --- | --- |"]
    for setting in SETTINGS:
        default = "" if setting.default is None else f"`{setting.default}`".replace("F", "f")
        lines.append(f"| `{setting.name}` | {default} | {setting.description} |")
    lines.append("")
    lines.append(
        f"Each may also stand in the environment or `.env` as `{ENVIRONMENT_PREFIX}<NAME>`, "
        f"such as `{ENVIRONMENT_PREFIX}RATE_LIMIT`."
    )
    return "\n".join(lines)


def streams_table() -> str:
    """One line per stream of the tap."""
    lines = [
        "| stream | one row is | key | read again from | needs |",
        "| --- | --- | --- | --- | --- |",
    ]
    for stream in STREAMS:
        key = ", ".join(f"`{name}`" for name in stream.primary_keys)
        replication_key = getattr(stream, "replication_key", None)
        again = f"`{replication_key}`" if isinstance(replication_key, str) else "the beginning"
        lines.append(
            f"| [`{vars(stream)['name']}`]({_page(stream)}) | {stream.one_row} | {key} | {again} "
            f"| `{stream.scope}` |"
        )
    return "\n".join(lines)


TABLES = {"settings": settings_table, "streams": streams_table}


def with_tables(text: str) -> str:
    """The text with each table between its two markers made anew."""
    for name, table in TABLES.items():
        text = re.sub(
            rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)",
            rf"\1{_escaped(table())}\n\2",
            text,
            flags=re.DOTALL,
        )
    return text


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\")


def _page(stream: type) -> str:
    found = re.search(r"https://\S+", stream.__doc__ or "")
    assert found, f"{stream.__name__} names no page of Sentry's documentation"
    return found[0]


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text()))
