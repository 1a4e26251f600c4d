"""What a node of a dbt invocation follows from: what it reads, and what it had to wait for."""

from __future__ import annotations

from orchestrate.ledger.model import TESTS, DbtInvocation, Record, StreamSync

_BUILT = frozenset({"model", "snapshot", "seed"})
_HELD_BACK = frozenset({"model", "snapshot"})
# What a saved query reads: dbt runs none of them, what they are made of it does.
_NEVER_RUN = frozenset({"metric", "semantic_model"})
_SYSTEMS = {"postgres": "postgresql", "redshift": "aws.redshift"}
_DEFAULT_SYSTEM = "duckdb"


class Lineage:
    """An invocation's nodes and what each of them had to wait for."""

    def __init__(self, record: Record, invocation: DbtInvocation) -> None:
        self.record = record
        self.invocation = invocation
        self.ran = {
            node.unique_id: node
            for node in record.nodes
            if node.invocation_id == invocation.invocation_id
        }
        self.described = {
            node.unique_id: node
            for node in record.manifest_nodes
            if node.manifest_hash == invocation.manifest_hash
        }
        begins = {
            found.invocation_id: found.started_us
            for found in record.invocations
            if found.started_us < invocation.started_us
        }
        # What earlier invocations of the run built, as `dbt:run` for `dbt:test`: the newest.
        self.earlier = {
            node.unique_id: node
            for node in sorted(
                (node for node in record.nodes if node.invocation_id in begins),
                key=lambda node: begins[node.invocation_id],
            )
            if node.resource_type in _BUILT and node.status != "skipped"
        }
        self._tests: dict[str, list[str]] = {}
        for node in self.ran.values():
            for tested in self._depends_on(node.unique_id) if node.resource_type in TESTS else ():
                self._tests.setdefault(tested, []).append(node.unique_id)
        self._instants: dict[str, int] = {}

    def upstream(self, unique_id: str) -> list[str]:
        """The nodes that ran and the sources that a node reads, through what never runs itself.

        A unit test names the model it is for, which dbt runs after it and which it doesn't read.
        """
        if self._type(unique_id) == "unit_test":
            return []
        found: dict[str, None] = {}
        waiting, seen = list(self._depends_on(unique_id)), {unique_id}
        while waiting:
            name = waiting.pop(0)
            if name in seen:
                continue
            seen.add(name)
            description = self.described.get(name)
            if name in self.ran or name in self.earlier or self._type(name) == "source":
                found[name] = None
            elif description and (
                description.resource_type in _NEVER_RUN
                or description.config.get("materialized") == "ephemeral"
            ):
                waiting[:0] = description.depends_on
        return list(found)

    def awaited(self, unique_id: str) -> list[str]:
        """The nodes of this invocation that had to end before a node could begin.

        `dbt build` holds a node back until what it reads is tested: by tests of nodes that are all
        before it. A model waits for its own unit tests too, and these for what the model waits for.
        """
        if self._type(unique_id) == "unit_test":
            return [name for model in self._depends_on(unique_id) for name in self._before(model)]
        tests = self._tests.get(unique_id, ())
        own = [test for test in tests if self.ran[test].resource_type == "unit_test"]
        return [*self._before(unique_id), *own]

    def awaited_tests(self, unique_id: str) -> list[str]:
        """The tests that a node had to wait for and that had ended when it began, by their ids."""
        begin = self.instant(unique_id)
        tests = (name for name in self.awaited(unique_id) if self.ran[name].resource_type in TESTS)
        return sorted(name for name in tests if self._end(name) <= begin)

    def _before(self, unique_id: str) -> list[str]:
        parents = [name for name in self.upstream(unique_id) if name in self.ran]
        if self._type(unique_id) not in _HELD_BACK:
            return parents
        tests = {
            test: None
            for parent in parents
            for test in self._tests.get(parent, ())
            if self.ran[test].resource_type == "test"
        }
        return [
            *parents,
            *(test for test in tests if self._depends_on_all(unique_id, self.upstream(test))),
        ]

    def _depends_on_all(self, unique_id: str, names: list[str]) -> bool:
        """Whether a node depends on all of these, directly or not."""
        missing, waiting, seen = set(names), [unique_id], {unique_id}
        while missing and waiting:
            above = [name for name in self.upstream(waiting.pop()) if name not in seen]
            missing.difference_update(above)
            seen.update(above)
            waiting.extend(above)
        return not missing

    def instant(self, unique_id: str) -> int:
        """When a node began; if nothing tells, when the last that it waited for had ended."""
        node = self.ran[unique_id]
        if node.started_us is not None:
            return node.started_us
        if node.ended_us is not None:
            return node.ended_us
        if unique_id not in self._instants:
            self._instants[unique_id] = self.invocation.started_us
            awaited = self.awaited(unique_id)
            ends = [self._end(name) for name in awaited]
            self._instants[unique_id] = max(ends, default=self.invocation.started_us)
        return self._instants[unique_id]

    def _end(self, unique_id: str) -> int:
        return self.ran[unique_id].ended_us or self.instant(unique_id)

    def _type(self, unique_id: str) -> str | None:
        node = self.ran.get(unique_id) or self.described.get(unique_id)
        return node.resource_type if node else None

    def source_stream(self, unique_id: str) -> StreamSync | None:
        """The stream that filled a source before dbt began; None if none is known.

        One of this run goes before the newest of the runs before.
        """
        description = self.described.get(unique_id)
        if description is None or description.resource_type != "source":
            return None
        begun = {
            step.position
            for step in self.record.steps
            if step.started_us < self.invocation.started_us
        }
        identifier = (description.identifier or description.name).lower()
        found = [
            stream
            for stream in self.record.streams
            if stream.stream.lower() == identifier and stream.position in begun
        ]
        if found:
            return max(found, key=lambda stream: stream.position)
        before = self.record.fed_before
        return next((stream for stream in before if stream.stream.lower() == identifier), None)

    def system(self) -> str:
        """The warehouse, as the convention names it. DuckDB unless the manifest says otherwise."""
        adapters = (
            manifest.adapter
            for manifest in self.record.manifests
            if manifest.manifest_hash == self.invocation.manifest_hash
        )
        adapter = next(adapters, None) or _DEFAULT_SYSTEM
        return _SYSTEMS.get(adapter, adapter)

    def _depends_on(self, unique_id: str) -> list[str]:
        description = self.described.get(unique_id)
        return description.depends_on if description else []
