"""Parametrize tests over the overlays."""

import pytest

from tests.manifests.rendering import OVERLAYS


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that has an ``overlay`` argument once for each overlay."""
    if "overlay" in metafunc.fixturenames:
        metafunc.parametrize("overlay", sorted(folder.name for folder in OVERLAYS.iterdir()))
