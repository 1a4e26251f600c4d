"""dbt's manifest.json as rows: the nodes of a project, and what each depends on.

https://docs.getdbt.com/reference/artifacts/manifest-json
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from orchestrate.ledger.dbt.artifacts import Metadata, read
from orchestrate.ledger.instants import instant_us
from orchestrate.ledger.model import Manifest, ManifestNode, Row


class _DependsOn(msgspec.Struct):
    nodes: list[str] | None = None


class _Node(msgspec.Struct):
    unique_id: str
    name: str
    resource_type: str = ""
    package_name: str = ""
    schema: str | None = None
    alias: str | None = None
    identifier: str | None = None
    original_file_path: str | None = None
    tags: list[str] | None = None
    group: str | None = None
    owner: Any = None
    depends_on: _DependsOn | None = None
    config: dict[str, Any] | None = None


class _Manifest(msgspec.Struct):
    metadata: Metadata
    nodes: dict[str, _Node] | None = None
    sources: dict[str, _Node] | None = None
    unit_tests: dict[str, _Node] | None = None
    exposures: dict[str, _Node] | None = None
    metrics: dict[str, _Node] | None = None
    semantic_models: dict[str, _Node] | None = None
    saved_queries: dict[str, _Node] | None = None
    groups: dict[str, _Node] | None = None


def manifest_rows(path: Path, manifest_hash: str) -> Iterator[Row]:
    """The rows of manifest.json.

    Raises:
        FileNotFoundError: If there is none.
        UnreadableError: As `read`.
    """
    manifest = read(path, _Manifest)
    yield Manifest(
        manifest_hash=manifest_hash,
        project=manifest.metadata.project_name or "",
        adapter=manifest.metadata.adapter_type,
        dbt_version=manifest.metadata.dbt_version,
        generated_us=instant_us(manifest.metadata.generated_at),
    )
    owners = {group.name: _owner(group.owner) for group in (manifest.groups or {}).values()}
    for part in (
        manifest.nodes,
        manifest.sources,
        manifest.unit_tests,
        manifest.exposures,
        manifest.metrics,
        manifest.semantic_models,
        manifest.saved_queries,
    ):
        for unique_id, node in (part or {}).items():
            config = node.config or {}
            group = node.group or config.get("group")
            meta = config.get("meta") or {}
            yield ManifestNode(
                manifest_hash=manifest_hash,
                unique_id=unique_id,
                resource_type=node.resource_type or unique_id.split(".")[0],
                name=node.name,
                package=node.package_name,
                schema=node.schema,
                identifier=node.identifier or node.alias,
                path=node.original_file_path,
                owner=_owner(node.owner) or _owner(meta.get("owner")) or owners.get(str(group)),
                tags=node.tags or [],
                depends_on=(node.depends_on.nodes if node.depends_on else None) or [],
                config=config,
            )


def _owner(owner: Any) -> str | None:
    """Of a name, or of dbt's object with a name and an address."""
    if isinstance(owner, dict):
        owner = owner.get("name") or owner.get("email")
    return str(owner) if owner else None
