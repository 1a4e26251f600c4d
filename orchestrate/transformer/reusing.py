"""A build in which what need not be built is reused, or in shadow is built to see who was right."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import duckdb

from orchestrate.ledger.model import FAILED
from orchestrate.reuse import reports, state, waves
from orchestrate.reuse.contents import Relation, Wanted
from orchestrate.reuse.decisions import BUILD, PASSED, REUSE, Decision, Reason
from orchestrate.reuse.recording import Built, Recorder
from orchestrate.transformer.asked import Asked, AskedError
from orchestrate.transformer.console import say
from orchestrate.transformer.invocations import Ended, invoke, let_go_of_warehouse
from orchestrate.transformer.paths import Paths
from orchestrate.transformer.planning import Planned
from orchestrate.transformer.session import Session, SessionError
from orchestrate.warehouse import one_line


def build(wish: Asked, typed: Sequence[str], paths: Paths, target: str) -> int:
    """Build with a plan, or tell the plan. Returns dbt's exit code.

    Raises:
        AskedError: If a plan is to be told, and there can't be one.
    """
    session = None
    try:
        session = Session(wish.arguments, paths, say)
        session.read()
        planned = Planned(session, wish, paths)
    except (SessionError, duckdb.Error, OSError) as error:
        if session:
            session.close()
        let_go_of_warehouse()
        reason = " ".join(str(error).split())
        if wish.explain:
            raise AskedError(f"Cannot explain what would be reused: {reason}.") from error
        say(f"Reuse is off for this build: {reason}.")
        ended = invoke(wish.arguments, paths, target, typed=typed)
        let_go_of_warehouse()
        ended.record.end(ended.code)
        return ended.code
    if wish.explain:
        planned.explain()
        session.close()
        let_go_of_warehouse()
        return 0
    building = _Building(planned, typed, target)
    try:
        return building.shadow() if wish.mode == reports.SHADOW else building.reuse()
    except duckdb.Error as error:
        say(f"WARN  What was built can't be looked at, and is built again: {one_line(error)}")
        return building.finish()
    finally:
        session.close()
        let_go_of_warehouse()


class _Building:
    """One or more invocations of dbt by a plan, and what is noted of them."""

    def __init__(self, planned: Planned, typed: Sequence[str], target: str) -> None:
        self._planned, self._typed, self._target = planned, typed, target
        self._project, self._contents = planned.project, planned.contents
        self._state = planned.state
        self._before = planned.rules.before
        self._built: dict[str, Built] = {}
        self._ended: list[Ended] = []
        self._invoked: set[str] = set()

    def reuse(self) -> int:
        """Build what must be built, in as few invocations as pay."""
        planned, project = self._planned, self._project
        decided: dict[str, Decision] = {}
        pending = planned.decisions
        while True:
            waiting = waves.later(pending, project, self._state, planned.session.threads)
            now = [
                name
                for name, made in pending.items()
                if made.decision == BUILD and name not in waiting
            ]
            waiting = waiting if now else frozenset()
            decided |= {name: made for name, made in pending.items() if name not in waiting}
            if waiting:
                say(reports.first(len(now), len(waiting)))
            else:
                say(planned.told(decided))
            if now or not self._ended:
                self._build_these(now)
            if not waiting:
                break
            # What never came to be built, as after Ctrl+C, holds back what reads it just as well.
            failed = [
                name
                for name in now
                if name not in self._built or self._built[name].status in FAILED
            ]
            blocked = waves.kept_back(failed, project)
            if self._ended[-1].code not in {0, 1}:
                blocked |= waiting
            pending = planned.rules.decide(waiting)
            for name in [name for name in pending if name in blocked]:
                made = pending.pop(name)
                decided[name] = made if made.decision == REUSE else _left_out(made)
        outcomes = self._outcomes(decided, [name for name in decided if name in self._built])
        return self._end(decided, outcomes)

    def shadow(self) -> int:
        """Build everything, then see which of what would have been reused came out otherwise."""
        planned = self._planned
        rounded = self._rounded(planned.decisions)
        self._invoke(planned.wish.arguments)
        self._refresh(self._built)
        # What hung on others is decided as if it had waited for them; nothing is noted yet.
        unsure = [name for name, made in planned.decisions.items() if made.awaits]
        decided = planned.decisions | planned.rules.decide(unsure)
        tolerated = waves.below(
            [name for name, made in decided.items() if made.reason is Reason.BUILD_AFTER],
            self._project,
        )
        judged = [name for name in decided if name in self._built and name not in tolerated]
        after = self._rounded(decided)
        outcomes = {
            name: reports.IDENTICAL
            if outcome == reports.CHANGED and rounded.get(name) and rounded[name] == after[name]
            else outcome
            for name, outcome in self._outcomes(decided, judged).items()
        }
        self._note()
        say(reports.score(decided.values(), outcomes))
        return self._end(decided, outcomes)

    def finish(self) -> int:
        """Build what is still to be built, without a look at it: dbt's exit code alone counts."""
        left = [
            name
            for name, made in self._planned.decisions.items()
            if made.decision == BUILD and name not in self._invoked
        ]
        if self._planned.wish.mode == reports.ON and left and not any(e.code for e in self._ended):
            self._run(left)
        return self.end(0)

    def _run(self, names: Sequence[str]) -> dict[str, Built]:
        planned = self._planned
        selectors = {name: node.selector for name, node in self._project.nodes.items()}
        options = planned.session.selected(names, selectors)
        if planned.unit_tests and not self._ended:
            options.insert(1, "resource_type:unit_test")
        is_silent = not names and not planned.unit_tests
        self._invoked.update(names)
        return self._invoke([*planned.wish.arguments, *options], is_silent=is_silent)

    def _build_these(self, names: Sequence[str]) -> None:
        built = self._run(names)
        self._refresh(built)
        self._note(built)

    def _invoke(self, arguments: Sequence[str], *, is_silent: bool = False) -> dict[str, Built]:
        planned = self._planned
        begun = time.monotonic()
        ended = invoke(
            arguments,
            planned.paths,
            self._target,
            typed=self._typed,
            manifest=planned.session.manifest,
            begun=planned.session.begin,
            is_silent=is_silent,
        )
        seconds = time.monotonic() - begun
        self._ended.append(ended)
        built = {
            result.node.unique_id: Built(
                str(result.status),
                result.execution_time,
                getattr(result.node, "compiled_code", None),
            )
            for result in _results(ended)
            if str(result.status) not in {"skipped", "no-op"}
        }
        self._project = planned.project.with_code({name: end.code for name, end in built.items()})
        planned.project = self._project
        if ended.result is not None:
            self._state.invocation_s = max(seconds - ended.result.elapsed_time, 0.0)
        self._built |= built
        return built

    def _refresh(self, built: Iterable[str]) -> None:
        relations = [self._project.relation_of(name) for name in built]
        gone: set[Relation] = {one for one in relations if one}
        self._contents.refresh(gone | set(self._planned.unknown))

    def _note(self, built: Mapping[str, Built] | None = None) -> None:
        planned = self._planned
        recorder = Recorder(
            self._project,
            planned.cursor,
            self._contents,
            planned.functions,
            before=self._before,
            unknown_before=planned.unknown,
        )
        self._state.nodes = recorder.records(
            self._built if built is None else built, self._state.nodes, time.time_ns() // 1000
        )
        try:
            state.write(planned.path, self._state)
        except OSError as error:
            say(f"WARN  What was built is not noted, and will be built again: {error}")

    def _outcomes(self, decided: Mapping[str, Decision], names: Iterable[str]) -> dict[str, str]:
        """Whether nodes that were built came out as they were, where that can be told."""
        found: dict[str, str] = {}
        for name in names:
            node, end = self._project.nodes.get(name), self._built[name]
            if node is None or end.status == "error":
                continue
            if node.is_test:
                # It is reused only if it had passed.
                if decided[name].decision == REUSE:
                    is_same = end.status in PASSED
                    found[name] = reports.IDENTICAL if is_same else reports.CHANGED
            elif node.relation:
                after = self._contents.of(Wanted(node.relation))
                is_same = self._before.get(name) == after
                found[name] = reports.IDENTICAL if is_same else reports.CHANGED
        return found

    def _rounded(self, decisions: Mapping[str, Decision]) -> dict[str, str | None]:
        """Contents without the last digits of floats, which the order of summing leaves open."""
        wanted = {
            name: Wanted(relation, rounded=True)
            for name in decisions
            if (relation := self._project.relation_of(name))
        }
        self._contents.prefetch(wanted.values())
        return {name: self._contents.of(one) for name, one in wanted.items()}

    def _end(self, decided: Mapping[str, Decision], outcomes: Mapping[str, str]) -> int:
        after = {
            name: self._contents.of(Wanted(relation))
            for name in self._built
            if (relation := self._project.relation_of(name))
        }
        found = reports.document(
            self._planned.wish.mode,
            {name: decided[name] for name in self._project.nodes if name in decided},
            definitions=self._planned.rules.definitions,
            before=self._before,
            after=after,
            outcomes=outcomes,
        )
        folder = self._ended[0].record.folder
        if folder:
            with suppress(OSError):
                reports.write(folder, found)
        return self.end(0)

    def end(self, code: int) -> int:
        """End the records of all invocations. Returns the first exit code that is not 0."""
        for ended in self._ended:
            ended.record.end(ended.code)
        return next((ended.code for ended in self._ended if ended.code), code)


def _results(ended: Ended) -> list[Any]:
    return [one for one in getattr(ended.result, "results", None) or () if one.node is not None]


def _left_out(made: Decision) -> Decision:
    return Decision(made.unique_id, BUILD, made.reason, "left out: what it reads failed")
