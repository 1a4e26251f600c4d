"""The nodes of a dbt project as the planner sees them, read from a manifest.

https://docs.getdbt.com/reference/artifacts/manifest-json
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from copy import copy
from functools import cached_property
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, NamedTuple

from orchestrate.reuse.contents import Relation
from orchestrate.reuse.definitions import Macros, config_of, digest

VIEW, EPHEMERAL, TEST = "view", "ephemeral", "test"
# Of these the rows are kept, and of the latter two also from build to build.
KEEPS_ROWS = frozenset({"table", "seed", "incremental", "snapshot"})
READS_ITSELF = frozenset({"incremental", "snapshot"})
_PERIODS_S = {"minute": 60.0, "hour": 3600.0, "day": 86400.0}
_PLANNED = frozenset({"model", "seed", "snapshot", "test"})
_KINDLY = re.compile(r"adapter\.(dispatch|quote)\b")
# In Jinja these may say something else at another time, or ask the warehouse.
_LIVE = re.compile(
    r"\b(run_query|statement|load_result|run_started_at|invocation_id|modules|flags|graph|adapter)\b"
)
_SETTINGS = re.compile(r"\b(var|env_var)\b")
# What Jinja says of this very run, and what the order or choice of nodes may change.
_MOMENT = re.compile(
    r"\b(run_started_at|invocation_id|invocation_args_dict|thread_id|selected_resources"
    r"|dbt_metadata_envs|flags\.|graph\.|(now|utcnow|today)\s*\()"
)
# Before and after all nodes something may run that changes what they read; this leaves it as it is.
_HARMLESS = re.compile(
    r"\s*create\s+(schema|table)\s+if\s+not\s+exists\b(?!.*\bas\b).*|\s*", re.IGNORECASE | re.DOTALL
)
_JINJA = re.compile(r"\{[{%#].*?[}%#]\}", re.DOTALL)
# By these Jinja asks the warehouse what is in it.
_ASKS = re.compile(r"\b(run_query|statement|load_result|adapter|load_relation|get_column_values)\b")


class BuildAfter(NamedTuple):
    """At most one build in so many seconds, and for `all` only when all upstreams have moved."""

    seconds: float
    needs_all: bool


class Node(NamedTuple):
    """A node. `code` is its compiled SQL, of a test the Jinja that it is made of.

    `never` is a reason (code and sentence) for which it is always built. `hooks` is the Jinja that
    runs beside it. `asks` tells that its Jinja may ask the warehouse, so that its SQL follows from
    what is in its parents.
    """

    unique_id: str
    name: str
    resource_type: str
    materialized: str
    selector: str
    relation: Relation | None
    parents: tuple[str, ...]
    code: str | None
    config: str
    never: tuple[str, str] | None
    build_after: BuildAfter | None
    hooks: str = ""
    asks: bool = False

    @property
    def is_test(self) -> bool:
        return self.resource_type == TEST

    @property
    def is_view(self) -> bool:
        return self.materialized == VIEW

    @property
    def reads_itself(self) -> bool:
        return self.materialized in READS_ITSELF


class Project:
    """The nodes that a build may build, parents first, and what each may read.

    Args:
        manifest: dbt's, as a document, with `nodes`, `sources` and `macros`.
        root: The project's folder, for the files of seeds.
        settings: What tells variables of the project and of the environment from others.
        versions: Of dbt and its adapter, whose own macros act when a node is built.
        excluded: Types of resources that are not built.
    """

    def __init__(
        self,
        manifest: Mapping[str, Mapping[str, Any]],
        root: Path,
        settings: str,
        versions: str,
        excluded: frozenset[str] = frozenset(),
    ) -> None:
        self._root, self._settings, self._versions = root, settings, versions
        self._macros = Macros(manifest["macros"])
        documents = {
            unique_id: node
            for unique_id, node in manifest["nodes"].items()
            if node["resource_type"] in _PLANNED
        }
        graph = {name: _parents(node) for name, node in documents.items()}
        order = [name for name in TopologicalSorter(graph).static_order() if name in documents]
        self.run_hooks = {
            name: "\n".join([node["raw_code"], *self._macros.of_text(node["raw_code"])])
            for name, node in manifest["nodes"].items()
            if node["resource_type"] == "operation"
        }
        self.sources = {
            unique_id: Relation(source["database"], source["schema"], source["identifier"])
            for unique_id, source in manifest["sources"].items()
        }
        self.everything = {name: self._node(documents[name]) for name in order}
        self.nodes = {
            name: node
            for name, node in self.everything.items()
            if node.materialized != EPHEMERAL and node.resource_type not in excluded
        }

    @cached_property
    def owners(self) -> dict[Relation, str]:
        """Which node or source a relation belongs to."""
        stored = {
            node.relation: name
            for name, node in self.everything.items()
            if node.relation and not node.is_test
        }
        return {relation: name for name, relation in self.sources.items()} | stored

    @cached_property
    def below(self) -> dict[str, tuple[frozenset[str], frozenset[str]]]:
        """What keeps rows that a node reads, straight or through views, and those views."""
        found: dict[str, tuple[frozenset[str], frozenset[str]]] = {}
        for name, node in self.everything.items():
            rows, views = set(), set()
            for parent in node.parents:
                above = self.everything.get(parent)
                if above is None or above.materialized not in {VIEW, EPHEMERAL}:
                    rows.add(parent)
                    continue
                if above.is_view:
                    views.add(parent)
                rows |= found[parent][0]
                views |= found[parent][1]
            found[name] = frozenset(rows), frozenset(views)
        return found

    @cached_property
    def asking(self) -> frozenset[str]:
        """The nodes whose SQL may follow from what is in their parents, also through views."""
        found: set[str] = set()
        for name, node in self.everything.items():
            above = [self.everything[one] for one in node.parents if one in self.everything]
            if node.asks or any(
                one.unique_id in found and one.materialized in {VIEW, EPHEMERAL} for one in above
            ):
                found.add(name)
        return frozenset(found)

    @property
    def meddling(self) -> str | None:
        """The first hook of the whole run that may change what nodes read, if there is one."""
        for name, text in self.run_hooks.items():
            # What a macro's Jinja puts together stays between the tags, as statements do.
            statements = _JINJA.sub(" ", text).split(";")
            if not all(_HARMLESS.fullmatch(one) for one in statements) or _ASKS.search(
                _KINDLY.sub("", text)
            ):
                return self.name_of(name)
        return None

    def with_code(self, code: Mapping[str, str | None]) -> Project:
        """The same project, some nodes of which were compiled to another SQL; seeds keep theirs."""
        changed = copy(self)
        changed.everything = {
            name: node._replace(code=code[name])
            if name in code and not node.is_test and node.materialized != "seed"
            else node
            for name, node in self.everything.items()
        }
        changed.nodes = {name: changed.everything[name] for name in self.nodes}
        return changed

    def relation_of(self, unique_id: str) -> Relation | None:
        """Of a node or a source."""
        node = self.everything.get(unique_id)
        return node.relation if node else self.sources.get(unique_id)

    def name_of(self, unique_id: str) -> str:
        """As people write it."""
        node = self.everything.get(unique_id)
        return node.name if node else ".".join(unique_id.split(".")[2:])

    def _node(self, document: Mapping[str, Any]) -> Node:
        config = document["config"]
        kind = document["resource_type"]
        materialized = TEST if kind == TEST else str(config.get("materialized"))
        relation = None
        if kind != TEST and materialized != EPHEMERAL:
            relation = Relation(document["database"], document["schema"], document["alias"])
        hooks = "\n".join(
            str(hook["sql"])
            for name in ("pre-hook", "post-hook", "pre_hook", "post_hook")
            for hook in config.get(name) or ()
        )
        # What a test is given is Jinja too, rendered when it runs.
        arguments = "\n".join(_texts([document.get("test_metadata"), config]))
        own = self._macros.of_text(document["raw_code"], arguments) if kind == TEST else []
        beside = self._macros.of_text(hooks) if hooks else []
        acting = self._macros.of_materialization(materialized)
        live = "\n".join([hooks, *beside, *acting])
        if kind == TEST:
            live = "\n".join([document["raw_code"], arguments, *own])
        facts = {
            "config": config_of(document),
            "relation": relation,
            "macros": [*own, *beside, *acting],
            "versions": self._versions,
            "settings": self._settings if _SETTINGS.search(live) else None,
            "test": [document.get(name) for name in ("test_metadata", "column_name", "language")],
        }
        code = document.get("compiled_code")
        raw = document.get("raw_code") or ""
        if kind == TEST:
            code = live
        elif materialized == "seed":
            code = self._file(document)
        return Node(
            unique_id=document["unique_id"],
            name=document["name"],
            resource_type=kind,
            materialized=materialized,
            selector="fqn:" + ".".join(document["fqn"]),
            relation=relation,
            parents=_parents(document),
            code=code,
            config=digest(facts),
            never=next(self._never(document, materialized, live), None),
            build_after=_build_after(config) if kind == "model" else None,
            hooks="\n".join([hooks, *beside]) if hooks else "",
            asks=kind != TEST
            and bool(
                _ASKS.search(
                    _KINDLY.sub("", "\n".join([raw, *self._macros.of_text(raw)])),
                )
            ),
        )

    def _file(self, document: Mapping[str, Any]) -> str | None:
        """What a seed's file holds: dbt itself looks at the name alone of a large one."""
        path = self._root / document["original_file_path"]
        if not path.exists():
            path = Path(document.get("root_path") or "") / document["original_file_path"]
        try:
            with path.open("rb") as handle:
                return _sha(handle)
        except OSError:
            return None

    def _never(
        self, document: Mapping[str, Any], materialized: str, live: str
    ) -> Iterator[tuple[str, str]]:
        config = document["config"]
        if (config.get("meta") or {}).get("reuse") is False:
            yield "never_reuse", "its config says meta.reuse: false"
        if document.get("language") == "python":
            yield "hidden_input", "what Python reads is not known"
        if materialized not in KEEPS_ROWS | {VIEW, EPHEMERAL, TEST}:
            yield "hidden_input", f"what is materialized as {materialized} is not known"
        if config.get("incremental_strategy") == "microbatch":
            yield "volatile", "its batches follow the time of the build"
        if document["resource_type"] == TEST and config.get("store_failures"):
            yield "never_reuse", "it stores what it finds"
        # Compiled SQL shows what a model's Jinja found; of hooks and tests only the Jinja is there.
        found = _LIVE.search(_KINDLY.sub("", live))
        if document["resource_type"] != TEST:
            found = _MOMENT.search(live)
        if found:
            yield "volatile", f"its Jinja uses {found[0]}"


def _texts(value: object) -> Iterator[str]:
    """All texts in a document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _texts(one)


def _parents(document: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple((document.get("depends_on") or {}).get("nodes") or ())


def _sha(handle: Any) -> str:
    found = hashlib.sha256()
    while block := handle.read(1 << 20):
        found.update(block)
    return found.hexdigest()


def _build_after(config: Mapping[str, Any]) -> BuildAfter | None:
    told = (config.get("freshness") or {}).get("build_after")
    if not told:
        return None
    seconds = (told.get("count") or 0) * _PERIODS_S.get(str(told.get("period") or ""), 0.0)
    return BuildAfter(seconds, str(told.get("updates_on") or "any") == "all")
