"""`handraise rules`."""

from __future__ import annotations

from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING

import click

from handraise import output
from handraise.options import as_json, by_name, run_to_end, settings

if TYPE_CHECKING:
    from handraise.promotion import Promoted


@click.group("rules")
def rules_group() -> None:
    """The rules by which leads are judged and requests are routed."""


@rules_group.command("check")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@as_json
def rules_check(folder: Path, as_json: bool) -> int:
    """Judge a folder of rules; exit code 2 if it would be refused, 1 if something in it cannot be meant."""
    from handraise import checking

    found, faults = checking.judge(folder)
    if as_json:
        told = [{"what": each.what, "where": each.where, "remedy": each.remedy} for each in faults]
        output.document(
            {"ok": not faults, "problems": told, "in_force": None if found is None else checking.summary(found)}
        )
    else:
        for each in faults:
            output.fail(each)
        if found is not None and not faults:
            checking.show(found)
    return max((each.exit_code for each in faults), default=0)


@rules_group.command("diff")
@click.argument("a")
@click.argument("b")
@as_json
def rules_diff(a: str, b: str, as_json: bool) -> None:
    """What differs between two rule sets; each is a folder, a published version, or `promoted`."""
    from handraise import differing

    given = settings()
    found = differing.differences(differing.texts(given, a), differing.texts(given, b))
    if as_json:
        output.document({"same": not found, "differences": [each._asdict() for each in found]})
    else:
        differing.show(found)


@rules_group.command("publish")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@by_name
@as_json
def rules_publish(folder: Path, by: str, as_json: bool) -> None:
    """Check a folder of rules and keep the set under its version; in force is what is promoted."""
    from handraise import promotion

    found, new = run_to_end(promotion.publish(settings(), folder, by))
    if as_json:
        output.document(promotion.published_as_data(found, new))
    else:
        promotion.show_published(found, new)


@rules_group.command("promote")
@click.argument("version")
@by_name
@as_json
def rules_promote(version: str, by: str, as_json: bool) -> None:
    """Put a published set in force everywhere, from one record on; nobody is alerted by the change alone."""
    from handraise import promotion

    _put_in_force(promotion.promote(settings(), version, by), as_json)


@rules_group.command("rollback")
@by_name
@as_json
def rules_rollback(by: str, as_json: bool) -> None:
    """Promote the set that was in force before the present one; a second time leads back to the present one."""
    from handraise import promotion

    _put_in_force(promotion.rollback(settings(), by), as_json)


def _put_in_force(promoting: Coroutine[None, None, Promoted], as_json: bool) -> None:
    from handraise import promotion

    done = run_to_end(promoting)
    if as_json:
        output.document(promotion.promoted_as_data(done))
    else:
        promotion.show_promoted(done)
