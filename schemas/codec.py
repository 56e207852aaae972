"""Records to bytes and back, in Confluent's wire format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

import msgspec
from fastavro import parse_schema, schemaless_reader, schemaless_writer

from schemas.fast import (
    absorb_encoder,
    assignment_encoder,
    device_lost_encoder,
    engagement_encoder,
    link_encoder,
    notice_encoder,
    quarantined_encoder,
    release_encoder,
    tick_encoder,
    transition_encoder,
)
from schemas.head import engagement_head, tick_at
from schemas.records import RECORDS, Engagement, Record, Tick
from schemas.wire import (
    BY_PREFIX,
    LOCK,
    PREFIX_SIZE,
    Undecodable,
    Version,
    bad_utf8,
    prefix,
    read_schema,
    schema_path,
    trailing,
    truncated,
    unknown_prefix,
)

__all__ = ["Undecodable", "decode", "encode", "fastavro_decoder", "fastavro_encoder"]

Schema = Mapping[str, Any]
Encoder = Callable[[Any], bytes]
Decoder = Callable[[bytes], Record]


def encode(record: Record) -> bytes:
    """Return the record in wire format, with the id of its schema's newest version.

    A value that does not fit its field is a mistake in the program and raises what the encoder raises (TypeError,
    ValueError, OverflowError).
    """
    return _ENCODERS[type(record)](record)


def decode(value: bytes) -> Record:
    """Return the record that these bytes are; one written with an older schema is resolved to the newest.

    Raises Undecodable, and nothing else, whatever the bytes are.
    """
    decoder = _DECODERS.get(value[:PREFIX_SIZE])
    if decoder is None:
        raise unknown_prefix(value)
    return decoder(value)


def _plain(schema: Any) -> Any:
    """Return the schema without logical types: our times are ints, and fastavro would make datetimes of them."""
    if isinstance(schema, dict):
        return {name: _plain(part) for name, part in schema.items() if name != "logicalType"}
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    return schema


def _encoder(version: Version) -> Encoder:
    by_fastavro = fastavro_encoder(read_schema(schema_path(version)), prefix(version.id))
    by_hand = _BY_HAND.get(version.record)
    return by_hand(prefix(version.id), by_fastavro) if by_hand else by_fastavro


def fastavro_encoder(schema: Schema, start: bytes) -> Encoder:
    """Return an encoder by that schema, for records that begin with those bytes: the slow and certain way."""
    parsed = parse_schema(_plain(schema))

    def encode_with_fastavro(record: Any) -> bytes:
        body = BytesIO()
        body.write(start)
        schemaless_writer(body, parsed, msgspec.to_builtins(record, builtin_types=(bytes,)))
        return body.getvalue()

    return encode_with_fastavro


def fastavro_decoder(cls: type[Record], writer: Schema, reader: Schema) -> Decoder:
    """Return a decoder of what was written with one schema, as another one has it; that is, with `cls`'s fields."""
    written = parse_schema(_plain(writer))
    wanted = None if writer == reader else parse_schema(_plain(reader))
    # fastavro takes a union's branch -1 for the last and wraps numbers of more than 64 bits.  What the fold refuses
    # is a record for nobody.
    check = engagement_head if cls is Engagement else None

    def decode_with_fastavro(value: bytes) -> Record:
        if check:
            check(value)
        body = BytesIO(value)
        body.seek(PREFIX_SIZE)
        try:
            record = msgspec.convert(schemaless_reader(body, written, wanted), cls)
        except Exception as error:
            # fastavro raises whatever its parts raise on bytes that are no record (EOFError, IndexError, ValueError,
            # OverflowError, ...), and the list changes with its versions.  Our schemas do not recurse and have no
            # items of size zero, so what it reads and allocates is bounded by the length of the value.
            raise _broken(error, value, body.tell()) from error
        if body.tell() != len(value):
            raise trailing(value, body.tell())
        return record

    return decode_with_fastavro


def _decoder(writer: Version) -> Decoder:
    if writer.record == "Tick":
        return _decode_tick
    reader = LOCK[writer.record][-1]
    return fastavro_decoder(RECORDS[writer.record], read_schema(schema_path(writer)), read_schema(schema_path(reader)))


def _decode_tick(value: bytes) -> Tick:
    return Tick(tick_at(value))


def _broken(error: Exception, value: bytes, at: int) -> Undecodable:
    if isinstance(error, UnicodeDecodeError):
        return bad_utf8(error)
    # Inside of a number the end of the bytes is an IndexError, and so is a branch that a union does not have.
    if isinstance(error, EOFError) or (isinstance(error, IndexError) and at == len(value)):
        return truncated(value)
    return Undecodable("malformed", f"{type(error).__name__} while reading the record, before byte {at}: {error}")


_BY_HAND: dict[str, Callable[[bytes, Encoder], Encoder]] = {
    "Absorb": absorb_encoder,
    "Assignment": assignment_encoder,
    "DeviceLost": device_lost_encoder,
    "Engagement": engagement_encoder,
    "LeadTransition": transition_encoder,
    "Link": link_encoder,
    "Notice": notice_encoder,
    "Quarantined": quarantined_encoder,
    "Release": release_encoder,
    "Tick": tick_encoder,
}
_ENCODERS: dict[type, Encoder] = {RECORDS[name]: _encoder(versions[-1]) for name, versions in LOCK.items()}
_DECODERS: dict[bytes, Decoder] = {each: _decoder(version) for each, version in BY_PREFIX.items()}
