"""Fixtures of the tests that start processes through the host."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.conftest import cgroup2_mount
from tests.host.host import World, world


@pytest_asyncio.fixture
async def here(cgroup: Path, tmp_path: Path) -> AsyncIterator[World]:
    """A host with a sub-tree of its own."""
    mount = cgroup2_mount()
    assert mount is not None
    async with world(tmp_path, f"/{cgroup.relative_to(mount)}") as made:
        assert made.warnings == []
        yield made


@pytest_asyncio.fixture
async def bare(tmp_path: Path) -> AsyncIterator[World]:
    """A host that has to do without cgroups."""
    async with world(tmp_path, "/no-such-cgroup/below") as made:
        assert len(made.warnings) == 1
        yield made
