"""Environments of the plugins, made once for all processes of a test session."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import plugins


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that every process of this session has in common."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if os.environ.get("PYTEST_XDIST_WORKER") else own


@pytest.fixture(scope="session")
def loader_bin(shared_folder: Path) -> Path:
    return plugins.install("loader", shared_folder)


@pytest.fixture(scope="session")
def transformer_bin(shared_folder: Path) -> Path:
    return plugins.install("transformer", shared_folder)
