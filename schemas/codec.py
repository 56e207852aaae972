"""Records to bytes and back, in Confluent's wire format."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import msgspec
from fastavro import parse_schema, schemaless_reader, schemaless_writer

from schemas.records import RECORDS, Record
from schemas.wire import BY_PREFIX, LOCK, PREFIX_SIZE, Undecodable, Version, prefix, read_schema, unknown_prefix

__all__ = ["Undecodable", "decode", "encode"]


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


def _encoder(version: Version) -> Callable[[Any], bytes]:
    schema = parse_schema(_plain(read_schema(version)))
    head = prefix(version.id)

    def encode_with_fastavro(record: Any) -> bytes:
        body = BytesIO()
        body.write(head)
        schemaless_writer(body, schema, msgspec.to_builtins(record, builtin_types=(bytes,)))
        return body.getvalue()

    return encode_with_fastavro


def _decoder(writer: Version, reader: Version) -> Callable[[bytes], Record]:
    cls = RECORDS[writer.record]
    written = parse_schema(_plain(read_schema(writer)))
    wanted = None if writer == reader else parse_schema(_plain(read_schema(reader)))

    def decode_with_fastavro(value: bytes) -> Record:
        body = BytesIO(value)
        body.seek(PREFIX_SIZE)
        try:
            fields = schemaless_reader(body, written, wanted)
            record = msgspec.convert(fields, cls)
        except Exception as error:
            # fastavro raises whatever its parts raise on bytes that are no record (EOFError, IndexError, ValueError,
            # OverflowError, MemoryError, ...), and the list grows with its versions.  Our schemas do not recurse and
            # have no items of size zero, so what it reads and allocates is bounded by the length of the value.
            raise _broken(error, value) from error
        if body.tell() != len(value):
            end = body.tell()
            raise Undecodable("trailing_bytes", f"{len(value) - end} bytes follow the record, from byte {end}")
        return record

    return decode_with_fastavro


def _broken(error: Exception, value: bytes) -> Undecodable:
    if isinstance(error, UnicodeDecodeError):
        return Undecodable("bad_utf8", f"a text is not UTF-8: {error.reason} at its byte {error.start}")
    if isinstance(error, (EOFError, IndexError)):
        return Undecodable("truncated", f"the record ends in the middle of a field, after {len(value)} bytes")
    return Undecodable("malformed", f"{type(error).__name__} while reading the record: {error}")


_ENCODERS: dict[type, Callable[[Any], bytes]] = {
    RECORDS[name]: _encoder(versions[-1]) for name, versions in LOCK.items()
}
_DECODERS: dict[bytes, Callable[[bytes], Record]] = {
    each: _decoder(version, LOCK[version.record][-1]) for each, version in BY_PREFIX.items()
}
