"""Whether a node is built or reused, and why: the rules, in the order in which they are asked."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterator
from datetime import datetime, timezone

import msgspec

from orchestrate.reuse.contents import Contents, Wanted
from orchestrate.reuse.definitions import digest, normalised
from orchestrate.reuse.project import EPHEMERAL, VIEW, Node, Project
from orchestrate.reuse.state import Input, NodeRecord, State, relation_of

BUILD, REUSE = "build", "reuse"
PASSED = frozenset({"success", "pass"})


class Reason(str, enum.Enum):
    """Why a node is built, or, of the last two, why it is not."""

    NEW = "new"
    DEFINITION = "definition"
    INPUT = "input"
    MISSING = "missing"
    TAMPERED = "tampered"
    VOLATILE = "volatile"
    HIDDEN_INPUT = "hidden_input"
    NEVER_REUSE = "never_reuse"
    RETEST = "retest"
    ENGINE = "engine"
    UNCHANGED = "unchanged"
    BUILD_AFTER = "build_after"


class Decision(msgspec.Struct, frozen=True):
    """About one node. `awaits` are nodes on whose new rows it depends whether it need be built."""

    unique_id: str
    decision: str
    reason: Reason
    detail: str
    awaits: frozenset[str] = frozenset()


class Rules:
    """The decisions for a project in a warehouse, by what is remembered of earlier builds.

    Args:
        project: What may be built.
        state: What is remembered.
        contents: What is in the warehouse.
        keywords: Words of its SQL that can't name a column.
        now_us: This instant.
        is_other_engine: Whether what was remembered is lost, being of another DuckDB.
    """

    def __init__(
        self,
        project: Project,
        state: State,
        contents: Contents,
        keywords: Collection[str],
        now_us: int,
        *,
        is_other_engine: bool = False,
    ) -> None:
        self._project, self._state, self._contents = project, state, contents
        self._now_us, self._is_other_engine = now_us, is_other_engine
        self.definitions = {
            name: definition(node, keywords) for name, node in project.everything.items()
        }
        contents.prefetch(self._looked_at())
        # A node's own rows, as they were before anything was built.
        self.before = {
            name: contents.of(Wanted(node.relation))
            for name, node in project.nodes.items()
            if node.relation
        }

    def decide(self, names: Collection[str] | None = None) -> dict[str, Decision]:
        """Decide about all nodes, or, when the others are built, about those of these names."""
        found: dict[str, Decision] = {}
        firm: set[str] = set()  # those that keep their columns even if they are built
        for name, node in self._project.nodes.items():
            if names is not None and name not in names:
                continue
            building = {one for one, made in found.items() if made.decision == BUILD}
            decision = self._decision(node, building, firm)
            found[name] = decision
            if decision.decision == REUSE or self._keeps_shape(node, building, firm):
                firm.add(name)
        return found

    def _looked_at(self) -> Iterator[Wanted]:
        for name, node in self._project.nodes.items():
            record = self._state.nodes.get(name)
            if node.relation:
                yield Wanted(node.relation)
            for relation, known in record.inputs.items() if record else ():
                if known.is_asked or not node.is_view:
                    yield Wanted(relation_of(relation), known.columns)

    def _decision(self, node: Node, building: set[str], firm: set[str]) -> Decision:
        name = node.unique_id
        record = self._state.nodes.get(name)
        if record is None:
            reason = Reason.ENGINE if self._is_other_engine else Reason.NEW
            word = "what was noted is of another DuckDB" if self._is_other_engine else None
            return _build(name, reason, word or "no good build of it is noted")
        for reason, detail in self._own_reasons(node, record):
            return _build(name, reason, detail)
        when = _clock(record.built_us)
        moved = dict(self._moved(node, record, building, firm))
        if not moved and not record.is_settled:
            moved = {name: "its last build changed its own rows, which it reads"}
        if not moved:
            return Decision(name, REUSE, Reason.UNCHANGED, f"nothing has changed since {when}")
        tolerated = self._tolerated(node, record, moved)
        if tolerated:
            return Decision(name, REUSE, Reason.BUILD_AFTER, tolerated)
        certain = [text for text in moved.values() if text]
        if certain:
            return _build(name, Reason.INPUT, certain[0])
        names = sorted(self._project.name_of(one) for one in moved)
        text = f"it reads {names[0]}, which is built"
        return Decision(name, BUILD, Reason.INPUT, text, frozenset(moved))

    def _own_reasons(self, node: Node, record: NodeRecord) -> Iterator[tuple[Reason, str]]:
        """Why it is built whatever it reads."""
        if node.never:
            yield Reason(node.never[0]), node.never[1]
        if node.code is None:
            yield Reason.DEFINITION, "its SQL is not known before it is built"
        if self.definitions[node.unique_id] != record.definition:
            yield Reason.DEFINITION, f"it is not defined as at {_clock(record.built_us)}"
        if record.doubt:
            yield Reason(record.doubt), record.doubt_detail
        for view in sorted(self._project.below[node.unique_id][1]):
            above = self._state.nodes.get(view)
            if above and above.doubt:
                name = self._project.name_of(view)
                yield Reason(above.doubt), f"it reads the view {name}: {above.doubt_detail}"
            never = self._project.everything[view].never
            if never:
                name = self._project.name_of(view)
                yield Reason(never[0]), f"it reads the view {name}: {never[1]}"
        if node.is_test and record.status not in PASSED:
            yield Reason.RETEST, f"it ended with {record.status} last"
        if node.relation:
            stored = self._contents.relations.get(node.relation)
            if stored is None or stored.is_view != node.is_view:
                kind = "view" if node.is_view else "table"
                yield Reason.MISSING, f"there is no {kind} of its name"
            elif self.before[node.unique_id] != record.content:
                yield Reason.TAMPERED, "it is not what its last build left"

    def _moved(
        self, node: Node, record: NodeRecord, building: set[str], firm: set[str]
    ) -> Iterator[tuple[str, str | None]]:
        """What it reads that has changed, with a sentence; without one where that is not sure."""
        when = _clock(record.built_us)
        _, views = self._project.below[node.unique_id]
        for view in sorted(views):
            if self.definitions[view] != record.views.get(view):
                yield view, f"the view {self._project.name_of(view)} is not defined as at {when}"
        for view in sorted(set(record.views) - views):
            yield view, f"it read {self._project.name_of(view)} at {when}"
        for text, known in record.inputs.items():
            relation = relation_of(text)
            owner = self._project.owners.get(relation, text)
            name = self._project.name_of(owner) if owner != text else relation.name
            # Through a star a new column goes on to all that read it.
            if self._contents.shape(relation) != known.shape:
                yield owner, f"{name} has other columns than at {when}"
            elif owner in building:
                if not (node.is_view and owner in firm) or known.is_asked:
                    yield owner, None
            elif not node.is_view or known.is_asked:
                content = self._contents.of(Wanted(relation, known.columns))
                if content != known.content:
                    yield owner, f"{name} has other rows than at {when}{_more(known, content)}"

    def _tolerated(self, node: Node, record: NodeRecord, moved: Collection[str]) -> str | None:
        """Why it need not follow what it reads, as its config declares; None if it must."""
        if node.build_after is None:
            return None
        # A clock that was wrong may have said that it was built later than now.
        if 0 <= self._now_us - record.built_us < node.build_after.seconds * 1e6:
            minutes = node.build_after.seconds / 60
            return f"built at {_clock(record.built_us)}, and not again within {minutes:g} minutes"
        still = self._still(node, moved) if node.build_after.needs_all else None
        if still is None:
            return None
        return f"it waits for all that it reads, and {self._project.name_of(still)} is as it was"

    def _still(self, node: Node, moved: Collection[str]) -> str | None:
        """What of its parents has not moved: with `updates_on: all` it waits for that."""
        for parent in node.parents:
            reached = {parent}
            above = self._project.everything.get(parent)
            if above and above.materialized in {VIEW, EPHEMERAL}:
                rows, views = self._project.below[parent]
                reached |= rows | views
            if not reached & set(moved):
                return parent
        return None

    def _keeps_shape(self, node: Node, building: set[str], firm: set[str]) -> bool:
        """Whether it comes out with the columns that it has: by SQL and columns it reads."""
        record = self._state.nodes.get(node.unique_id)
        if record is None or node.is_test or node.relation is None:
            return False
        if self.definitions[node.unique_id] != record.definition or "pivot" in (node.code or ""):
            return False
        if self._contents.shape(node.relation) != record.shape:
            return False
        views = self._project.below[node.unique_id][1]
        if any(self.definitions[view] != record.views.get(view) for view in views):
            return False
        return all(
            self._contents.shape(relation_of(text)) == known.shape
            and (owner not in building or owner in firm)
            for text, known in record.inputs.items()
            for owner in [self._project.owners.get(relation_of(text), text)]
        )


def definition(node: Node, keywords: Collection[str]) -> str:
    """What a node is defined by, as a hash: its SQL without what means nothing, and its config."""
    code = node.code or ""
    is_sql = not node.is_test and node.materialized != "seed"
    return digest([normalised(code, keywords) if is_sql else code, node.config])


def _build(name: str, reason: Reason, detail: str) -> Decision:
    return Decision(name, BUILD, reason, detail)


def _clock(at_us: int) -> str:
    return f"{datetime.fromtimestamp(at_us / 1e6, timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def _more(known: Input, content: str | None) -> str:
    """How many rows more or fewer, where that is known and not none."""
    before, now = ((one or "").partition(":") for one in (known.content, content))
    if not before[1] or not now[1]:  # a view has none of its own
        return ""
    grown = int(now[0]) - int(before[0])
    return f" ({grown:+,} rows)" if grown else ""
