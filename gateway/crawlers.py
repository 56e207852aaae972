"""Bots that say so: the user agent against the public list of crawlers."""

from __future__ import annotations

from functools import lru_cache

from crawleruseragents import CRAWLER_USER_AGENTS_DATA, is_crawler, matching_crawlers

_MAX_CHARACTERS = 1000
"""A user agent is a few hundred characters; only so many are matched against the patterns."""


def judge(user_agent: str) -> tuple[str, tuple[str, ...]]:
    """The verdict `human` or `bot` on a user agent, and why."""
    return _judge(user_agent[:_MAX_CHARACTERS])


# A look-up takes the patterns a fraction of a millisecond; a site sees a few thousand different user agents a day.
@lru_cache(maxsize=16384)
def _judge(text: str) -> tuple[str, tuple[str, ...]]:
    if not text or not is_crawler(text):
        return "human", ()
    patterns = [CRAWLER_USER_AGENTS_DATA[found]["pattern"] for found in matching_crawlers(text)[:3]]
    return "bot", tuple(f"the user agent is that of a crawler: {pattern}" for pattern in patterns)
