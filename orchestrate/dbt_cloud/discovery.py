"""What the Discovery API knows of models in an environment, to fill what artifacts leave out.

The run's own artifacts win: they are the record of that run, while the API has only the newest
state of each model, and has it later. So it is asked about reuse alone, where a model has no
result in the run that the API names, or was `skipped` in an invocation in which nothing failed.
`skipped` after a failure stays what it is: reuse saves work, a skipped model is missing work.

https://docs.getdbt.com/docs/dbt-apis/discovery-schema-environment-applied-models
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from orchestrate.dbt_cloud.answers import GraphQL
from orchestrate.dbt_cloud.client import Client
from orchestrate.dbt_cloud.errors import DbtCloudError
from orchestrate.dbt_cloud.settings import ENVIRONMENT
from orchestrate.ledger.dbt.artifacts import blank
from orchestrate.ledger.model import FAILED, KILLED, REUSED, DbtInvocation, NodeRun
from orchestrate.ledger.store import Ledger

PAGE = 500  # the most that the API gives at once
REASON = "Reused, as dbt Cloud's Discovery API says of this run"
_QUERY = """
query Models($environmentId: BigInt!, $first: Int!, $after: String) {
  environment(id: $environmentId) {
    applied {
      models(first: $first, after: $after) {
        pageInfo { endCursor hasNextPage }
        edges { node { uniqueId executionInfo { lastRunId lastRunStatus lastRunGeneratedAt } } }
      }
    }
  }
}
"""
_BUILDS = frozenset({"build", "run"})


class _Info(msgspec.Struct, rename="camel"):
    last_run_id: int | str | None = None
    last_run_status: str | None = None
    last_run_generated_at: str | None = None


class Model(msgspec.Struct, rename="camel"):
    """A model and its newest run."""

    unique_id: str
    execution_info: _Info | None = None

    @property
    def is_reused(self) -> bool:
        info = self.execution_info
        return bool(info and info.last_run_id and (info.last_run_status or "").lower() == REUSED)


class _Edge(msgspec.Struct):
    node: Model


class _PageInfo(msgspec.Struct, rename="camel"):
    has_next_page: bool = False
    end_cursor: str | None = None


class _Models(msgspec.Struct, rename="camel"):
    page_info: _PageInfo
    edges: list[_Edge]


class _Applied(msgspec.Struct):
    models: _Models


class _Environment(msgspec.Struct):
    applied: _Applied | None = None


class _Data(msgspec.Struct):
    environment: _Environment | None = None


def models(client: Client, environment_id: int) -> Iterator[Model]:
    """The models of an environment.

    Raises:
        DbtCloudError: As the client; if the environment is not there; if the query is refused.
    """
    cursor: str | None = None
    while True:
        variables = {"environmentId": environment_id, "first": PAGE, "after": cursor}
        found = _page(client, variables, environment_id)
        yield from (edge.node for edge in found.edges)
        if not found.page_info.has_next_page or found.page_info.end_cursor in {None, cursor}:
            return
        cursor = found.page_info.end_cursor


def save_reused(ledger: Ledger, found: list[Model]) -> int:
    """Save which models were reused, of runs in the ledger. Returns how many nodes that changed.

    Call it inside of `Ledger.writing`.
    """
    changed = 0
    for model in found:
        if model.is_reused and model.execution_info:
            changed += _save(ledger, str(model.execution_info.last_run_id), model.unique_id)
    return changed


def _page(client: Client, variables: Mapping[str, object], environment_id: int) -> _Models:
    where = client.settings.metadata_url
    answer = client.discover(_QUERY, variables, GraphQL)
    if answer.errors:
        said = str(answer.errors[0].get("message", "no reason"))
        raise DbtCloudError(f"The Discovery API at {where} refused the query: {said}")
    try:
        data = msgspec.convert(answer.data, _Data)
    except msgspec.ValidationError as error:
        raise DbtCloudError(f"{where} answered in another shape than is known: {error}.") from error
    if data.environment is None or data.environment.applied is None:
        raise DbtCloudError(
            f"The Discovery API at {where} has nothing of environment {environment_id}: correct "
            f"{ENVIRONMENT}, or wait for a run in it to succeed."
        )
    return data.environment.applied.models


def _save(ledger: Ledger, run_id: str, unique_id: str) -> int:
    invocations = ledger.rows(DbtInvocation, "run_id = ?", [run_id], "order by started_us")
    ids = [one.invocation_id for one in invocations]
    places = ", ".join("?" * len(ids))
    known = ledger.rows(
        NodeRun, f"unique_id = ? and invocation_id in ({places})", [unique_id, *ids]
    )
    builds = [one for one in invocations if one.command in _BUILDS]
    if not known and builds:
        node = blank(builds[-1].invocation_id, unique_id)
    elif len(known) == 1 and known[0].status == "skipped":
        node = known[0]
        if _has_failed(ledger, node.invocation_id):
            return 0
    else:
        return 0
    node.status, node.message = REUSED, REASON
    ledger.save([node])
    return 1


def _has_failed(ledger: Ledger, invocation_id: str) -> bool:
    words = [*FAILED, KILLED]
    places = ", ".join("?" * len(words))
    return bool(
        ledger.rows(
            NodeRun,
            f"invocation_id = ? and status in ({places})",
            [invocation_id, *words],
            "limit 1",
        )
    )
