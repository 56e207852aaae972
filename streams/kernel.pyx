# cython: language_level=3, cdivision=True
"""The common event of the lead fold, compiled: the same bytes as `streams.lead_fold` makes, in a fraction of the time.

Common is a well-formed engagement of a person, no repeat, in order, that moves its lead to no other stage or heat.
All else is left to Python, whose word is the definition: whatever is odd, too long or too large for what is planned
here is "not common", never an error.

A state goes in as bytes and comes out as bytes (`streams.state` says how they are laid out): it is read into a C struct
whose texts and columns point into the bytes, changed there, and written anew.  No length is believed: a cursor never
leaves its bytes, and what would is "not common" too.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItemWithError, PyDict_SetItem
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from schemas.fast import long as avro_long
from schemas.head import ENGAGEMENTS
from schemas.keys import partition_of
from schemas.wire import LOCK, Undecodable, prefix
from streams import decay, ledger, lifecycle, state
from streams.conditions import fitting
from streams.fold import Output
from streams.links import ID
from streams.publish import SOURCE, SPECVERSION, STATE

cdef extern from *:
    # Products of a sum in forward form and a factor of decay take up to 86 bits.
    ctypedef long long wide "__int128"

cdef enum:
    DAY_S = 86_400
    WEEK_S = 7 * DAY_S
    MOST_BYTES = 512 * 1_024
    MOST_CHANNELS = 32
    MOST_GROUP = 500
    MOST_MATCHED = 24
    MOST_LIMITS = 4
    MOST_ADDED = 8 * MOST_MATCHED
    MOST_MEMO = 8_192
    MOST_TITLE = 60
    PREFIX_SIZE = 5
    FRACTION_BITS = 16
    KNOT_BITS = 10
    VALUE_SHIFT = 25
    MOST_SHIFT = 100
    VISITOR = 0
    INQUIRY = 1
    EMAIL = 101  # e
    PHONE = 112  # p
    DEVICE = 97  # a, as a lead id of an anonymous id begins
    LOST = 1
    RELINK_S = 150 * DAY_S
    FIELDS = 24  # of a lead's state, its tag included
    MOST_IDENTIFIERS = 16
    IDENTIFIER_SIZE = 18
    LINK_SIZE = 27
    LINK_SEEN = 22
    LINK_STATUS = 26

cdef object ENGAGEMENTS_AS_READ = {each: each != prefix(LOCK["Engagement"][0].id) for each in ENGAGEMENTS}
"""The first bytes of an engagement, in any version → whether it tells identifiers behind its e-mail."""
cdef object NEW_TUPLE = tuple.__new__
cdef tuple STAGES = tuple([stage.encode() for stage in lifecycle.STAGES])
cdef int64_t HORIZON_S = ledger.HORIZON_S
cdef Py_ssize_t MAX_EVENTS = ledger.MAX_EVENTS
cdef int64_t LAST_MS = (1 << 32) * 1_000 - 1
cdef int64_t MOST_NUMBER = 1 << 50  # of what is counted or a time: so that sums of a few never overflow
if state.Lead.__struct_fields__[-3:] != ("wake", "origins", "links") or len(state.Lead.__struct_fields__) != FIELDS - 1:
    raise ImportError("compiled for leads that are laid out otherwise: compile it anew")
cdef int64_t[1_026] KNOTS
for _place, _knot in enumerate(decay.TABLE):
    KNOTS[_place] = _knot
assert (decay.FRACTION_BITS, decay.VALUE_SHIFT, len(decay.TABLE)) == (FRACTION_BITS, VALUE_SHIFT, 1_026)

include "kernel_bytes.pxi"
include "kernel_lead.pxi"
include "kernel_ledger.pxi"


cdef class Kernel:
    """Folds the common events of one partition."""
    cdef dict _states, _touched, _memo, _places
    cdef object _rules, _remember, _partition, _partitions
    cdef bytes _start, _end, _id
    cdef int64_t _model, _session_gap_s, _lowest_mark, _mql_at, _hot_at, _cap, _anonymous_idle_s
    cdef int64_t[MOST_GROUP + 1] _caps
    cdef int64_t[3] _levels
    cdef CompiledRule *_compiled
    cdef int _rule_count
    cdef uint8_t *_scratch
    cdef Py_ssize_t _room

    def __cinit__(self, rules, *_):
        self._rule_count = len(rules.rules)
        self._compiled = <CompiledRule *> PyMem_Malloc(max(1, self._rule_count) * sizeof(CompiledRule))
        if self._compiled == NULL:
            raise MemoryError

    def __dealloc__(self):
        PyMem_Free(self._compiled)
        PyMem_Free(self._scratch)

    def __init__(self, rules, partition, partitions, states, touched, remember):
        """`states` and `touched` (key → offset) are the fold's own and change in place.

        `remember(due, key)` is told when a tick is to look at a new lead.
        """
        self._rules, self._states, self._touched, self._remember, self._memo = rules, states, touched, remember, {}
        self._model, self._session_gap_s, self._cap = rules.number, rules.session_gap_s, rules.cap
        self._anonymous_idle_s = rules.anonymous_idle_s
        self._lowest_mark, self._mql_at, self._hot_at = rules.lowest_mark, rules.mql_at, rules.hot_at
        memset(self._caps, 0, sizeof(self._caps))
        for group, cap in rules.caps.items():
            self._caps[group] = cap
        for place, least in enumerate(rules.levels):
            self._levels[place] = least
        # What all records of `lead.state` have before and behind their values, and all their ids.
        self._partition, self._partitions = partition, partitions
        self._start = prefix(LOCK["LeadState"][-1].id)
        self._end = f"{avro_long(len(rules.version))}{rules.version}{avro_long(partition)}".encode("latin-1")
        self._id = f"leads-{partition}-".encode()
        self._places = {}
        for place, rule in enumerate(rules.rules):
            self._compiled[place] = compiled(rule, rules)
            self._places[rule.code] = place

    def fold(self, records, Py_ssize_t start, int64_t now):
        """Fold records from a place on, as long as they are common; the place of the first that is not."""
        cdef Py_ssize_t place, count = len(records)
        for place in range(start, count):
            if not self._fold_one(records[place], now):
                return place
        return count

    cdef bint _fold_one(self, record, int64_t now) except -1:
        cdef object given = record.value, given_key = record.key
        cdef bytes value, key, rest
        cdef Slice read
        cdef Event event
        cdef Matched matched
        cdef Lead lead
        cdef PyObject *found
        cdef bint fell = False
        if type(given) is not bytes or type(given_key) is not bytes or len(given_key) != IDENTIFIER_SIZE:
            return False
        value, key = given, given_key
        read.at, read.size = <const uint8_t *> PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value)
        if not PREFIX_SIZE < read.size <= MOST_BYTES:
            return False
        has_identifiers = ENGAGEMENTS_AS_READ.get(value[:PREFIX_SIZE])
        if has_identifiers is None or not read_event(read, has_identifiers, &event):
            return False
        if event.verdict.size != 5 or memcmp(event.verdict.at, b"human", 5) != 0 or not is_utf8(event.title):
            return False
        if not 0 <= event.ms <= LAST_MS or event.ms > <int64_t> record.timestamp + DAY_S * 1_000:
            return False
        found = PyDict_GetItemWithError(self._states, key)
        if found == NULL:
            if not self._begin(&lead, event.ms // 1_000, now, key):
                return False
        else:
            read.at = <const uint8_t *> PyBytes_AS_STRING(<bytes> found)
            read.size = PyBytes_GET_SIZE(<bytes> found)
            if not read_lead(read, &lead) or lead.model != self._model or holds(lead.ids.old, event.id):
                return False
        if event.email.at != NULL and (lead.email.at == NULL or not same(event.email, lead.email)):
            return False
        matched = self._matched(value, &event)
        if matched is None or matched.is_email_click and event.email.at != NULL and is_unverified(&lead):
            return False
        lead.as_of = max(event.ms // 1_000, now, lead.as_of)
        rest = None
        if not self._enter(&lead, &event, <const uint8_t *> PyBytes_AS_STRING(key), matched, &fell):
            return False
        if matched.keeps_title:
            rest = self._with_titles(&lead, &event, matched)
            if rest is None:
                return False
            lead.rest.at, lead.rest.size = <const uint8_t *> PyBytes_AS_STRING(rest), PyBytes_GET_SIZE(rest)
        if not self._stays(&lead, matched, key, fell):
            return False
        self._write(&lead, key)
        self._touched[key] = record.offset
        if found == NULL:
            self._remember(lead.wake, key)
        return True

    cdef bint _begin(self, Lead *lead, int64_t at, int64_t now, bytes key) except -1:
        """A lead of a device that is not known yet; False for another new lead, or a record that does not belong here."""
        if PyBytes_AS_STRING(key)[0] != DEVICE or at < HORIZON_S + WEEK_S:
            return False
        if ID.fullmatch(key.decode("latin-1")) is None or partition_of(key, self._partitions) != self._partition:
            return False
        memset(lead, 0, sizeof(Lead))
        lead.model, lead.line = self._model, line_for(at)
        lead.first_seen = lead.last_seen = at
        lead.as_of = lead.stage_since = max(at, now)
        lead.wake = lead.as_of + self._anonymous_idle_s
        lead.cleared.at, lead.cleared.size = <const uint8_t *> b"\x80", 1
        lead.rest.at, lead.rest.size = <const uint8_t *> b"\x90", 1
        return True

    cdef Matched _matched(self, bytes value, const Event *event):
        """What is known of events of this kind about this asset; None if that is out of the ordinary."""
        cdef bytes subject = PyBytes_FromStringAndSize(<const char *> event.subject.at, event.subject.size)
        cdef Matched matched = self._memo.get(subject)
        try:
            if matched is None:
                kind, asset = text_of(event.kind), text_of(event.asset)
                matched = self._match(kind, asset, self._rules.matching(kind, asset))
                if len(self._memo) >= MOST_MEMO:
                    self._memo.clear()
                self._memo[subject] = matched
            if matched.conditional:
                rules = fitting(matched.rules, value)
                matched = self._match(text_of(event.kind), text_of(event.asset), rules)
        except (UnicodeDecodeError, Undecodable):
            return None
        return matched if matched.is_common else None

    cdef Matched _match(self, str kind, str asset, tuple rules):
        cdef Matched matched = Matched()
        cdef CompiledRule *rule
        cdef bytes once
        matched.rules, matched.count = rules, 0
        matched.is_page, matched.asks = kind == "page_view", kind in self._rules.inquiry_kinds
        matched.conditional = any(each.conditions for each in rules)
        matched.keeps_title = any(each.keeps_title for each in rules)
        matched.is_email_click = kind == "email_click"
        matched.is_common = kind != "alias" and len(rules) <= MOST_MATCHED // 2
        for each in rules[:MOST_MATCHED]:
            rule = &self._compiled[<int> self._places[each.code]]
            matched.is_common &= rule.is_common
            matched.compiled[matched.count] = rule
            if rule.once:
                once = ledger.once_key(each, asset)
                memcpy(matched.onces[matched.count], PyBytes_AS_STRING(once), 8)
            matched.count += 1
        return matched

    cdef bint _enter(self, Lead *lead, const Event *event, const uint8_t *key, Matched matched, bint *fell) noexcept:
        """Into the ledger, as `streams.ledger.add` does it."""
        cdef int64_t at = event.ms // 1_000
        cdef Compiled[MOST_MATCHED] on_visit
        cdef uint8_t[4] time
        cdef int place, visit_count = 0
        if at > lead.last_seen:
            lead.last_seen = at
        elif at < lead.first_seen:
            lead.first_seen = at
        lead.events += 1
        if not see(lead, event, key, at) or not move_line(lead, at) or at < lead.line:
            return False
        if lead.times.old.size >= 4 * MAX_EVENTS:
            return False
        if lead.times.old.size >= 4 and at < time_at(lead, lead.times.old.size // 4 - 1):
            return False
        if matched.is_page:
            append(&lead.marks, <const char *> b"\x01", 1)
            visit_count = self._next_page(lead, at, on_visit)
        for place in range(matched.count):
            if not count_match(lead, matched.compiled[place], matched.onces[place], at, fell):
                return False
        for place in range(visit_count):
            if not on_visit[place].is_common or not count_match(lead, on_visit[place], NULL, at, fell):
                return False
        put_little_endian(time, at)
        append(&lead.times, time, 4)
        append(&lead.ids, event.id, 8)
        append(&lead.marks, <const char *> b"\0", 1)
        return True

    cdef int _next_page(self, Lead *lead, int64_t at, Compiled *matched) noexcept:
        """Count a page view; how many rules on visits it matches, and which."""
        cdef int64_t gap = at - lead.last_page
        cdef bint returns = lead.visits > 0 and gap >= self._session_gap_s
        cdef int place, count = 0
        if lead.visits > 0 and not returns:
            lead.pages += 1
        else:
            lead.visits += 1
            lead.pages = 1
        lead.last_page = at
        for place in range(self._rule_count):
            if self._compiled[place].page == lead.pages and count < MOST_MATCHED // 2:
                matched[count] = &self._compiled[place]
                count += 1
        for place in range(self._rule_count):
            if returns and 0 < self._compiled[place].within_s >= gap and count < MOST_MATCHED // 2:
                matched[count] = &self._compiled[place]
                count += 1
        return count

    cdef bytes _with_titles(self, const Lead *lead, const Event *event, Matched matched):
        cdef Slice rest = lead.rest, title
        cdef bytes made = None
        cdef int place
        title = shortened(event.title if event.title.size else event.asset, MOST_TITLE)
        for place in range(matched.count):
            if matched.compiled[place].keeps_title:
                made = with_title(rest, matched.compiled[place].code, title)
                if made is None:
                    return None
                rest.at, rest.size = <const uint8_t *> PyBytes_AS_STRING(made), PyBytes_GET_SIZE(made)
        return made

    cdef bint _stays(self, Lead *lead, Matched matched, bytes key, bint fell) noexcept:
        """Whether stage, heat and what a tick is to look at stay as they are."""
        cdef bint is_device = PyBytes_AS_STRING(key)[0] == DEVICE
        cdef int64_t score
        if lead.stage == VISITOR and (lead.email.at != NULL or not is_device or matched.asks):
            return False
        if lead.ceiling >= self._lowest_mark and (lead.stage == INQUIRY or not lead.hot_since):
            if not self._score(lead, lead.as_of, &score, &lead.ceiling):
                return False
            if lead.stage == INQUIRY and score >= self._mql_at and lead.email.at != NULL:
                return False
            if not lead.hot_since and score >= self._hot_at and is_reachable(lead):
                return False
        if lead.hot_since:
            return lead.wake and not fell
        return lead.wake or not is_device

    cdef bint _score(self, const Lead *lead, int64_t at, int64_t *score, int64_t *ceiling) noexcept nogil:
        """The score at a time, and what it will not exceed; False where that is beyond the numbers planned here."""
        cdef int64_t[MOST_CHANNELS] groups
        cdef wide[MOST_CHANNELS] points_of
        cdef int count = 0, place, group_place
        cdef int64_t days = 0, half_life_s, elapsed, knot, factor = 0, shift = 0, group, cap
        cdef wide points, negative = 0, total = 0
        if at < lead.line:
            return False
        for place in range(lead.sums.count):
            if lead.sums.channels[place] & 511 != days:  # most channels of a lead share one half-life
                days = lead.sums.channels[place] & 511
                half_life_s = days * DAY_S
                elapsed = (half_life_s - at % half_life_s) << KNOT_BITS
                knot = elapsed // half_life_s
                factor = KNOTS[knot] + (KNOTS[knot + 1] - KNOTS[knot]) * (elapsed % half_life_s) // half_life_s
                shift = min(MOST_SHIFT, VALUE_SHIFT + at // half_life_s - lead.line // half_life_s)
            points = lead.sums.totals[place]
            points = points * factor
            points = points >> shift
            if points < 0:
                negative -= points
            group = lead.sums.channels[place] >> 9
            group_place = 0
            while group_place < count and groups[group_place] != group:
                group_place += 1
            if group_place == count:
                groups[count], points_of[count] = group, 0
                count += 1
            points_of[group_place] += points
        for place in range(count):
            cap = self._caps[groups[place]] if groups[place] <= MOST_GROUP else 0
            cap <<= FRACTION_BITS
            total += points_of[place] if points_of[place] < cap else cap
        total = (total + (1 << (FRACTION_BITS - 1))) >> FRACTION_BITS
        score[0] = 0 if total < 0 else self._cap if total > self._cap else <int64_t> total
        negative = (negative + (1 << (FRACTION_BITS - 1))) >> FRACTION_BITS
        ceiling[0] = score[0] + <int64_t> negative + 2  # two roundings
        return True

    def seal(self, int64_t now, publisher):
        """Publish what was touched, in its order: what it changed, as key → state, None where one is gone.

        `publisher` takes what is made here by `publish`, and makes itself what is asked for seldom.
        """
        cdef dict changes = {}
        cdef bytes key
        cdef Slice read
        cdef Lead lead
        publish = publisher.publish
        for key, offset in self._touched.items():
            value = self._states.get(key)
            changes[key] = value
            if offset < 0:
                continue
            if value is not None:
                read.at, read.size = <const uint8_t *> PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value)
                if read_lead(read, &lead):
                    output = self._output(&lead, key, offset)
                    if output is not None:
                        publish(output)
                        continue
                decoded = state.decode(value)
                if isinstance(decoded, state.Lead):
                    publisher.state(key, decoded, offset)
                    continue
            publisher.gone(key, now, offset)
        return changes

    cdef object _output(self, const Lead *lead, bytes key, offset):
        """The record of `lead.state` with its headers; None if that is beyond the numbers planned here."""
        cdef uint8_t[512] value, id
        cdef uint8_t[20] time
        cdef Out out = value, id_out = id
        cdef Slice name
        cdef int64_t score, ceiling
        cdef int level = 0
        cdef bytes subject
        name.at, name.size = <const uint8_t *> PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key)
        if name.size != IDENTIFIER_SIZE or not is_ascii(name.at, name.size) or lead.stage >= len(STAGES):
            return None
        if lead.as_of >> 32 or not self._score(lead, lead.as_of, &score, &ceiling):
            return None
        while level < 3 and score < self._levels[level]:
            level += 1
        out = put(out, PyBytes_AS_STRING(self._start), PyBytes_GET_SIZE(self._start))
        out = put_avro_text(out, name)
        out = put_avro_long(out, lead.as_of * 1_000)
        out = put_avro_long(out, score)
        out = put_avro_long(out, level + 1)
        out[0] = out[1] = 0  # not hot, since null
        out += 2
        if lead.hot_since:
            memcpy(out - 2, b"\x01\x02", 2)
            out = put_avro_long(out, lead.hot_since * 1_000)
        subject = STAGES[lead.stage]
        name.at, name.size = <const uint8_t *> PyBytes_AS_STRING(subject), PyBytes_GET_SIZE(subject)
        out = put_avro_text(out, name)
        out = put_avro_long(out, lead.stage_since * 1_000)
        out = put_avro_long(out, lead.first_seen * 1_000)
        out = put_avro_long(out, lead.last_seen * 1_000)
        out = put_avro_long(out, lead.events)
        out = put_avro_long(out, lead.visits)
        out = put(out, PyBytes_AS_STRING(self._end), PyBytes_GET_SIZE(self._end))
        out = put_avro_long(out, offset)
        id_out = put(id_out, PyBytes_AS_STRING(self._id), PyBytes_GET_SIZE(self._id))
        id_out = put_digits(id_out, offset, 1)
        id_out[0] = 45  # -
        id_out = put(id_out + 1, PyBytes_AS_STRING(key), IDENTIFIER_SIZE)
        put_rfc3339(time, lead.as_of)
        headers = [
            SPECVERSION,
            ("ce_id", PyBytes_FromStringAndSize(<const char *> id, id_out - id)),
            STATE,
            SOURCE,
            ("ce_time", PyBytes_FromStringAndSize(<const char *> time, 20)),
            ("ce_subject", key),
        ]
        record = PyBytes_FromStringAndSize(<const char *> value, out - value)
        return NEW_TUPLE(Output, ("lead.state", self._partition, key, record, headers))

    cdef int _write(self, const Lead *lead, bytes key) except -1:
        cdef Py_ssize_t most = size_of(lead)
        cdef Out end
        if most > self._room:
            self._scratch = <uint8_t *> PyMem_Realloc(self._scratch, 2 * most)
            if self._scratch == NULL:
                raise MemoryError
            self._room = 2 * most
        end = put_lead(self._scratch, lead)
        self._states[key] = PyBytes_FromStringAndSize(<const char *> self._scratch, end - self._scratch)
        return 0
