"""One deterministic profile for the property tests: the same examples on every machine."""

from hypothesis import HealthCheck, Phase, settings

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
