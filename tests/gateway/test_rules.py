"""The rules that the gateway reads: shipped ones are valid, broken ones are refused with line and remedy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import sources
from streams import vocabulary
from streams.rulefile import RuleError
from tests.gateway.conftest import ROOT, config

WORDS = config().vocabulary_text


def test_the_shipped_rules_are_valid() -> None:
    """The demo source has the key demo, and the vocabulary knows the scored kinds."""
    shipped = sources.load("rules/sources.toml", (ROOT / "rules/sources.toml").read_text(encoding="utf-8"))
    demo = shipped.get("demo")
    assert demo is not None
    assert demo.name == "demo"
    assert {"page_view", "download", "demo_request", "dwell", "newsletter"} <= vocabulary.load("v", WORDS).kinds()


SOURCE = '[[source]]\nname = "a"\nkey = "k"\norigins = ["*"]\nopt_out = "drop"\n'


@pytest.mark.parametrize(
    ("text", "line", "field"),
    [
        ("", 1, "source"),
        ("source = []", 1, "source"),
        (SOURCE.replace('"a"', '"Big Name"'), 2, "source[0].name"),
        (SOURCE.replace('"k"', '"white space"'), 3, "source[0].key"),
        (SOURCE.replace('"*"', '"example.com"'), 4, "source[0].origins"),
        (SOURCE.replace('"drop"', '"forget"'), 5, "source[0].opt_out"),
        (SOURCE + 'trusted_proxies = ["10.0.0.1/8"]', 6, "source[0].trusted_proxies"),
        (SOURCE + "colour = 1", 6, "source[0].colour"),
        (SOURCE + SOURCE.replace('"a"', '"b"'), 8, "source[1].key"),
        (SOURCE + SOURCE.replace('"k"', '"l"'), 7, "source[1].name"),
    ],
)
def test_broken_sources_are_refused_with_line_and_remedy(text: str, line: int, field: str) -> None:
    """A sources file that cannot be right is refused, and the message says where and how to mend it."""
    with pytest.raises(RuleError) as raised:
        sources.load("rules/sources.toml", text)
    assert (raised.value.line, raised.value.field) == (line, field)
    assert raised.value.remedy


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ('page = "page_view"', "", "calls"),
        ('page = "page_view"', 'page = "Page View"', "calls['page']"),
        ('alias = "alias"', 'alias = "alias"\ntrack = "x"', "calls.track"),
        ('"Search" = "search"', '"Search" = "search"\n"search" = "other"', "events['search']"),
        ("[assets.default]", "[assets.nothing]", "assets"),
        ('asset = ["path", "url", "name"]', "asset = 5", "assets[...].asset"),
        ('also = ["googlemail.com"]', 'also = ["gmail.com"]', "identity.providers['gmail.com']"),
        ('also = ["googlemail.com"]', 'also = ["GoogleMail.com"]', "identity.providers['gmail.com']"),
    ],
)
def test_broken_vocabularies_are_refused_with_line_and_remedy(old: str, new: str, field: str) -> None:
    """A vocabulary that cannot be right is refused, and the message says where and how to mend it."""
    assert old in WORDS
    with pytest.raises(RuleError) as raised:
        vocabulary.load("rules/vocabulary.toml", WORDS.replace(old, new, 1))
    assert raised.value.field == field
    assert raised.value.line >= 1
    assert raised.value.remedy


@given(st.text(max_size=100))
def test_any_event_name_has_a_kind(name: str) -> None:
    """Whatever a site calls its events, there is a kind, and one spelling."""
    words = vocabulary.load("v", WORDS)
    kind = words.kind("track", name)
    assert kind in words.kinds() or kind == f"custom:{vocabulary.snake_case(name)}"
    assert vocabulary.snake_case(vocabulary.snake_case(name)) == vocabulary.snake_case(name)


@given(st.text(max_size=100))
def test_paths_are_stable(value: str) -> None:
    """The path of a path is itself."""
    assert vocabulary.path_of(vocabulary.path_of(value)) == vocabulary.path_of(value)
