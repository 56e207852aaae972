"""The trackers' door: events over HTTP, stamped and appended to Kafka; 200 means that Kafka has them."""
