"""One deterministic profile for the property tests: the same examples on every machine."""

import pytest
from hypothesis import HealthCheck, Phase, settings

pytest.register_assert_rewrite("tests.streams.harness", "tests.oracle.compare")

settings.register_profile(
    "laws",
    derandomize=True,
    deadline=None,
    max_examples=100,
    database=None,
    phases=[Phase.explicit, Phase.generate],  # shrinking a story of forty events can take longer than a test may
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("laws")
