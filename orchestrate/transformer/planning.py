"""The plan of a build: what dbt says of the project, what the warehouse holds, what is decided."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from orchestrate.reuse import reports, state
from orchestrate.reuse.analysis import Functions
from orchestrate.reuse.contents import Contents
from orchestrate.reuse.decisions import REUSE, Decision, Rules
from orchestrate.reuse.project import Project
from orchestrate.reuse.recording import unknown
from orchestrate.transformer.asked import Asked
from orchestrate.transformer.console import say
from orchestrate.transformer.paths import Paths
from orchestrate.transformer.session import Session, SessionError

STATE = "reuse.json"


class Planned:
    """A project, its warehouse and what is decided of it before anything is built.

    Raises:
        SessionError: If the warehouse can't be opened, or a hook of the whole run gets in the way.
    """

    def __init__(self, session: Session, wish: Asked, paths: Paths) -> None:
        begun = time.monotonic()
        self.session, self.wish, self.paths = session, wish, paths
        self.cursor = session.open()
        self.cursor.execute("select version()")
        [(engine,)] = self.cursor.fetchall()
        self.path = paths.dbt / STATE
        self.state, is_other = state.read(self.path, engine, say)
        if self.state.nodes:
            try:
                session.compile()
            except SessionError as error:
                say(f"Reuse: everything is built, since dbt can't compile it before: {error}")
        excluded = frozenset((os.environ.get("DBT_EXCLUDE_RESOURCE_TYPES") or "").split())
        document = session.document()
        # Unit tests prove the SQL, so they are run as without a plan.
        self.unit_tests = bool(session.manifest.unit_tests) and "unit_test" not in excluded
        self.project = Project(
            document, paths.project, session.settings(), session.versions(), excluded
        )
        if self.project.meddling:
            raise SessionError(
                f"{self.project.meddling} may change what nodes read, before or after"
            )
        session.uncompile()
        self.contents = Contents(self.cursor)
        self.functions = Functions.of(self.cursor)
        self.unknown = unknown(self.project, self.contents)
        self.rules = Rules(
            self.project,
            self.state,
            self.contents,
            self.functions.keywords,
            time.time_ns() // 1000,
            is_other_engine=is_other,
        )
        self.decisions = self.rules.decide()
        self.seconds = time.monotonic() - begun

    def explain(self) -> None:
        """Tell the plan."""
        if self.wish.as_json:
            say(reports.explained_json(self.decisions))
            return
        names = {name: node.name for name, node in self.project.nodes.items()}
        say(reports.explained(self.decisions, names))
        say(self.told(self.decisions))

    def told(self, decisions: Mapping[str, Decision]) -> str:
        """One line about decisions, with what they save."""
        spared = sum(
            self.state.nodes[name].seconds
            for name, made in decisions.items()
            if made.decision == REUSE
        )
        saved = max(spared / self.session.threads - self.seconds, 0.0)
        return reports.summary(decisions.values(), saved)
