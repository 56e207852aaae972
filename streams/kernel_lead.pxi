# A lead's state as a C struct: read, changed in part, written (streams/state.py says how it is laid out).

# -- a lead

cdef struct Column:
    Slice old
    Py_ssize_t added_size
    uint8_t[MOST_ADDED] added

cdef struct Pairs:  # a map of numbers, in its order
    int count
    int64_t[MOST_PAIRS] keys
    int64_t[MOST_PAIRS] values

cdef struct Visits:
    int64_t count, last, pages

cdef struct Lead:
    int64_t model, line, first_seen, last_seen, as_of, events
    Column times, ids, marks, onces
    Pairs sums, base  # by channel
    Visits visits
    Pairs cleared  # by group
    int64_t hot_since, stage, stage_since
    Slice email  # its bytes are NULL if there is none
    Slice rest
    int64_t ceiling, wake
    Column origins
    uint8_t[MOST_LINKS_SIZE] links
    Py_ssize_t links_size
    uint8_t[MAX_EVENTS] uniform  # a column of origins that are all the same, written out when it is needed


cdef void empty(Lead *lead) noexcept nogil:
    """A lead without anything."""
    memset(lead, 0, <uint8_t *> lead.links - <uint8_t *> lead)
    lead.links_size = 0
    lead.rest.at, lead.rest.size = <const uint8_t *> b"\x90", 1


cdef inline Column read_column(Cursor *c, bint is_text) noexcept nogil:
    cdef Column column
    column.old = read_text(c) if is_text else read_blob(c)
    column.added_size = 0
    return column


cdef void read_pairs(Cursor *c, Pairs *pairs, int64_t half_life) noexcept nogil:
    """Read a map; `half_life`: the bits that no key of it may lack."""
    cdef uint64_t count = read_map(c)
    cdef int place
    c.bad |= count > MOST_PAIRS
    pairs.count = 0 if c.bad else count
    for place in range(pairs.count):
        pairs.keys[place], pairs.values[place] = read_number(c), read_int(c)
        c.bad |= half_life != 0 and pairs.keys[place] & half_life == 0


cdef inline int place_in(const Pairs *pairs, int64_t key) noexcept nogil:
    """Where a key stands; behind the others if it is not there."""
    cdef int place = 0
    while place < pairs.count and pairs.keys[place] != key:
        place += 1
    return place


cdef bint keep_most(Pairs *pairs, int64_t key, int64_t value) noexcept nogil:
    """Keep the larger of two values of a key; False if there is no room."""
    cdef int place = place_in(pairs, key)
    if place == MOST_PAIRS:
        return False
    if place == pairs.count:
        pairs.keys[place], pairs.values[place] = key, 0
        pairs.count += 1
    pairs.values[place] = max(pairs.values[place], value)
    return True


cdef bint add_to(Pairs *pairs, int64_t key, int64_t value) noexcept nogil:
    """Add to the value of a key; False if there is no room, or it takes more than 64 bits."""
    cdef int place = place_in(pairs, key)
    cdef wide total = value
    if place == MOST_PAIRS:
        return False
    if place == pairs.count:
        pairs.keys[place], pairs.values[place] = key, 0
        pairs.count += 1
    total += pairs.values[place]
    pairs.values[place] = <int64_t> total
    return pairs.values[place] == total


cdef inline Visits read_visits(Cursor *c) noexcept nogil:
    cdef Visits visits
    c.bad |= read_array(c) != 3
    visits.count, visits.last, visits.pages = read_number(c), read_number(c), read_number(c)
    return visits


cdef bint read_lead(Slice state, Lead *lead) noexcept nogil:
    """Read a state; False if it is no lead or not laid out as leads are written today."""
    cdef Cursor c = cursor(state.at, state.size)
    cdef Slice tag, links
    if read_array(&c) != FIELDS:
        return False
    tag = read_text(&c)
    if c.bad or tag.size != 1 or tag.at[0] != 76:  # L
        return False
    lead.model = read_number(&c)
    lead.line = read_number(&c)
    lead.first_seen = read_number(&c)
    lead.last_seen = read_number(&c)
    lead.as_of = read_number(&c)
    lead.events = read_number(&c)
    lead.times = read_column(&c, False)
    lead.ids = read_column(&c, False)
    lead.marks = read_column(&c, True)
    lead.onces = read_column(&c, False)
    read_pairs(&c, &lead.sums, 511)
    read_pairs(&c, &lead.base, 511)
    lead.visits = read_visits(&c)
    read_pairs(&c, &lead.cleared, 0)
    lead.hot_since = read_number(&c)
    lead.stage = read_number(&c)
    lead.stage_since = read_number(&c)
    lead.email.at, lead.email.size = NULL, 0
    if c.at < c.end and c.at[0] == 0xC0:
        c.at += 1
    else:
        lead.email = read_text(&c)
    lead.rest = read_blob(&c)
    lead.ceiling = read_number(&c)
    lead.wake = read_number(&c)
    lead.origins = read_column(&c, False)
    links = read_blob(&c)
    if c.bad or c.at != c.end or links.size > MOST_LINKS_SIZE:
        return False
    lead.links_size = links.size
    memcpy(lead.links, links.at, links.size)
    return True


cdef bint is_moved(Slice state) noexcept nogil:
    """Whether a state is a forwarding address."""
    cdef Cursor c = cursor(state.at, state.size)
    cdef Slice tag
    read_array(&c)
    tag = read_text(&c)
    return not c.bad and tag.size == 1 and tag.at[0] == 77  # M


cdef inline Py_ssize_t size_of(const Lead *lead) noexcept nogil:
    """No fewer bytes than writing it takes."""
    return (
        lead.times.old.size + lead.ids.old.size + lead.marks.old.size + lead.onces.old.size + lead.origins.old.size
        + 5 * MOST_ADDED + lead.links_size + lead.email.size + lead.rest.size
        + 20 * (lead.sums.count + lead.base.count + lead.cleared.count) + 10 * FIELDS
    )


cdef inline Out put_blob(Out out, Slice blob) noexcept nogil:
    return put(put_size(out, blob.size, 0, 0, 0xC4, 1), blob.at, blob.size)


cdef inline Out put_text(Out out, Slice text) noexcept nogil:
    return put(put_size(out, text.size, 0xA0, 32, 0xD9, 1), text.at, text.size)


cdef inline Out put_column(Out out, const Column *column, bint is_text) noexcept nogil:
    cdef uint64_t size = column.old.size + column.added_size
    out = put_size(out, size, 0xA0, 32, 0xD9, 1) if is_text else put_size(out, size, 0, 0, 0xC4, 1)
    return put(put(out, column.old.at, column.old.size), column.added, column.added_size)


cdef inline Out put_pairs(Out out, const Pairs *pairs) noexcept nogil:
    cdef int place
    out = put_size(out, pairs.count, 0x80, 16, 0xDE, 2)
    for place in range(pairs.count):
        out = put_int(put_int(out, pairs.keys[place]), pairs.values[place])
    return out


cdef inline Out put_visits(Out out, const Visits *visits) noexcept nogil:
    out = put_size(out, 3, 0x90, 16, 0xDC, 2)
    return put_int(put_int(put_int(out, visits.count), visits.last), visits.pages)


cdef Out put_lead(Out out, const Lead *lead) noexcept nogil:
    out = put(put_size(out, FIELDS, 0x90, 16, 0xDC, 2), b"\xa1L", 2)
    out = put_int(out, lead.model)
    out = put_int(out, lead.line)
    out = put_int(out, lead.first_seen)
    out = put_int(out, lead.last_seen)
    out = put_int(out, lead.as_of)
    out = put_int(out, lead.events)
    out = put_column(out, &lead.times, False)
    out = put_column(out, &lead.ids, False)
    out = put_column(out, &lead.marks, True)
    out = put_column(out, &lead.onces, False)
    out = put_pairs(out, &lead.sums)
    out = put_pairs(out, &lead.base)
    out = put_visits(out, &lead.visits)
    out = put_pairs(out, &lead.cleared)
    out = put_int(out, lead.hot_since)
    out = put_int(out, lead.stage)
    out = put_int(out, lead.stage_since)
    if lead.email.at == NULL:
        out = put(out, b"\xc0", 1)
    else:
        out = put_text(out, lead.email)
    out = put_blob(out, lead.rest)
    out = put_int(out, lead.ceiling)
    out = put_int(out, lead.wake)
    out = put_column(out, &lead.origins, False)
    return put(put_size(out, lead.links_size, 0, 0, 0xC4, 1), lead.links, lead.links_size)


cdef inline void append(Column *column, const void *bytes, Py_ssize_t size) noexcept nogil:
    memcpy(column.added + column.added_size, bytes, size)
    column.added_size += size


cdef inline int64_t little_endian(const uint8_t *at) noexcept nogil:
    return <uint32_t> at[0] | <uint32_t> at[1] << 8 | <uint32_t> at[2] << 16 | <uint32_t> at[3] << 24


cdef inline int64_t time_at(const Lead *lead, Py_ssize_t event) noexcept nogil:
    return little_endian(lead.times.old.at + 4 * event)


cdef inline bint holds(Slice column, const uint8_t *item) noexcept nogil:
    """Whether one of the 8-byte items of a column is this one."""
    cdef Py_ssize_t place
    for place in range(0, column.size - 7, 8):
        if memcmp(column.at + place, item, 8) == 0:
            return True
    return False
