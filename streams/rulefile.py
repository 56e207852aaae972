"""Rule files: TOML text to typed, validated rules; every error says file, line, field and remedy."""

from __future__ import annotations

import re
import tomllib
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
MOST_DEPTH = 50
"""Brackets within brackets: no parser's own limit, which depends on who calls it, may decide."""

_PATH_STEP = re.compile(r"\.([A-Za-z_][\w-]*)|\[(\d+)\]|\[(?:\.\.\.|'([^']*)')\]")
_TOML_PLACE = re.compile(r"\(at line (\d+), column \d+\)")
_UNKNOWN = re.compile(r"unknown field `([^`]+)`")
_MISSING = re.compile(r"missing required field `([^`]+)`")


class RuleError(Exception):
    """A rules file that is refused: what is wrong, where, and how to mend it."""

    def __init__(self, file: str, line: int, field: str, message: str, remedy: str) -> None:
        super().__init__(f"{message}\n  where: {file}, line {line}, field {field or '(file)'}\n  remedy: {remedy}")
        self.file, self.line, self.field, self.message, self.remedy = file, line, field, message, remedy


def parse(file: str, text: str, type: type[T]) -> T:
    """Parse TOML `text` of `file` into `type` (a msgspec Struct that forbids unknown fields).

    Raises RuleError when the text is no TOML or does not fit the type.
    """
    if (line := _too_deep(text)) is not None:
        raise RuleError(
            file, line, "", f"brackets are nested over {MOST_DEPTH} deep", "no rule needs that: remove some"
        )
    try:
        data = tomllib.loads(text)
    except ValueError as error:  # a TOMLDecodeError, or a number of thousands of digits
        place = _TOML_PLACE.search(str(error))
        line = int(place[1]) if place else text.count("\n") + 1
        what = _TOML_PLACE.sub("", str(error)).strip()
        raise RuleError(
            file, line, "", f"not valid TOML: {what}", "mend the syntax; see toml.io for the format"
        ) from None
    try:
        return msgspec.convert(data, type, strict=True)
    except msgspec.ValidationError as error:
        raise _located(file, text, type, str(error)) from None


def _too_deep(text: str) -> int | None:
    """The line from which on a parser might give up, wherever it does; brackets in texts count as well."""
    depth = 0
    for place, character in enumerate(text):
        if character in "[{":
            depth += 1
            if depth > MOST_DEPTH:
                return text.count("\n", 0, place) + 1
        elif character in "]}":
            depth = max(depth - 1, 0)
    return None


def fail(file: str, text: str, path: str, message: str, remedy: str) -> RuleError:
    """A RuleError for the field at `path` (as in `$.rule[3].points`), with its line looked up in `text`."""
    return RuleError(file, line_of(text, path), path.removeprefix("$").removeprefix("."), message, remedy)


def _located(file: str, text: str, type: Any, error: str) -> RuleError:
    message, _, path = error.partition(" - at `")
    path = path.rstrip("`") or "$"
    if unknown := _UNKNOWN.search(message):
        return fail(file, text, f"{path}.{unknown[1]}", message, f"remove `{unknown[1]}` or correct its spelling")
    if missing := _MISSING.search(message):
        line = line_of(text, path)
        return RuleError(
            file, line, f"{path}.{missing[1]}".removeprefix("$."), message, f"add `{missing[1]} = …` there"
        )
    allowed = _allowed(msgspec.inspect.type_info(type), path)
    remedy = f"use one of: {', '.join(allowed)}" if allowed else "give the field a value of that type and range"
    return fail(file, text, path, message, remedy)


def _allowed(info: msgspec.inspect.Type, path: str) -> list[str]:
    """The words that the field at a path may have, where its type lists them."""
    inspect = msgspec.inspect
    for name, _, _ in _PATH_STEP.findall(path):
        if isinstance(info, inspect.StructType):
            info = next((field.type for field in info.fields if field.encode_name == name), inspect.AnyType())
        elif isinstance(info, inspect.DictType):
            info = info.value_type
        elif isinstance(info, inspect.ListType | inspect.VarTupleType):
            info = info.item_type
        if isinstance(info, inspect.UnionType):
            info = next((each for each in info.types if not isinstance(each, inspect.NoneType)), info)
    if isinstance(info, inspect.LiteralType | inspect.EnumType):
        values = info.values if isinstance(info, inspect.LiteralType) else [each.value for each in info.cls]
        return [str(value) for value in values]
    return []


def line_of(text: str, path: str) -> int:
    """The line (from 1) on which the field at `path` stands, or that of the nearest table around it."""
    lines = text.split("\n")
    at, end, prefix = 0, len(lines), ""
    for name, index, quoted in _PATH_STEP.findall(path):
        if index:
            headers = [n for n, line in enumerate(lines) if re.match(rf"\s*\[\[\s*{re.escape(prefix)}\s*\]\]", line)]
            if int(index) < len(headers):
                at = headers[int(index)]
                end = next((n for n in range(at + 1, len(lines)) if re.match(r"\s*\[\[", lines[n])), len(lines))
            continue
        key = name or quoted
        if not key:
            continue
        dotted = f"{prefix}.{key}" if prefix else key
        header = re.compile(rf"\s*\[\[?\s*{re.escape(dotted)}\s*\]\]?")
        entry = re.compile(rf"""\s*["']?{re.escape(key)}["']?\s*=""")
        found = next((n for n in range(at, end) if header.match(lines[n]) or entry.match(lines[n])), None)
        if found is not None:
            at = found
            if header.match(lines[found]) and not re.match(r"\s*\[\[", lines[found]):
                end = next((n for n in range(at + 1, len(lines)) if re.match(r"\s*\[", lines[n])), len(lines))
        prefix = dotted
    return at + 1
