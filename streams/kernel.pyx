# cython: language_level=3, cdivision=True
"""The common records of the lead fold, compiled: the same bytes as `streams.lead_fold` makes, in a fraction of the time.

Common are a well-formed engagement, in order or not, a link, and an absorbed lead: over 99 of 100.  All else is left to
Python, whose word is the definition: ticks, other mail, the folding of old events, and whatever is odd, too long or too
large for what is planned here.  That is "not common", never an error.  And where a lead may have come to another stage
or heat, Python judges it when the kernel has written it.

A state goes in as bytes and comes out as bytes (`streams.state` says how they are laid out): it is read into a C struct
whose texts and columns point into the bytes, changed there, and written anew.  No length is believed: a cursor never
leaves its bytes, and what would is "not common" too.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItemWithError
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memmove, memset

from schemas import keys
from schemas.fast import long as avro_long
from schemas.fields import LAYOUTS
from schemas.head import HOT_PREFIX
from schemas.wire import LOCK, prefix
from streams import contact, decay, forwarding, judging, lead_fold, ledger, lifecycle, links, poison, publish, state
from streams.conditions import holding
from streams.fold import Output
from streams.publish import INBOX, SOURCE, SPECVERSION, STATE, TRANSITION

include "kernel_layout.pxi"
include "kernel_bytes.pxi"
include "kernel_table.pxi"
include "kernel_lead.pxi"
include "kernel_rest.pxi"
include "kernel_event.pxi"
include "kernel_rules.pxi"
include "kernel_ledger.pxi"
include "kernel_union.pxi"
include "kernel_publish.pxi"
include "kernel_memory.pxi"
include "kernel_book.pxi"
include "kernel_mail.pxi"


def partition_of(bytes key, uint32_t partitions):
    """What `schemas.keys.partition_of` says."""
    if len(key) != IDENTIFIER_SIZE:
        return keys.partition_of(key, partitions)
    return partition_hash(<const uint8_t *> PyBytes_AS_STRING(key)) % partitions


cdef class Kernel(Mailbox):
    """Folds the common records of one partition, and publishes the states of its leads."""

    cdef readonly Py_ssize_t place

    def fold(self, records, Py_ssize_t start, int64_t now):
        """Fold records from a place on, as long as they are common; the place of the first that is not."""
        cdef Py_ssize_t place, count = len(records)
        for place in range(start, count):
            self.place = place
            if not self._fold_one(records[place], now):
                return place
        return count

    cdef bint _fold_one(self, record, int64_t now) except -1:
        cdef object given = record.value, given_key = record.key
        cdef bytes value, key, rest
        cdef const uint8_t *id
        cdef Version version
        cdef Slice read
        cdef Event event
        cdef Matched matched
        cdef Lead lead
        cdef Claims claims
        cdef Slice found
        cdef int64_t at, inquiry_score
        cdef bint fell = False, is_human, is_heard, stays
        cdef int place
        if type(given) is not bytes or type(given_key) is not bytes or len(<bytes> given_key) != IDENTIFIER_SIZE:
            return False
        value, key = given, given_key
        id = <const uint8_t *> PyBytes_AS_STRING(key)
        read = slice_of(value)
        if not PREFIX_SIZE < read.size <= MOST_BYTES:
            return False
        version = VERSIONS.get(value[:PREFIX_SIZE])
        if version is None:
            return self._mail(record, key, value, now)
        if not read_event(read, version.has_identifiers, &event):
            return False
        if not 0 <= event.ms <= LAST_MS or event.ms > <int64_t> record.timestamp + DAY_S * 1_000:
            return False
        if not is_utf8(event.title) or event.email.size > MOST_CHARACTERS:
            return False
        if event.email.at != NULL and not is_utf8(event.email):
            return False
        at = event.ms // 1_000
        found = self._find(key)
        if found.at == NULL:
            if not self._begin(&lead, at, now, id):
                return False
        elif not read_lead(found, &lead):
            return self._forward(found, value, max(at, now))
        is_human = event.verdict.size == 5 and memcmp(event.verdict.at, b"human", 5) == 0
        if not is_human or holds(lead.ids.old, event.id):
            return quarantine(self._publisher, record.offset, key, value, version, &event, is_human)
        matched = self._matcher.of(version, &event)
        if matched is None:
            return False
        lead.as_of = max(at, now, lead.as_of)
        rest = b"\x90"
        if found.at == NULL and id[0] != DEVICE:
            rest = first_known(&lead, version, &event, id)
            if rest is None:
                return False
            lead.rest = slice_of(rest)
        if not self._enter(&lead, &event, id, matched, &claims, &fell):
            return False
        if matched.keeps_title:
            rest = with_titles(lead.rest, &event, matched)
            if rest is None:
                return False
            lead.rest = slice_of(rest)
        is_heard = event.email.at != NULL and (lead.email.at == NULL or not same(lead.email, event.email))
        if is_heard or matched.is_email_click and event.email.at != NULL:
            rest = with_email(&lead, &event, matched)
            if rest is None:
                return False
            lead.rest = slice_of(rest)
        # From here on nothing can be left to Python but to judge.
        stays = self._stays(&lead, matched.asks, id, fell, &inquiry_score)
        if found.at == NULL and lead.wake:
            if stays:
                self._remember(lead.wake, key)
            else:
                lead.wake = 0
        self._write(&lead, key)
        self._touched[key] = record.offset
        for place in range(claims.count):
            self._tell(key, lead.links + claims.places[place], at, None)
        if not stays:
            self._judge(record, key, text_of(event.kind), event.id[:8], fell)
        elif inquiry_score >= 0:
            self._inquire(key, record.offset, &lead, &event, inquiry_score)
        return True

    cdef bint _begin(self, Lead *lead, int64_t at, int64_t now, const uint8_t *id) noexcept:
        """A new lead; False for a record that does not belong here."""
        if at < HORIZON_S + WEEK_S or not self._is_own(id) or not id[0] in (DEVICE, EMAIL, USER):
            return False
        empty(lead)
        lead.model, lead.line = self._model, line_for(at)
        lead.first_seen = lead.last_seen = at
        lead.as_of = lead.stage_since = max(at, now)
        if id[0] == DEVICE:
            lead.wake = lead.as_of + self._anonymous_idle_s
        return True

    cdef bint _enter(
        self, Lead *lead, const Event *event, const uint8_t *id, Matched matched, Claims *claims, bint *fell
    ) except -1:
        """Into the ledger, as `streams.ledger.add` does it."""
        cdef int64_t at = event.ms // 1_000
        cdef Compiled[MOST_MATCHED] on_visit
        cdef uint8_t[4] time
        cdef uint8_t origin
        cdef int place, visit_count = 0
        cdef Lead nothing
        if not lead.events:
            lead.first_seen = lead.last_seen = at
        elif at > lead.last_seen:
            lead.last_seen = at
        elif at < lead.first_seen:
            lead.first_seen = at
        lead.events += 1
        if lead.times.old.size >= 4 * MAX_EVENTS or not see(lead, event, id, at, claims, &origin):
            return False
        if lead.model != self._model:
            empty(&nothing)
            if not self._unite(lead, &nothing, NULL) or not self._is_plain(lead, id):
                return False
            fell[0] = True
        if not move_line(lead, at) or at < lead.line:
            return False
        if lead.times.old.size >= 4 and at < time_at(lead, lead.times.old.size // 4 - 1):
            if fell[0]:  # the room for what was derived anew is taken
                return False
            fell[0] = True
            return self._insert(lead, event, matched, at, origin)
        if matched.is_page:
            append(&lead.marks, <const char *> b"\x01", 1)
            visit_count = self._matcher.next_page(lead, at, on_visit)
        for place in range(matched.count):
            if not count_match(lead, matched.compiled[place], matched.onces[place], at, fell):
                return False
        for place in range(visit_count):
            if not on_visit[place].is_common or not count_match(lead, on_visit[place], NULL, at, fell):
                return False
        note_origin(lead, origin)
        put_little_endian(time, at)
        append(&lead.times, time, 4)
        append(&lead.ids, event.id, 8)
        append(&lead.marks, <const char *> b"\0", 1)
        return True

    cdef bint _insert(self, Lead *lead, const Event *event, Matched matched, int64_t at, uint8_t origin) except -1:
        """Put an event into its place among those that came before it."""
        cdef Lead one
        cdef uint8_t[4] time
        cdef uint8_t[256] place_of
        cdef int place
        empty(&one)
        put_little_endian(time, at)
        one.times.old.at, one.times.old.size = time, 4
        one.ids.old.at, one.ids.old.size = event.id, 8
        one.origins.old.at, one.origins.old.size = &origin, 1
        place_of[origin] = origin
        if matched.is_page:
            append(&one.marks, <const char *> b"\x01", 1)
        for place in range(matched.count):
            append(&one.marks, matched.compiled[place].cut, matched.compiled[place].mark_size)
            if matched.compiled[place].once:
                append(&one.onces, matched.onces[place], 8)
        append(&one.marks, <const char *> b"\0", 1)
        one.marks.old.at, one.marks.old.size = one.marks.added, one.marks.added_size
        one.onces.old.at, one.onces.old.size = one.onces.added, one.onces.added_size
        return self._unite(lead, &one, place_of)

    cdef bint _unite(self, Lead *lead, const Lead *other, const uint8_t *place_of) except -1:
        """Give a lead the events of another one, and derive anew what follows from its events."""
        cdef Rest rest
        return (
            read_rest(lead.rest, &rest)
            and self._rebuilder.merge(lead, other, place_of)
            and self._rebuilder.rebuild(lead, &rest)
        )

