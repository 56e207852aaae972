"""The benchmarks at tiny size."""
