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
from cpython.dict cimport PyDict_GetItemWithError
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from schemas.fast import long as avro_long
from schemas.fields import LAYOUTS
from schemas.head import HOT_PREFIX
from schemas.wire import LOCK, Undecodable, prefix
from streams import contact, decay, lead_fold, ledger, lifecycle, links, state
from streams.conditions import holding
from streams.fold import Output
from streams.publish import SOURCE, SPECVERSION, STATE

cdef extern from *:
    # Products of a sum in forward form and a factor of decay take up to 86 bits.
    ctypedef long long wide "__int128"

cdef enum:
    DAY_S = 86_400
    WEEK_S = 7 * DAY_S
    # What there is room for here; more is not common.
    MOST_CHANNELS = 32
    MOST_GROUP = 500
    MOST_MATCHED = 24
    MOST_LIMITS = 4
    MOST_ADDED = 8 * MOST_MATCHED
    MOST_MEMO = 8_192
    MOST_IDENTIFIERS = 16
    MOST_SHIFT = 100
    # What is laid out elsewhere, and compared below.
    FIELDS = 24  # of a lead's state, its tag included
    KNOTS_SIZE = 1_026
    KNOT_BITS = 10
    FRACTION_BITS = 16
    VALUE_SHIFT = 25
    PREFIX_SIZE = 5
    IDENTIFIER_SIZE = 18
    LINK_SIZE = 27
    LINK_SINCE = 18
    LINK_SEEN = 22
    LINK_STATUS = 26
    MOST_LINKS_SIZE = 128 * LINK_SIZE
    MAX_EVENTS = 1_024
    VISITOR = 0
    INQUIRY = 1
    # Letters.
    DEVICE = 97  # a
    EMAIL = 101  # e
    PHONE = 112  # p
    USER = 117  # u
    # murmur2, see `schemas.keys`.
    MURMUR_SEED = 0x9747B28C
    MURMUR = 0x5BD1E995
    # Shapes of a record's fields.
    TEXT = 1
    LONG = 2
    ID_OF_EVENT = 3
    TEXTS = 4
    OPTIONAL = 128

if (
    (FIELDS, ("wake", "origins", "links")) != (len(state.Lead.__struct_fields__) + 1, state.Lead.__struct_fields__[-3:])
    or (KNOTS_SIZE, FRACTION_BITS, VALUE_SHIFT) != (len(decay.TABLE), decay.FRACTION_BITS, decay.VALUE_SHIFT)
    or (LINK_SIZE, MOST_LINKS_SIZE, MAX_EVENTS) != (links.SIZE, links.MOST_LINKS * links.SIZE, ledger.MAX_EVENTS)
    or (VISITOR, INQUIRY) != (lifecycle.VISITOR, lifecycle.INQUIRY)
):
    raise ImportError("the kernel was compiled for leads that are laid out otherwise")

cdef int64_t HORIZON_S = ledger.HORIZON_S, RELINK_S = links.RELINK_S, LAST_MS = lead_fold.LAST_MS
cdef int64_t MOST_BYTES = lead_fold.MOST_BYTES, MOST_TITLE = lead_fold.MOST_TITLE, MOST_KNOWN = contact.MOST_KNOWN
cdef int64_t MOST_NUMBER = 1 << 50  # of what is counted or a time: so that sums of a few never overflow
cdef uint8_t OURS = links.OURS, LOST = links.LOST
cdef int64_t[KNOTS_SIZE] KNOTS
for _place, _knot in enumerate(decay.TABLE):
    KNOTS[_place] = _knot
cdef uint8_t[MAX_EVENTS] UNIFORM  # a column of origins that are all the same, written out
cdef tuple STAGES = tuple([stage.encode() for stage in lifecycle.STAGES])
cdef object new_tuple = tuple.__new__
_SHAPES = {"text": TEXT, "long": LONG, "id": ID_OF_EVENT, "texts": TEXTS}


def _before(layout, name):
    """The shapes of an engagement's fields between the hot ones and the one with that name; None if it has none."""
    names = [each for each, _ in layout]
    if name not in names:
        return None
    first = sum(each in HOT_PREFIX for each in names)
    shapes = [shape for _, shape in layout[first : names.index(name)]]
    return bytes(_SHAPES[shape.lstrip("?")] | (OPTIONAL if shape[0] == "?" else 0) for shape in shapes)


cdef class Version:
    """A version of the engagement's schema: what lies behind its hot fields."""
    cdef bint has_identifiers
    cdef bytes before_user_id, before_reasons, before_properties

    def __init__(self, layout):
        self.has_identifiers = "identifiers" in dict(layout)
        self.before_user_id = _before(layout, "user_id")
        self.before_reasons = _before(layout, "verdict_reasons")
        self.before_properties = _before(layout, "properties")


cdef dict VERSIONS = {magic: Version(layout) for magic, layout in LAYOUTS.items()}

include "kernel_bytes.pxi"
include "kernel_lead.pxi"
include "kernel_ledger.pxi"


cdef class Kernel:
    """Folds the common events of one partition, and publishes the states of its leads."""
    cdef dict _states, _touched, _memo, _places
    cdef object _rules, _publisher, _remember, _claim, _partition
    cdef bytes _start, _end, _id
    cdef uint32_t _number, _partitions
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

    def __init__(self, rules, partition, partitions, states, touched, publisher, remember, claim):
        """`states` and `touched` (key → offset) are the fold's own and change in place.

        `remember(due, key)` is told when a tick is to look at a new lead, `claim(owner, link)` which identifier is to
        be told whose it is.
        """
        self._rules, self._states, self._touched, self._memo = rules, states, touched, {}
        self._publisher, self._remember, self._claim = publisher, remember, claim
        self._partition, self._number, self._partitions = partition, partition, partitions
        self._model, self._session_gap_s, self._cap = rules.number, rules.session_gap_s, rules.cap
        self._lowest_mark, self._mql_at, self._hot_at = rules.lowest_mark, rules.mql_at, rules.hot_at
        self._anonymous_idle_s = rules.anonymous_idle_s
        memset(self._caps, 0, sizeof(self._caps))
        for group, cap in rules.caps.items():
            self._caps[group] = cap
        for place, least in enumerate(rules.levels):
            self._levels[place] = least
        # What all records of `lead.state` have before and behind their values, and all their ids.
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
        cdef const uint8_t *id
        cdef Version version
        cdef Slice read
        cdef Event event
        cdef Matched matched
        cdef Lead lead
        cdef Claims claims
        cdef PyObject *found
        cdef int64_t at, inquiry_score
        cdef bint fell = False, is_human
        if type(given) is not bytes or type(given_key) is not bytes or len(<bytes> given_key) != IDENTIFIER_SIZE:
            return False
        value, key = given, given_key
        id = <const uint8_t *> PyBytes_AS_STRING(key)
        read = slice_of(value)
        if not PREFIX_SIZE < read.size <= MOST_BYTES:
            return False
        version = VERSIONS.get(value[:PREFIX_SIZE])
        if version is None or not read_event(read, version.has_identifiers, &event):
            return False
        if not 0 <= event.ms <= LAST_MS or event.ms > <int64_t> record.timestamp + DAY_S * 1_000:
            return False
        if not is_utf8(event.title) or event.email.at != NULL and not is_utf8(event.email):
            return False
        at = event.ms // 1_000
        found = PyDict_GetItemWithError(self._states, key)
        if found == NULL:
            if not self._begin(&lead, at, now, id):
                return False
        elif not read_lead(slice_of(<bytes> found), &lead) or lead.model != self._model:
            return False
        is_human = event.verdict.size == 5 and memcmp(event.verdict.at, b"human", 5) == 0
        if not is_human or holds(lead.ids.old, event.id):
            return self._quarantine(record, key, value, version, &event, is_human)
        matched = self._matched(value, version, &event)
        if matched is None:
            return False
        lead.as_of = max(at, now, lead.as_of)
        rest = b"\x90"
        if found == NULL and id[0] != DEVICE:
            rest = self._first_known(&lead, value, version, &event, id)
            if rest is None:
                return False
            lead.rest = slice_of(rest)
        if not self._enter(&lead, &event, id, matched, &claims, &fell):
            return False
        if matched.keeps_title:
            rest = self._with_titles(&lead, &event, matched)
            if rest is None:
                return False
            lead.rest = slice_of(rest)
        if event.email.at != NULL:
            rest = self._with_email(&lead, &event, matched, at)
            if rest is None:
                return False
            lead.rest = slice_of(rest)
        if not self._stays(&lead, matched, id, fell, &inquiry_score):
            return False
        # Nothing can be left to Python any more.
        self._write(&lead, key)
        self._touched[key] = record.offset
        if found == NULL and lead.wake:
            self._remember(lead.wake, key)
        if claims.count or inquiry_score >= 0:
            self._tell(record, key, &lead, &event, matched, &claims, inquiry_score)
        return True

    cdef bint _begin(self, Lead *lead, int64_t at, int64_t now, const uint8_t *id) noexcept:
        """A new lead; False for a record that does not belong here."""
        if at < HORIZON_S + WEEK_S or not is_id(id) or not id[0] in (DEVICE, EMAIL, USER):
            return False
        if partition_hash(id) % self._partitions != self._number:
            return False
        memset(lead, 0, <uint8_t *> lead.links - <uint8_t *> lead)
        lead.links_size = 0
        lead.model, lead.line = self._model, line_for(at)
        lead.first_seen = lead.last_seen = at
        lead.as_of = lead.stage_since = max(at, now)
        if id[0] == DEVICE:
            lead.wake = lead.as_of + self._anonymous_idle_s
        lead.cleared.at, lead.cleared.size = <const uint8_t *> b"\x80", 1
        lead.rest.at, lead.rest.size = <const uint8_t *> b"\x90", 1
        return True

    cdef bytes _first_known(self, Lead *lead, bytes value, Version version, const Event *event, const uint8_t *id):
        """The rest of a new lead: what its key was made of, if the event tells it.  None if the record is odd."""
        cdef Cursor c = cursor(event.behind, <const uint8_t *> PyBytes_AS_STRING(value) + len(value) - event.behind)
        cdef Slice made_of = event.email
        if id[0] == USER:
            made_of.at, made_of.size = NULL, 0
            pass_over(&c, version.before_user_id)
            if read_branch(&c):
                made_of = read_avro_text(&c)
            if c.bad or made_of.at != NULL and not is_utf8(made_of):
                return None
        elif made_of.size:
            lead.email = made_of
        return with_known(lead, id[0], made_of, event.ms // 1_000) if made_of.size else b"\x90"

    cdef bytes _with_email(self, Lead *lead, const Event *event, Matched matched, int64_t at):
        """The rest with the address that the event came with; None where that is left to Python."""
        cdef Known known
        cdef bytes rest = lead.rest.at[: lead.rest.size]
        if not read_known(lead, event.email, &known):
            return None
        if lead.email.at == NULL or not same(lead.email, event.email):
            lead.email = event.email
            if not known.has_email and <int64_t> known.count < MOST_KNOWN:
                rest = with_known(lead, EMAIL, event.email, at)
                known.is_unverified = True
        return None if matched.is_email_click and known.is_unverified else rest

    cdef int _tell(
        self, record, bytes key, Lead *lead, const Event *event, Matched matched, const Claims *claims, int64_t score
    ) except -1:
        """What an event has others hear, beside the state."""
        cdef int place
        cdef bytes link_id
        self._publisher.offset, self._publisher.count = record.offset, 0
        for place in range(claims.count):
            link_id = lead.links[claims.places[place] : claims.places[place] + IDENTIFIER_SIZE]
            at = event.ms // 1_000
            self._claim(key.decode(), links.Link(link_id, at, at, OURS))
        if score >= 0:
            asked = text_of(event.kind) if key[0] == DEVICE and lead.email.at == NULL else ""
            self._publisher.inquiry(key, lead.as_of, asked, score, event.id[:8].hex())
        return 0

    cdef bint _quarantine(
        self, record, bytes key, bytes value, Version version, const Event *event, bint is_human
    ) except -1:
        """Keep an event out of scoring, with the reasons."""
        cdef Cursor c
        cdef int64_t left
        cdef list reasons = []
        if not is_utf8(event.kind) or not is_utf8(event.asset):
            return False
        try:
            verdict = "duplicate" if is_human else text_of(event.verdict)
            if is_human:
                reasons.append("the lead already has this event")
            else:
                c = cursor(event.behind, <const uint8_t *> PyBytes_AS_STRING(value) + len(value) - event.behind)
                pass_over(&c, version.before_reasons)
                left = read_block(&c)
                while left:
                    reasons.append(text_of(read_avro_text(&c)))
                    left -= 1
                    if left == 0:
                        left = read_block(&c)
                if c.bad:
                    return False
        except UnicodeDecodeError:
            return False
        self._publisher.offset, self._publisher.count = record.offset, 0
        self._publisher.quarantine(key, value, event.id[:8], verdict, tuple(reasons), event.ms)
        return True

    cdef Matched _matched(self, bytes value, Version version, const Event *event):
        """What is known of events of this kind about this asset; None if that is out of the ordinary."""
        cdef bytes subject = event.subject.at[: event.subject.size]
        cdef Matched matched = self._memo.get(subject)
        cdef Cursor c
        try:
            if matched is None:
                kind, asset = text_of(event.kind), text_of(event.asset)
                matched = self._match(kind, asset, self._rules.matching(kind, asset))
                if len(self._memo) >= MOST_MEMO:
                    self._memo.clear()
                self._memo[subject] = matched
            if matched.conditional:
                c = cursor(event.behind, <const uint8_t *> PyBytes_AS_STRING(value) + len(value) - event.behind)
                pass_over(&c, version.before_properties)
                properties = text_of(read_avro_text(&c))
                if c.bad:
                    return None
                rules = holding(matched.rules, properties)
                matched = self._match(text_of(event.kind), text_of(event.asset), rules)
        except UnicodeDecodeError:
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

    cdef bint _enter(
        self, Lead *lead, const Event *event, const uint8_t *id, Matched matched, Claims *claims, bint *fell
    ) noexcept:
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
        if lead.times.old.size >= 4 * MAX_EVENTS:
            return False
        if not see(lead, event, id, at, claims) or not move_line(lead, at) or at < lead.line:
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
                rest = slice_of(made)
        return made

    cdef bint _stays(
        self, Lead *lead, Matched matched, const uint8_t *id, bint fell, int64_t *inquiry_score
    ) noexcept:
        """Whether stage, heat and what a tick is to look at stay as they are.

        Or the visitor becomes an inquiry: then `inquiry_score` is its score, else -1.
        """
        cdef int64_t score, ceiling
        cdef Known known
        inquiry_score[0] = -1
        if lead.stage == VISITOR and (lead.email.at != NULL or id[0] != DEVICE or matched.asks):
            if not self._score(lead, lead.as_of, inquiry_score, &ceiling):
                return False
            lead.stage, lead.stage_since = INQUIRY, lead.as_of
        if lead.ceiling >= self._lowest_mark and (lead.stage == INQUIRY or not lead.hot_since):
            if not self._score(lead, lead.as_of, &score, &lead.ceiling):
                return False
            if lead.stage == INQUIRY and score >= self._mql_at and lead.email.at != NULL:
                return False
            if not lead.hot_since and score >= self._hot_at:
                if not read_known(lead, lead.email, &known) or lead.email.at != NULL or known.has_phone:
                    return False
        if lead.hot_since:
            return lead.wake and not fell
        return lead.wake or id[0] != DEVICE

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

    def seal(self, int64_t now):
        """Publish what was touched, in its order; what it changed, as key → state, None where one is gone."""
        cdef dict changes = {}
        cdef bytes key
        cdef Lead lead
        publisher, publish = self._publisher, self._publisher.publish
        for key, offset in self._touched.items():
            value = self._states.get(key)
            changes[key] = value
            if offset < 0:
                continue
            if value is not None:
                if read_lead(slice_of(value), &lead):
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
        name = slice_of(key)
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
        name = slice_of(subject)
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
        return new_tuple(Output, ("lead.state", self._partition, key, record, headers))

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
