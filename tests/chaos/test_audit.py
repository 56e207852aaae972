"""The audit itself: it finds nothing in what is right, and every sort of fault that is planted."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from schemas.codec import decode, encode
from schemas.records import Absorb, Engagement, LeadAlert, LeadState, Promote, Release
from tests.chaos.audit import OUTPUTS, Events, Verdict, judge, promotions
from tests.oracle.replay import Record
from tests.streams.harness import MONDAY, SHIPPED, Time
from tests.streams.network import Act, Network, Wish, id_of

STRONG, WEAK = sorted(("ida", "tom"), key=lambda name: id_of(f"u:{name}"))
STORY = [
    *(Act(MONDAY + n, "download", f"paper {n}", device="phone") for n in range(3)),
    Act(MONDAY + 10, "demo_request", device="laptop"),
    Act(MONDAY + 20, "identify", user="ana", email="a@b.example", device="phone"),
    Act(MONDAY + 21, "identify", user="ana", email="a@b.example", device="laptop"),
    Act(MONDAY + 30, "search", device="phone"),
    Act(MONDAY + 30, "search", device="phone"),
    Act(MONDAY + 40, device="stranger"),
    Time(MONDAY + 50),
    *(Act(MONDAY + 60 + n, user=name, email="us@b.example") for n, name in enumerate(("ben", "eva"))),
    *(Act(MONDAY + 70 + n, user=name) for n, name in enumerate((WEAK, STRONG))),
    Wish(f"u:{WEAK}", f"u:{STRONG}", MONDAY + 80),
    Wish(f"u:{WEAK}", at_s=MONDAY + 81),
    Wish(f"u:{WEAK}", at_s=MONDAY + 82),
]
PEOPLE = {
    act.id(): "eve" if act.device == "stranger" else "ana" if act.device else act.user
    for act in STORY
    if isinstance(act, Act)
}


class Scene:
    """What stands on the topics after the story, by partition, and who did what; to plant faults in."""

    def __init__(self) -> None:
        network = Network(1).tell(*STORY)
        self.inboxes = network.logs
        self.said = [
            {
                name: [Record(n, 0, it.key, it.value) for n, it in enumerate(outputs) if it.topic == name]
                for name in OUTPUTS
            }
            for outputs in network.outputs
        ]
        self.people = dict(PEOPLE)

    def verdict(self) -> Verdict:
        """The audit's."""
        total = Verdict()
        for inbox, said in zip(self.inboxes, self.said, strict=True):
            total.add(judge(SHIPPED, inbox, said, Events(self.inboxes)))
        total.judge_mail()
        total.judge_suspicions()
        total.judge_people(self.people)
        return total

    def of(self, topic: str) -> list[Record]:
        """The records of a topic in the partition that has the most."""
        return max((said[topic] for said in self.said), key=len)

    def mail(self, kind: type) -> tuple[list[Record], int]:
        """The inbox in which mail of that kind stands first, and its place there; of events, one passed on."""
        for inbox in self.inboxes:
            for place, record in enumerate(inbox):
                body = decode(record.value or b"")
                passed_on = isinstance(body, Engagement) and (record.key or b"").decode() != body.identifiers[0]
                if isinstance(body, kind) and (passed_on or kind is not Engagement):
                    return inbox, place
        raise AssertionError


Plant = Callable[[Scene], object]


def lose(topic: str) -> Plant:
    """The last record of the topic was lost."""
    return lambda scene: scene.of(topic).pop()


def double(topic: str) -> Plant:
    """The last record of the topic came twice."""
    return lambda scene: scene.of(topic).append(scene.of(topic)[-1])


def invent(scene: Scene) -> None:
    """An alert that nothing caused."""
    records = scene.of("lead.alerts")
    alert = decode(records[0].value or b"")
    assert isinstance(alert, LeadAlert)
    records.append(Record(99, 0, records[0].key, encode(msgspec.structs.replace(alert, source_offset=9_000))))


def miscount(scene: Scene) -> None:
    """A final state with two milli-points too many."""
    records = scene.of("lead.state")
    state = decode(records[-1].value or b"")
    assert isinstance(state, LeadState)
    value = encode(msgspec.structs.replace(state, behaviour_millipoints=state.behaviour_millipoints + 2))
    records[-1] = Record(99, 0, records[-1].key, value)


def revive(scene: Scene) -> None:
    """A device that has become a part of somebody has a state again."""
    device = id_of("a:phone").encode()
    states = (said["lead.state"] for said in scene.said)
    records = next(each for each in states if any(it.key == device for it in each))
    gone = next(it for it in records if it.key == device and it.value is None)
    records.append(next(it for it in records if it.key == gone.key and it.value is not None))


def lose_mail(kind: type) -> Plant:
    """Mail that was written never arrived."""

    def plant(scene: Scene) -> None:
        inbox, place = scene.mail(kind)
        del inbox[place]

    return plant


def forget(scene: Scene) -> None:
    """Somebody did a thing that no lead has."""
    scene.people[b"nowhere!"] = "ana"


def split(scene: Scene) -> None:
    """What two leads have was done by one person."""
    scene.people = dict.fromkeys(PEOPLE, "ana")


def test_nothing_is_found_in_what_is_right() -> None:
    """The folds' own words pass, and all of them are counted."""
    verdict = Scene().verdict()
    assert verdict.faults() == []
    wanted = {"transition": 12, "alert": 1, "quarantined": 1, "refused": 1, "suspected": 1}
    wanted |= {"departed": 3, "parted": 1, "letters": 8, "people": 6}
    assert {what: verdict.counts[what] for what in wanted} == wanted


@pytest.mark.parametrize(
    ("plant", "where"),
    [
        (lose("lead.transitions"), "missing"),
        (lose("lead.alerts"), "missing"),
        (lose("engagement.quarantine"), "missing"),
        (double("lead.transitions"), "doubled"),
        (double("lead.alerts"), "doubled"),
        (double("engagement.quarantine"), "doubled"),
        (invent, "without_cause"),
        (lose("lead.state"), "states"),
        (miscount, "states"),
        (revive, "states"),
        (lose_mail(Absorb), "missing"),
        (lose_mail(Engagement), "missing"),
        (lose_mail(Release), "missing"),
        (lose("engagement.rejected"), "missing"),
        (double("engagement.rejected"), "doubled"),
        (lose("lead.duplicates"), "missing"),
        (forget, "missing"),
        (split, "states"),
    ],
)
def test_a_planted_fault_is_found(plant: Plant, where: str) -> None:
    """What is lost, doubled, invented or miscounted is found under its name."""
    scene = Scene()
    plant(scene)
    assert len(getattr(scene.verdict(), where)) >= 1


def test_promotions_are_read_in_order() -> None:
    """A set that is said again at once counts once, one that is promoted again later twice."""
    said = [Promote(version, (), 0, "ana") for version in ("a", "a", "b", "a")]
    inbox = [Record(n, 0, None, encode(it)) for n, it in enumerate(said)]
    assert promotions([*inbox, Record(9, 0, None, None)]) == ("a", "b", "a")


def test_findings_of_partitions_add_up() -> None:
    """The whole verdict has every partition's faults and the longest pause of all."""
    total = Verdict()
    total.add(Verdict(missing=["a"], longest_pause_s=2.0))
    total.add(Verdict(missing=["b"], longest_pause_s=1.0))
    assert (total.missing, total.longest_pause_s) == (["a", "b"], 2.0)
