"""`handraise rebuild-read-side`: a new generation of the read side, from the topics' beginnings."""

from __future__ import annotations

from typing import Any

from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from agents.lane.errors import LaneRefused
from agents.mirror import Filled, Mirror, MirrorConfig
from handraise import output
from handraise.failure import Failure
from handraise.settings import Settings
from handraise.topics import unreachable
from handraise.words import count


async def rebuild(settings: Settings) -> Filled:
    """Fill it and have it read from then on; a mirror that runs goes on with it.  Raises Failure."""
    mirror = Mirror(MirrorConfig(settings.kafka, settings.redis, settings.prefix))
    try:
        return await mirror.rebuild()
    except LaneRefused as refusal:
        raise Failure(refusal.what, refusal.where, refusal.remedy) from refusal
    except RedisError as error:
        raise Failure(
            f"Redis does not answer: {error or type(error).__name__}",
            "HANDRAISE_REDIS",
            "start Redis (`make up`), or correct the address",
        ) from error
    except (KafkaError, OSError) as error:
        raise unreachable(settings.kafka, error) from error


def as_data(filled: Filled) -> dict[str, Any]:
    """For machines."""
    return {"generation": filled.generation, "records": filled.records, "seconds": round(filled.seconds, 3)}


def show(filled: Filled) -> None:
    """In words."""
    output.say(f"generation {filled.generation}: {count(filled.records, 'record')} in {filled.seconds:.1f} s", "good")
