"""What is noted of nodes that were built: what they are now, what they read, how that went."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec

from orchestrate.reuse.analysis import (
    Functions,
    Unproven,
    named_view,
    own_function,
    plain_plans,
    reads,
    varying,
    varying_text,
)
from orchestrate.reuse.contents import Contents, Cursor, Relation, Wanted
from orchestrate.reuse.decisions import PASSED, Reason, definition
from orchestrate.reuse.project import Node, Project
from orchestrate.reuse.state import Input, NodeRecord

_WORD = re.compile(r"\w+")


class Built(msgspec.Struct):
    """How a node ended, in dbt's words, how long it took, and the SQL that was run."""

    status: str
    seconds: float = 0.0
    code: str | None = None


class Recorder:
    """Makes records of what was built, in the warehouse as it is now.

    Args:
        project: With the SQL that was built.
        cursor: Of the warehouse, which nobody else may write meanwhile.
        contents: What is in it now.
        functions: What varies in it.
        before: The content of each node's rows before the build.
        unknown_before: The content of tables that dbt does not know, before the build.
    """

    def __init__(
        self,
        project: Project,
        cursor: Cursor,
        contents: Contents,
        functions: Functions,
        *,
        before: Mapping[str, str | None],
        unknown_before: Mapping[Relation, str | None],
    ) -> None:
        self._project, self._cursor, self._contents = project, cursor, contents
        self._functions, self._before = functions, before
        self._unknown_before = unknown_before
        # Nodes that are made of their own rows, though not by what they are materialized as.
        self._reads_itself: set[str] = set()

    def records(
        self, built: Mapping[str, Built], known: Mapping[str, NodeRecord], now_us: int
    ) -> dict[str, NodeRecord]:
        """The records of all nodes: new ones of those built, none of those that failed.

        Args:
            built: What was built, and how it ended; what dbt skipped is as if not there.
            known: The records so far.
            now_us: This instant.
        """
        made: dict[str, NodeRecord] = {}
        with plain_plans(self._cursor):
            for name, end in built.items():
                node = self._project.nodes.get(name)
                if node and (end.status in PASSED or (node.is_test and end.status != "error")):
                    made[name] = self._record(node, end, now_us)
        self._fill(made, [n for n in made if not self._project.nodes[n].is_view])
        kept = {
            name: record
            for name, record in known.items()
            if name in self._project.nodes and (name not in built or name in made)
        }
        return kept | made

    def _record(self, node: Node, end: Built, now_us: int) -> NodeRecord:
        name = node.unique_id
        rows, views = self._project.below[name]
        record = NodeRecord(
            definition=definition(node, self._functions.keywords),
            status=end.status,
            built_us=now_us,
            seconds=end.seconds,
            views={
                view: definition(self._project.everything[view], self._functions.keywords)
                for view in views
            },
        )
        relations = [one for unique_id in rows if (one := self._project.relation_of(unique_id))]
        record.inputs = {str(one): Input() for one in relations if one != node.relation}
        declared = {*relations, node.relation}
        if node.is_test:
            self._doubt(record, Reason.VOLATILE, varying_text(node.code or "", self._functions))
            self._look_through(node, record, end.code or "", declared)
        elif node.materialized != "seed":
            self._look_through(node, record, node.code or "", declared)
        if node.hooks:
            self._doubt(record, Reason.VOLATILE, varying_text(node.hooks, self._functions))
            self._look_at_hooks(node, record)
        if name in self._project.asking:
            for unique_id in rows & self._project.everything.keys():
                asked = self._project.relation_of(unique_id)
                if asked and asked != node.relation:
                    record.inputs[str(asked)] = Input(is_asked=True)
        return record

    def _look_through(
        self, node: Node, record: NodeRecord, sql: str, declared: set[Relation | None]
    ) -> None:
        self._doubt(record, Reason.VOLATILE, varying(sql, self._functions))
        self._doubt(record, Reason.HIDDEN_INPUT, own_function(sql, self._functions))
        views = {self._project.everything[view].relation for view in record.views}
        own = {node.relation}
        self._doubt(record, Reason.HIDDEN_INPUT, named_view(sql, self._contents, views | own))
        try:
            found = reads(self._cursor, sql, self._contents)
        except Unproven as error:
            record.doubt = record.doubt or Reason.HIDDEN_INPUT.value
            record.doubt_detail = record.doubt_detail or str(error)
            return
        hidden = sorted(str(one) for one in found if one not in declared)
        self._doubt(record, Reason.HIDDEN_INPUT, hidden[0] if hidden else None)
        if node.relation in found and not node.is_view:
            self._reads_itself.add(node.unique_id)
        if not node.hooks and not node.is_test:
            record.inputs = {
                str(one): Input(columns) for one, columns in found.items() if one != node.relation
            }

    def _look_at_hooks(self, node: Node, record: NodeRecord) -> None:
        """What a hook reads is known by its words alone; what it writes, by what has changed."""
        words = set(_WORD.findall(node.hooks.lower()))
        for one, stored in self._contents.relations.items():
            if one.name.lower() in words and one != node.relation and not stored.is_view:
                record.inputs.setdefault(str(one), Input())
        views = {self._project.everything[view].relation for view in record.views}
        own = {node.relation}
        named = named_view(node.hooks, self._contents, views | own)
        self._doubt(record, Reason.HIDDEN_INPUT, named)
        record.is_settled &= self._unknown_before == unknown(self._project, self._contents)

    def _doubt(self, record: NodeRecord, reason: Reason, word: str | None) -> None:
        if word and not record.doubt:
            verb = "uses" if reason is Reason.VOLATILE else "reads"
            record.doubt, record.doubt_detail = reason.value, f"it {verb} {word}"

    def _fill(self, made: Mapping[str, NodeRecord], with_rows: Iterable[str]) -> None:
        relations = self._project_relations()
        with_rows = set(with_rows)
        wanted = [
            Wanted(relations[text], one.columns)
            for name in made
            for text, one in made[name].inputs.items()
            if name in with_rows or one.is_asked
        ]
        own = {name: self._project.nodes[name].relation for name in made}
        wanted += [Wanted(relation) for relation in own.values() if relation]
        self._contents.prefetch(wanted)
        for name, record in made.items():
            for text, one in record.inputs.items():
                one.shape = self._contents.shape(relations[text])
                if name in with_rows or one.is_asked:
                    one.content = self._contents.of(Wanted(relations[text], one.columns))
            relation = own[name]
            if relation:
                record.content = self._contents.of(Wanted(relation))
                record.shape = self._contents.shape(relation)
                before = self._before.get(name)
                record.is_identical = None if before is None else before == record.content
                if self._project.nodes[name].reads_itself or name in self._reads_itself:
                    record.is_settled &= before == record.content

    def _project_relations(self) -> dict[str, Relation]:
        return {str(one): one for one in (*self._project.owners, *self._contents.relations)}


def unknown(project: Project, contents: Contents) -> dict[Relation, str | None]:
    """The content of each table that dbt does not know, if any hook might write into it."""
    if not any(node.hooks for node in project.nodes.values()):
        return {}
    found = [
        relation
        for relation, stored in contents.relations.items()
        if relation not in project.owners and not stored.is_view
    ]
    contents.prefetch(Wanted(relation) for relation in found)
    return {relation: contents.of(Wanted(relation)) for relation in found}
