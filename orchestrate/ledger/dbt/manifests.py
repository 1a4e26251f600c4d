"""When two manifests of dbt are of equal projects. No library is needed: the launcher uses it too.

https://docs.getdbt.com/reference/artifacts/manifest-json
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

# When and by whom it was written, and what follows from the rest.
_NOT_THE_PROJECT = frozenset({"metadata", "parent_map", "child_map", "group_map"})
# dbt reads what did not change from its cache; a build writes the manifest once more at its end.
_LEFT_BY_READING = frozenset({"created_at", "root_path"})
_LEFT_BY_COMPILING = frozenset(
    {"compiled", "compiled_code", "compiled_path", "build_path", "extra_ctes"}
    | {"extra_ctes_injected"}
)
_LEFT = _LEFT_BY_READING | _LEFT_BY_COMPILING


def digest(manifest: dict[str, Any]) -> str:
    """64 hexadecimal digits, equal for equal projects: before a build and after, here and there."""
    content = {
        name: {key: _bare(entry) for key, entry in part.items()} if isinstance(part, dict) else part
        for name, part in manifest.items()
        if name not in _NOT_THE_PROJECT
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _bare(entry: Any) -> Any:
    """A node without what reading and compiling leave in it; `disabled` holds lists of nodes."""
    if isinstance(entry, list):
        return [_bare(one) for one in entry]
    if not isinstance(entry, dict):
        return entry
    bare = {name: value for name, value in entry.items() if name not in _LEFT}
    depends_on = bare.get("depends_on")
    if isinstance(depends_on, dict):
        # Compiling adds the macros that it went through.
        bare["depends_on"] = {k: v for k, v in depends_on.items() if k != "macros"}
    return bare
