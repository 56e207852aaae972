"""Benchmarks on real Kafka: what an event costs, how late an alert comes, what a restart and a lead take."""
