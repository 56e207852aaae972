# An engagement as the kernel reads it: its hot fields, and single ones behind them.

cdef struct Event:
    const uint8_t *id
    int64_t ms
    Slice subject  # kind and asset as they stand in the record, lengths included
    Slice kind, asset, title, verdict, email
    const uint8_t *identifiers
    int identifier_count
    Cursor behind  # the hot fields


cdef bint read_event(Slice value, bint has_identifiers, Event *event) noexcept nogil:
    """The hot fields of an engagement; False where they are not as the gateway writes them."""
    cdef Cursor c = cursor(value.at, value.size)
    cdef int64_t branch
    cdef const uint8_t *one
    cdef int place
    take(&c, PREFIX_SIZE)
    event.id = take(&c, 8)
    event.ms = read_avro_long(&c)
    event.subject.at = c.at
    event.kind = read_avro_text(&c)
    event.asset = read_avro_text(&c)
    event.subject.size = c.at - event.subject.at
    event.title = read_avro_text(&c)
    event.verdict = read_avro_text(&c)
    branch = read_avro_long(&c)
    event.email.at, event.email.size = NULL, 0
    if branch == 1:
        event.email = read_avro_text(&c)
    elif branch != 0:
        return False
    event.identifier_count = 0
    event.identifiers = c.at
    if has_identifiers:
        # One block of ids, each behind its length, and a zero.
        branch = read_avro_long(&c)
        if not 0 <= branch <= MOST_IDENTIFIERS:
            return False
        event.identifiers = c.at
        event.identifier_count = branch
        for place in range(event.identifier_count):
            one = take(&c, 1 + IDENTIFIER_SIZE)
            if one == NULL or one[0] != 2 * IDENTIFIER_SIZE or not is_ascii(one, 1 + IDENTIFIER_SIZE):
                return False
        if branch and big_endian(&c, 1) != 0:
            return False
    event.behind = c
    return not c.bad


cdef bint is_utf8(Slice text):
    if is_ascii(text.at, text.size):
        return True
    try:
        text_of(text)
    except UnicodeDecodeError:
        return False
    return True


cdef str text_of(Slice text):
    return PyUnicode_DecodeUTF8(<const char *> text.at, text.size, NULL)


cdef Slice shortened(Slice text, int most) noexcept nogil:
    """At most so many characters of a text that is UTF-8."""
    cdef Py_ssize_t place
    for place in range(text.size):
        if text.at[place] & 0xC0 != 0x80:  # a character begins
            if most == 0:
                text.size = place
                break
            most -= 1
    return text


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


cdef bint is_id(const uint8_t *id) noexcept nogil:
    """Whether 18 bytes are an id: see `streams.links.ID`."""
    cdef int place
    if id[1] != 95:  # _
        return False
    for place in range(2, IDENTIFIER_SIZE):
        if not (97 <= id[place] <= 122 or 50 <= id[place] <= 55):  # a-z, 2-7
            return False
    return id[0] in (97, 101, 109, 110, 112, 117)  # a, e, m, n, p, u


cdef uint32_t partition_hash(const uint8_t *id) noexcept nogil:
    """What `schemas.keys.partition_of` makes of an id of 18 bytes, before it is divided by the number of partitions."""
    cdef uint32_t mixed = MURMUR_SEED ^ IDENTIFIER_SIZE, word
    cdef int place
    for place in range(0, 16, 4):
        word = <uint32_t> little_endian(id + place) * MURMUR
        mixed = (mixed * MURMUR) ^ ((word ^ word >> 24) * MURMUR)
    mixed = (mixed ^ (id[16] | id[17] << 8)) * MURMUR
    mixed = (mixed ^ mixed >> 13) * MURMUR
    return (mixed ^ mixed >> 15) & 0x7FFFFFFF
