# The events of two ledgers in one, and a ledger derived anew: streams/union.py and `streams.ledger.rebuild`.

# -- the recorded events of a lead, one after the other

cdef struct Walk:
    Slice times, ids, marks, onces, origins  # of marks and onces, what is behind the event
    Py_ssize_t count, number
    bint bad  # the columns do not fit each other
    # The event:
    int64_t at
    const uint8_t *id
    Slice its_marks, its_onces
    uint8_t origin


cdef Walk walk(const Lead *lead) noexcept nogil:
    cdef Walk w
    w.times, w.ids, w.marks = lead.times.old, lead.ids.old, lead.marks.old
    w.onces, w.origins = lead.onces.old, lead.origins.old
    w.count, w.number, w.at = w.times.size // 4, 0, 0
    w.bad = w.times.size != 4 * w.count or w.ids.size != 8 * w.count
    w.bad |= w.origins.size > 1 and w.origins.size != w.count
    return w


cdef bint step(Walk *w) noexcept nogil:
    """Go to the next event; False behind the last, or if there is something wrong."""
    cdef Py_ssize_t place, keys = 0
    cdef const uint8_t *marks = w.marks.at
    cdef int64_t before = w.at
    if w.bad or w.number == w.count:
        w.bad |= w.marks.size != 0 or w.onces.size != 0
        return False
    w.its_marks.at, w.its_marks.size = marks, 0
    while w.its_marks.size < w.marks.size and marks[w.its_marks.size]:
        w.its_marks.size += 1
    if w.its_marks.size == w.marks.size:
        w.bad = True
        return False
    for place in range(w.its_marks.size):
        # The last byte of a character, behind which another one begins, has its lowest bits: `streams.rules.has_key`.
        if marks[place] & 2 and marks[place + 1] & 0xC0 != 0x80:
            keys += 1
    w.its_onces.at, w.its_onces.size = w.onces.at, 8 * keys
    w.at, w.id = little_endian(w.times.at + 4 * w.number), w.ids.at + 8 * w.number
    w.origin = 0
    if w.origins.size:
        w.origin = w.origins.at[w.number if w.origins.size > 1 else 0]
    w.number += 1
    w.bad |= w.onces.size < 8 * keys or w.at < before
    if w.bad:
        return False
    w.marks.at, w.marks.size = marks + w.its_marks.size + 1, w.marks.size - w.its_marks.size - 1
    w.onces.at, w.onces.size = w.onces.at + 8 * keys, w.onces.size - 8 * keys
    return True


cdef uint32_t read_mark(Slice *marks) noexcept nogil:
    """The next of an event's marks, as a number; 0 for what no rule has."""
    cdef const uint8_t *at = marks.at
    cdef int size = 1 if at[0] < 0x80 else 2 if at[0] < 0xE0 else 3 if at[0] < 0xF0 else 4
    size = <int> min(size, marks.size)
    marks.at, marks.size = at + size, marks.size - size
    if size == 1:
        return at[0]
    if size == 2:
        return (at[0] & 31) << 6 | at[1] & 63
    if size == 3:
        return (at[0] & 15) << 12 | (at[1] & 63) << 6 | at[2] & 63
    return 4 * MOST_CODE + 4 | at[3] & 3  # a code beyond all that rules can have; only its key counts


# -- derived anew

cdef struct Uses:
    # How often a rule counted today and this week: of the two periods that limits have.
    int64_t[2] period, used


cdef bint has_room(Uses *uses, Compiled rule, int64_t at) noexcept nogil:
    """Whether no limit of periods cuts the next match of a rule, which then counts."""
    cdef int place, slot
    cdef int64_t present
    for place in range(rule.limits):
        slot, present = rule.limit_days[place] != 1, period(at, rule.limit_days[place])
        if uses.period[slot] != present:
            uses.period[slot], uses.used[slot] = present, 0
        if uses.used[slot] >= rule.limit_counts[place]:
            return False
    for place in range(rule.limits):
        uses.used[rule.limit_days[place] != 1] += 1
    return True


cdef class Rebuilder:
    """Makes one ledger of two, in room of its own: what it makes lasts until it makes the next."""
    cdef Matcher _matcher
    cdef int64_t _model
    cdef Uses *_uses
    cdef uint8_t *_room
    cdef Py_ssize_t _size
    cdef Out _marks, _marks_end, _onces, _onces_end

    def __cinit__(self, rules, matcher):
        self._uses = <Uses *> PyMem_Malloc(max(1, len(rules.rules)) * sizeof(Uses))
        if self._uses == NULL:
            raise MemoryError

    def __dealloc__(self):
        PyMem_Free(self._uses)
        PyMem_Free(self._room)

    def __init__(self, rules, matcher):
        self._matcher, self._model = matcher, rules.number

    cdef bint merge(self, Lead *lead, const Lead *other, const uint8_t *place_of) except -1:
        """Give a lead the events of another one that it does not have; False if that is out of the ordinary.

        `place_of`: for each origin there, the origin here.  `rebuild` has to follow.
        """
        cdef Walk ours = walk(lead), theirs = walk(other)
        cdef bint has_ours, has_theirs
        cdef Py_ssize_t most = ours.count + theirs.count, onces_size = ours.onces.size + theirs.onces.size
        cdef Py_ssize_t marks_size = ours.marks.size + theirs.marks.size + most * MOST_ADDED
        cdef Out times, ids, origins, marks, onces
        cdef Out times_end, ids_end, origins_end, marks_end, onces_end
        if ours.bad or theirs.bad or most > MAX_EVENTS:
            return False
        if self._size < 13 * most + 2 * (marks_size + onces_size):
            self._size = 2 * (13 * most + 2 * (marks_size + onces_size))
            self._room = <uint8_t *> PyMem_Realloc(self._room, self._size)
            if self._room == NULL:
                self._size = 0
                raise MemoryError
        times = times_end = self._room
        ids = ids_end = times + 4 * most
        origins = origins_end = ids + 8 * most
        marks = marks_end = origins + most
        onces = onces_end = marks + marks_size
        self._marks = onces + onces_size
        self._onces = self._marks + marks_size
        has_ours, has_theirs = step(&ours), step(&theirs)
        while has_ours or has_theirs:
            if has_ours and (not has_theirs or ours.at <= theirs.at):
                times_end, ids_end = put_little_endian(times_end, ours.at), put(ids_end, ours.id, 8)
                origins_end[0] = ours.origin
                origins_end += 1
                marks_end = put(marks_end, ours.its_marks.at, ours.its_marks.size + 1)
                onces_end = put(onces_end, ours.its_onces.at, ours.its_onces.size)
                has_ours = step(&ours)
            else:
                if not holds(lead.ids.old, theirs.id):
                    times_end, ids_end = put_little_endian(times_end, theirs.at), put(ids_end, theirs.id, 8)
                    origins_end[0] = place_of[theirs.origin]
                    origins_end += 1
                    marks_end = put(marks_end, theirs.its_marks.at, theirs.its_marks.size + 1)
                    onces_end = put(onces_end, theirs.its_onces.at, theirs.its_onces.size)
                has_theirs = step(&theirs)
        if ours.bad or theirs.bad:
            return False
        lead.events += other.events - (most - (origins_end - origins))
        lead.times.old.at, lead.times.old.size = times, times_end - times
        lead.ids.old.at, lead.ids.old.size = ids, ids_end - ids
        lead.origins.old.at, lead.origins.old.size = origins, uniform_size(origins, origins_end - origins)
        lead.marks.old.at, lead.marks.old.size = marks, marks_end - marks
        lead.onces.old.at, lead.onces.old.size = onces, onces_end - onces
        return lead.events >= 0

    cdef bint rebuild(self, Lead *lead, const Rest *rest) noexcept:
        """Derive marks, sums and visits anew, behind `merge`; False if that is out of the ordinary."""
        cdef Walk w = walk(lead)
        cdef Slice marks
        cdef const uint8_t *keys
        cdef const uint8_t *keys_end
        cdef const uint8_t *key
        cdef uint32_t mark
        cdef Compiled rule
        cdef Compiled[MOST_MATCHED] on_visit
        cdef int place, visit_count
        if not self._find_cleared(lead):
            return False
        self._marks_end, self._onces_end = self._marks, self._onces
        memset(self._uses, 0xFF, self._matcher._count * sizeof(Uses))
        lead.sums, lead.visits = lead.base, rest.visits_before
        while step(&w):
            marks, keys, keys_end = w.its_marks, w.its_onces.at, w.onces.at
            visit_count = 0
            if marks.size and marks.at[0] == PAGE:
                self._marks_end = put(self._marks_end, marks.at, 1)
                visit_count = self._matcher.next_page(lead, w.at, on_visit)
            while marks.size:
                mark = read_mark(&marks)
                key = NULL
                if mark & 2:
                    if keys == keys_end:  # the marks are no UTF-8
                        return False
                    key = keys
                    keys += 8
                rule = self._matcher.by_code(mark >> 2)
                if rule == NULL and mark >> 2:  # of other rules: Python keeps it
                    return False
                if rule != NULL and not rule.page and not rule.within_s and not self._judge(lead, rule, key, w.at, rest):
                    return False
            for place in range(visit_count):
                if not self._judge(lead, on_visit[place], NULL, w.at, rest):
                    return False
            self._marks_end = put(self._marks_end, b"\0", 1)
        lead.marks.old.at, lead.marks.old.size = self._marks, self._marks_end - self._marks
        lead.onces.old.at, lead.onces.old.size = self._onces, self._onces_end - self._onces
        lead.model, lead.ceiling = self._model, NO_CEILING
        return not w.bad

    cdef bint _find_cleared(self, Lead *lead) noexcept:
        """Which groups are cleared, since when, for they give no points: by the base neither."""
        cdef Walk w = walk(lead)
        cdef Slice marks
        cdef Compiled rule
        cdef int place, kept = 0
        while step(&w):
            marks = w.its_marks
            while marks.size:
                rule = self._matcher.by_code(read_mark(&marks) >> 2)
                if rule != NULL and rule.clears and not keep_most(&lead.cleared, rule.group, w.at):
                    return False
        for place in range(lead.cleared.count):
            if lead.cleared.values[place] >= lead.line:
                lead.cleared.keys[kept], lead.cleared.values[kept] = lead.cleared.keys[place], lead.cleared.values[place]
                drop_group(&lead.base, lead.cleared.keys[kept])
                kept += 1
        lead.cleared.count = kept
        return not w.bad

    cdef bint _judge(self, Lead *lead, Compiled rule, const uint8_t *key, int64_t at, const Rest *rest) noexcept:
        """Enter a match as `count_match` does, with what was recorded; False if that is out of the ordinary."""
        cdef bint counts = True, fell
        cdef Slice seen
        if not rule.is_common or rule.once and key == NULL:
            return False
        if rule.once:
            seen.at, seen.size = self._onces, self._onces_end - self._onces
            counts = not holds(seen, key) and not holds(rest.old_onces, key)
            self._onces_end = put(self._onces_end, key, 8)
        counts = counts and has_room(&self._uses[rule - self._matcher._compiled], rule, at)
        self._marks_end = put(self._marks_end, &rule.counted[0] if counts else &rule.cut[0], rule.mark_size)
        return not counts or add_points(lead, rule, at, &fell)


cdef Py_ssize_t uniform_size(const uint8_t *column, Py_ssize_t count) noexcept nogil:
    """How much of a column of origins is kept: one if all are the same, none if all are 0."""
    cdef Py_ssize_t place
    for place in range(1, count):
        if column[place] != column[0]:
            return count
    return 1 if count and column[0] else 0
