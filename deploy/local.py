"""Kafka and Redis for development: ``python -m deploy.local up | down | status | setup``."""

from deploy.broker import Kafka, start_kafka
from deploy.redis_server import Redis, start_redis

__all__ = ["Kafka", "Redis", "start_kafka", "start_redis"]
