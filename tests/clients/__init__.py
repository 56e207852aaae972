"""Unmodified clients of other makers against the gateway."""
