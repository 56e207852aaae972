# What few events of a lead ask for: a `Rest` (streams/state.py) read, changed (streams/contact.py) and written.

if state.Rest.__struct_fields__[:READ_OF_REST] != (
    "known", "titles", "alerted_at", "late", "old_onces", "visits_before"
) or state.Known.__struct_fields__ != ("kind", "value", "since", "verified"):
    raise ImportError("the kernel was compiled for leads that are laid out otherwise")

cdef struct Known:
    uint8_t kind
    Slice value
    int64_t since, verified

cdef struct Title:
    int64_t code  # of the rule
    Slice title

cdef struct Rest:
    int known_count, title_count
    Known[ROOM_KNOWN] known
    Title[ROOM_TITLES] titles
    int64_t alerted_at, late
    Slice old_onces
    Visits visits_before
    Slice behind  # further fields as they stand, which are kept
    int behind_count


cdef bint read_rest(Slice given, Rest *rest) noexcept nogil:
    """Read a rest; False if it is not laid out as leads are written today, or there is too much in it."""
    cdef Cursor c = cursor(given.at, given.size)
    cdef uint64_t fields = read_array(&c), left
    cdef Known *known
    cdef Title *title
    cdef Slice kind
    rest.known_count = rest.title_count = 0
    rest.alerted_at = rest.late = 0
    rest.old_onces.at, rest.old_onces.size = NULL, 0
    rest.visits_before.count = rest.visits_before.last = rest.visits_before.pages = 0
    left = read_array(&c) if fields > 0 else 0
    while left and not c.bad and rest.known_count < ROOM_KNOWN:
        left -= 1
        known = &rest.known[rest.known_count]
        rest.known_count += 1
        c.bad |= read_array(&c) != 4
        kind, known.value = read_text(&c), read_text(&c)
        known.since, known.verified = read_number(&c), read_number(&c)
        c.bad |= kind.size != 1
        known.kind = 0 if c.bad else kind.at[0]
    if left:
        return False
    left = read_map(&c) if fields > 1 else 0
    while left and not c.bad and rest.title_count < ROOM_TITLES:
        left -= 1
        title = &rest.titles[rest.title_count]
        rest.title_count += 1
        title.code, title.title = read_number(&c), read_text(&c)
    if left:
        return False
    if fields > 2:
        rest.alerted_at = read_number(&c)
    if fields > 3:
        rest.late = read_number(&c)
    if fields > 4:
        rest.old_onces = read_blob(&c)
    if fields > 5:
        rest.visits_before = read_visits(&c)
    rest.behind.at, rest.behind.size, rest.behind_count = c.at, c.end - c.at, 0
    while rest.behind_count < <int64_t> fields - READ_OF_REST and not c.bad:
        rest.behind_count += 1
        skip(&c)
    return not c.bad and c.at == c.end


cdef inline Py_ssize_t size_of_rest(const Rest *rest) noexcept nogil:
    """No fewer bytes than writing it takes, in whichever form."""
    cdef Py_ssize_t size = 100 + rest.old_onces.size + rest.behind.size
    cdef int place
    for place in range(rest.known_count):
        size += rest.known[place].value.size + 40
    for place in range(rest.title_count):
        size += rest.titles[place].title.size + 20
    return size


cdef bytes packed(const Rest *rest):
    """The rest as a lead holds it: see `streams.state.pack`."""
    cdef bytes made = PyBytes_FromStringAndSize(NULL, size_of_rest(rest))
    cdef Out start = <Out> PyBytes_AS_STRING(made), out
    cdef const Visits *visits = &rest.visits_before
    cdef int place, fields = 0
    if rest.behind_count:
        fields = READ_OF_REST + rest.behind_count
    elif visits.count or visits.last or visits.pages:
        fields = 6
    elif rest.old_onces.size:
        fields = 5
    elif rest.late:
        fields = 4
    elif rest.alerted_at:
        fields = 3
    elif rest.title_count:
        fields = 2
    elif rest.known_count:
        fields = 1
    out = put_size(start, fields, 0x90, 16, 0xDC, 2)
    if fields > 0:
        out = put_size(out, rest.known_count, 0x90, 16, 0xDC, 2)
        for place in range(rest.known_count):
            memcpy(out, b"\x94\xa1", 2)
            out[2] = rest.known[place].kind
            out = put_text(out + 3, rest.known[place].value)
            out = put_int(put_int(out, rest.known[place].since), rest.known[place].verified)
    if fields > 1:
        out = put_size(out, rest.title_count, 0x80, 16, 0xDE, 2)
        for place in range(rest.title_count):
            out = put_text(put_int(out, rest.titles[place].code), rest.titles[place].title)
    if fields > 2:
        out = put_int(out, rest.alerted_at)
    if fields > 3:
        out = put_int(out, rest.late)
    if fields > 4:
        out = put_blob(out, rest.old_onces)
    if fields > 5:
        out = put_visits(out, visits)
    out = put(out, rest.behind.at, rest.behind.size)
    return made[: out - start]


cdef Known *find_known(Rest *rest, uint8_t kind, Slice value) noexcept nogil:
    """The entry of an identifier, or NULL."""
    cdef int place
    for place in range(rest.known_count):
        if rest.known[place].kind == kind and same(rest.known[place].value, value):
            return &rest.known[place]
    return NULL


cdef inline void learn(Rest *rest, uint8_t kind, Slice value, int64_t since, int64_t verified) noexcept nogil:
    """Take note of an identifier that is not known yet, while there is room."""
    cdef Known *known = &rest.known[rest.known_count]
    if rest.known_count < MOST_KNOWN:
        known.kind, known.value, known.since, known.verified = kind, value, since, verified
        rest.known_count += 1


cdef bint has_phone(const Rest *rest) noexcept nogil:
    cdef int place
    for place in range(rest.known_count):
        if rest.known[place].kind == PHONE:
            return True
    return False


cdef bint keep_title(Rest *rest, int64_t code, Slice title) noexcept nogil:
    """Remember a title under a rule's code; False if there is no room here."""
    cdef int place = 0
    while place < rest.title_count and rest.titles[place].code != code:
        place += 1
    if place == ROOM_TITLES:
        return False
    rest.titles[place].code, rest.titles[place].title = code, title
    rest.title_count = max(rest.title_count, place + 1)
    return True
