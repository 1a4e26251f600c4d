"""`dbt-launcher [dbt's arguments]`: without arguments, `build`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence

import duckdb

from orchestrate.transformer import publication, summary
from orchestrate.transformer.asked import OFF, Asked, AskedError, asked, obstacle, partial
from orchestrate.transformer.console import say
from orchestrate.transformer.invocations import invoke, let_go_of_warehouse
from orchestrate.transformer.paths import SAMPLE_TARGET, WAREHOUSE_TARGET, Paths
from orchestrate.warehouse import WarehouseError, connect

LOCK_WAIT_SECONDS = 15
_OPENS_WAREHOUSE = frozenset(
    {"build", "clone", "docs", "retry", "run", "run-operation", "seed"}
    | {"show", "snapshot", "source", "test"}
)


def main() -> int:
    typed = sys.argv[1:] or ["build"]
    try:
        wish = asked(typed, os.environ)
        arguments = wish.arguments
        target = target_of(arguments, os.environ)
        paths = Paths.of(os.environ, target)
        paths.give_to_dbt(os.environ)
        if arguments[0] in _OPENS_WAREHOUSE and target in {WAREHOUSE_TARGET, SAMPLE_TARGET}:
            connect(paths.warehouse, wait_seconds=LOCK_WAIT_SECONDS, say=say).close()
        code = run(wish, typed, paths, target)
        if code == 0 and arguments[0] == "build" and not wish.explain:
            if target == WAREHOUSE_TARGET:
                after_build(arguments, paths)
            else:
                say(f"Not published: the target is {target}, readers look at {WAREHOUSE_TARGET}.")
    except (AskedError, WarehouseError, publication.PublicationError) as error:
        say(f"ERROR {error}")
        return 1
    return code


def target_of(arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    """The target that dbt will take; what is wrong about the arguments is for dbt to say."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-t", "--target", default=environ.get("DBT_TARGET") or WAREHOUSE_TARGET)
    try:
        return str(parser.parse_known_args(arguments)[0].target)
    except argparse.ArgumentError:
        return WAREHOUSE_TARGET


def run(wish: Asked, typed: Sequence[str], paths: Paths, target: str) -> int:
    """Run dbt in this process, keep its artifacts. Returns dbt's own exit code.

    Raises:
        AskedError: If a plan is to be told, and there can't be one.
    """
    if wish.mode != OFF or wish.explain:
        reason = obstacle(wish.arguments, target, os.environ)
        if reason is None:
            # It brings sqlglot, which a build without reuse does not need.
            from orchestrate.transformer.reusing import build  # noqa: PLC0415

            return build(wish, typed, paths, target)
        if wish.explain:
            raise AskedError(f"Cannot explain what would be reused: {reason}.")
        say(f"Reuse is off for this build: {reason}.")
    ended = invoke(wish.arguments, paths, target)
    let_go_of_warehouse()
    ended.record.end(ended.code)
    return ended.code


def after_build(arguments: Sequence[str], paths: Paths) -> None:
    """Publish, then say what there is.

    Raises:
        PublicationError: If there is no new copy; the old one is untouched then.
        WarehouseError: If another process took the warehouse meanwhile.
    """
    left_out_by = partial(arguments)
    if left_out_by:
        say(f"Not published: with {left_out_by} a part of the project was left as it was.")
        return
    manifest = json.loads((paths.target / "manifest.json").read_bytes())
    raw_tables = summary.raw_tables(manifest)
    with connect(paths.warehouse, wait_seconds=LOCK_WAIT_SECONDS, say=say) as connection:
        raw = list(summary.contents(connection, raw_tables))
        marts = {
            folder: list(summary.contents(connection, relations))
            for folder, relations in summary.marts(manifest).items()
        }
    if paths.published.exists():
        with duckdb.connect(str(paths.published), read_only=True) as connection:
            before = list(summary.contents(connection, raw_tables))
        publication.check_nothing_is_missing(before, raw, paths.shown(paths.published))
    size = publication.publish(paths.warehouse, paths.published)
    lines = [
        *summary.table({"raw table": raw, **{f"mart of {name}": m for name, m in marts.items()}}),
        f"Published {size / 1e6:.1f} MB",
        *summary.next_steps(paths, [row.relation for rows in marts.values() for row in rows]),
    ]
    say("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
