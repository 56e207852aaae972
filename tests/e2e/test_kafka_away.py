"""Kafka away, by kill -9: nothing that was acknowledged is lost, nothing is doubled, and all recovers by itself."""

from collections.abc import Callable

from deploy.local import Kafka
from tests.e2e.deployment import Deployment, until
from tests.e2e.flow import Flow


def test_kafka_killed_and_started_again(own_kafka: Callable[..., Kafka], deploy: Callable[..., Deployment]) -> None:
    """Every event answered with 200 is scored exactly once; gateway and worker recover by themselves."""
    broker = own_kafka()
    flow = Flow(deploy(kafka=broker.bootstrap))
    broker.kill()
    flow.until_refused()
    status, why = flow.gateway.child.readiness()
    assert status == 503, why
    assert "Kafka" in why
    until(lambda: not flow.worker.ready(), "the worker to say that it cannot work")
    broker.start()
    flow.until_more(400)
    flow.close()
