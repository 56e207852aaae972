"""The simple job done by us and by others, side by side on one Kafka; `bench.peers.compare` runs it."""
