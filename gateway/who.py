"""Who an event is about: the identifiers that trackers send, brought to normal forms, and their ids."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from gateway.call import Call, Context
from gateway.contact import normal_email, normal_phone
from schemas.keys import partition_of
from streams.identity import Person, employee, identifiers, lead_id, normal_id
from streams.vocabulary import Vocabulary

_MAX_IDENTIFIER_CHARACTERS = 500
_MAX_NAME_CHARACTERS = 200


class Ids(NamedTuple):
    """The ids of a person's identifiers, and where the strongest one lies."""

    identifiers: tuple[str, ...]
    """Strongest first; the first is the record's key."""
    key: bytes
    partition: int


class Register:
    """Reads who events are about.  Values that identify nobody are flagged and not used."""

    def __init__(self, vocabulary: Vocabulary, secret: bytes, partitions: int) -> None:
        self._vocabulary, self._secret, self._partitions = vocabulary, secret, partitions
        self._contacts = frozenset(vocabulary.email_names + vocabulary.phone_names)
        # Visitors send many events, and five hashes cost as much as half of the rest of the stamping.
        self.ids = lru_cache(maxsize=65536)(self._ids)
        self._read = lru_cache(maxsize=65536)(self._read_id)

    def anonymous(self, call: Call, flags: list[str]) -> Person:
        """Nobody but a device: for a visitor who opted out."""
        return Person(anonymous_id=self._id(call.anonymousId, "anonymous_id", flags))

    def person(
        self, call: Call, properties: dict[str, Any], traits: dict[str, Any], context: Context, flags: list[str]
    ) -> Person:
        """Whom the event tells of; `traits` are a person's."""
        anonymous_id = self._id(call.anonymousId, "anonymous_id", flags)
        user_id = self._id(call.userId, "user_id", flags)
        email = mailbox = phone = worker = None
        if traits or context.traits or not self._contacts.isdisjoint(properties):  # of most events nothing is told
            told = [traits, context.traits]
            email, phone = self._email([*told, properties], flags), self._phone([*told, properties], flags)
            worker = self._employee(told)
        if user_id is not None and "@" in user_id and (address := normal_email(user_id)):
            if not self._vocabulary.email_identifies(address):
                flags.append("user_id_blocked")
                user_id = None
            else:
                email = email or address
        if email:
            mailbox = self._vocabulary.mailbox(email)
        return Person(user_id, email, anonymous_id, mailbox, phone, worker)

    def aliases(self, call: Call, ids: Ids, flags: list[str]) -> tuple[str, ...]:
        """The leads that an alias call says are the same person: its previous id, read as any kind of identifier."""
        previous = self._id(call.previousId, "previous_id", flags)
        if previous is None:
            return ()
        email = normal_email(previous)
        if email and not self._vocabulary.email_identifies(email):
            flags.append("previous_id_blocked")
            return ()
        readings = [lead_id("u", previous, self._secret)]
        if email:
            readings.append(lead_id("e", email, self._secret))
        readings.append(lead_id("a", previous, self._secret))
        if ids.identifiers[0] in readings:
            flags.append("alias_to_oneself")
            return ()
        return tuple(each for each in readings if each not in ids.identifiers)

    def _id(self, value: str | float | None, name: str, flags: list[str]) -> str | None:
        if value is None:
            return None
        text = value if isinstance(value, str) else str(value)
        normal, fault = self._read(text) if len(text) <= _MAX_IDENTIFIER_CHARACTERS else (None, "blocked")
        if fault:
            flags.append(f"{name}_{fault}")
        return normal

    def _read_id(self, value: str) -> tuple[str | None, str]:
        """The id in its normal form, and what is wrong with it if it is not used."""
        text = normal_id(value)
        if text is None:
            return None, "unreadable"
        if not self._vocabulary.identifies(text):
            return None, "blocked" if text else ""
        return text, ""

    def _email(self, places: list[dict[str, Any]], flags: list[str]) -> str | None:
        text = _first(self._vocabulary.email_names, places)
        if not text:
            return None
        email = normal_email(text)
        if email is None:
            flags.append("email_malformed")
        elif not self._vocabulary.email_identifies(email):
            flags.append("email_blocked")
            return None
        return email

    def _phone(self, places: list[dict[str, Any]], flags: list[str]) -> str | None:
        text = _first(self._vocabulary.phone_names, places)
        if not text:
            return None
        phone = normal_phone(text)
        if phone is None:
            flags.append("phone_not_international")
        return phone

    def _employee(self, places: list[dict[str, Any]]) -> str | None:
        """Name and company; a company stands there as its name, or as an object that has one."""
        words = self._vocabulary
        objects = [place.get(name) for place in places for name in words.company_names]
        company = _first(words.company_names, places) or _first(("name",), [e for e in objects if isinstance(e, dict)])
        if not company:
            return None
        first, last = _first(words.first_name_names, places), _first(words.last_name_names, places)
        name = _first(words.name_names, places) or (f"{first} {last}" if first and last else "")
        if len(name) > _MAX_NAME_CHARACTERS or len(company) > _MAX_NAME_CHARACTERS:
            return None
        return employee(name, company) if words.identifies(name) and words.identifies(company) else None

    def _ids(self, person: Person) -> Ids:
        found = identifiers(person, self._secret)
        key = found[0].encode()
        return Ids(found, key, partition_of(key, self._partitions))


def _first(names: tuple[str, ...], places: list[dict[str, Any]]) -> str:
    """The first text that is not blank."""
    for place in places:
        for name in names:
            value = place.get(name)
            if isinstance(value, str) and value.strip():
                return value
    return ""
