"""A console for each test."""

import pytest

from tests.console.world import World


@pytest.fixture
def world() -> World:
    """A console over the real desk, with Ana, Ben and Mert, who always work."""
    return World()
