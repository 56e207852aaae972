# What one lead tells another of itself, `LeadMemory` in schemas/records.py: written, read, and united (streams/union.py).

# -- written

cdef inline Out put_items(Out out, Py_ssize_t count) noexcept nogil:
    """The head of an array's only block, which a zero is to follow; of an empty one that zero is all."""
    return put_avro_long(out, count) if count else out


cdef inline Out put_end(Out out) noexcept nogil:
    out[0] = 0
    return out + 1


cdef Pairs sorted_pairs(const Pairs *given) noexcept nogil:
    """Pairs by their keys."""
    cdef Pairs made
    cdef int number, place
    made.count = given.count
    for number in range(given.count):
        place = number
        while place > 0 and made.keys[place - 1] > given.keys[number]:
            made.keys[place], made.values[place] = made.keys[place - 1], made.values[place - 1]
            place -= 1
        made.keys[place], made.values[place] = given.keys[number], given.values[number]
    return made


cdef Out put_avro_pairs(Out out, const Pairs *given) noexcept nogil:
    cdef Pairs pairs = sorted_pairs(given)
    cdef int place
    out = put_items(out, pairs.count)
    for place in range(pairs.count):
        out = put_avro_long(put_avro_long(out, pairs.keys[place]), pairs.values[place])
    return put_end(out)


cdef void sort_titles(Rest *rest) noexcept nogil:
    """Bring titles in the order of their rules' codes."""
    cdef Title title
    cdef int number, place
    for number in range(1, rest.title_count):
        title, place = rest.titles[number], number
        while place > 0 and rest.titles[place - 1].code > title.code:
            rest.titles[place] = rest.titles[place - 1]
            place -= 1
        rest.titles[place] = title


cdef inline Py_ssize_t size_of_memory(const Lead *lead, const Rest *rest) noexcept nogil:
    """No fewer bytes than writing it takes."""
    return size_of(lead) + size_of_rest(rest) + 200


cdef Out put_memory(Out out, const Lead *lead, Rest *rest) noexcept:
    """What is remembered of a lead; its titles are sorted for it."""
    cdef Slice own_links
    cdef int place
    own_links.at, own_links.size = lead.links, lead.links_size
    sort_titles(rest)
    out = put_avro_long(out, lead.line)
    out = put_avro_long(out, lead.first_seen)
    out = put_avro_long(out, lead.last_seen)
    out = put_avro_long(out, lead.as_of)
    out = put_avro_long(out, lead.events)
    out = put_avro_text(out, lead.times.old)
    out = put_avro_text(out, lead.ids.old)
    out = put_avro_text(out, lead.marks.old)
    out = put_avro_text(out, lead.onces.old)
    out = put_avro_text(out, lead.origins.old)
    out = put_avro_text(out, own_links)
    out = put_avro_pairs(out, &lead.base)
    out = put_avro_long(out, rest.visits_before.count)
    out = put_avro_long(out, rest.visits_before.last)
    out = put_avro_long(out, rest.visits_before.pages)
    out = put_avro_pairs(out, &lead.cleared)
    out = put_avro_text(out, slice_of_stage(lead.stage))
    out = put_avro_long(out, lead.stage_since)
    out = put_avro_long(out, lead.hot_since)
    out = put_avro_long(out, rest.alerted_at)
    out[0] = 0
    if lead.email.at != NULL:
        out[0] = 2
    out += 1
    if lead.email.at != NULL:
        out = put_avro_text(out, lead.email)
    out = put_items(out, rest.known_count)
    for place in range(rest.known_count):
        out[0], out[1] = 2, rest.known[place].kind
        out = put_avro_text(out + 2, rest.known[place].value)
        out = put_avro_long(put_avro_long(out, rest.known[place].since), rest.known[place].verified)
    out = put_items(put_end(out), rest.title_count)
    for place in range(rest.title_count):
        out = put_avro_text(put_avro_long(out, rest.titles[place].code), rest.titles[place].title)
    out = put_avro_long(put_end(out), rest.late)
    return put_avro_text(out, rest.old_onces)


# -- read

cdef inline int64_t read_avro_number(Cursor *c, int64_t most) noexcept nogil:
    """What is counted, or a time."""
    cdef int64_t number = read_avro_long(c)
    c.bad |= not 0 <= number <= most
    return number


cdef inline int64_t read_items(Cursor *c, int64_t most) noexcept nogil:
    """How many items the only block of an array has, which `read_end` is to follow."""
    cdef int64_t count = read_avro_number(c, most)
    return 0 if c.bad else count


cdef inline void read_end(Cursor *c, int64_t count) noexcept nogil:
    c.bad |= count > 0 and read_avro_long(c) != 0


cdef void read_avro_pairs(Cursor *c, Pairs *pairs, int64_t half_life) noexcept nogil:
    """Read pairs in the order of their keys; see `read_pairs`."""
    cdef int64_t count = read_items(c, MOST_PAIRS), before = -1
    cdef int place
    pairs.count = count
    for place in range(count):
        pairs.keys[place], pairs.values[place] = read_avro_number(c, MOST_NUMBER), read_avro_long(c)
        c.bad |= pairs.keys[place] <= before or half_life != 0 and pairs.keys[place] & half_life == 0
        before = pairs.keys[place]
    read_end(c, count)


cdef bint read_memory(Cursor *c, Lead *lead, Rest *rest):
    """The lead that a memory is of, without what is derived from its events; False where it is out of the ordinary."""
    cdef Slice text
    cdef Known *known
    cdef Title *title
    cdef int64_t count, before, entry
    cdef int place
    empty(lead)
    read_rest(lead.rest, rest)
    lead.line = read_avro_number(c, LAST_S)
    lead.first_seen = read_avro_number(c, LAST_S)
    lead.last_seen = read_avro_number(c, LAST_S)
    lead.as_of = read_avro_number(c, LAST_S)
    lead.events = read_avro_number(c, MOST_NUMBER)
    lead.times.old = read_avro_text(c)
    lead.ids.old = read_avro_text(c)
    lead.marks.old = read_avro_text(c)
    lead.onces.old = read_avro_text(c)
    lead.origins.old = read_avro_text(c)
    text = read_avro_text(c)
    if c.bad or text.size > MOST_LINKS_SIZE or text.size % LINK_SIZE or not is_utf8(lead.marks.old):
        return False
    memcpy(lead.links, text.at, text.size)
    lead.links_size = text.size
    for entry in range(0, text.size, LINK_SIZE):
        c.bad |= not is_id(text.at + entry)
    for entry in range(lead.origins.old.size):
        c.bad |= LINK_SIZE * lead.origins.old.at[entry] > text.size
    read_avro_pairs(c, &lead.base, 511)
    rest.visits_before.count = read_avro_number(c, MOST_NUMBER)
    rest.visits_before.last = read_avro_number(c, MOST_NUMBER)
    rest.visits_before.pages = read_avro_number(c, MOST_NUMBER)
    read_avro_pairs(c, &lead.cleared, 0)
    text = read_avro_text(c)
    while lead.stage < len(STAGES) and not same(text, slice_of_stage(lead.stage)):
        lead.stage += 1
    c.bad |= lead.stage == len(STAGES)
    lead.stage_since = read_avro_number(c, LAST_S)
    lead.hot_since = read_avro_number(c, LAST_S)
    rest.alerted_at = read_avro_number(c, MOST_NUMBER)
    if read_branch(c):
        lead.email = read_avro_text(c)
        c.bad |= not is_utf8(lead.email)
    count = read_items(c, ROOM_KNOWN)
    for place in range(count):
        known = &rest.known[place]
        text, known.value = read_avro_text(c), read_avro_text(c)
        known.since, known.verified = read_avro_number(c, MOST_NUMBER), read_avro_number(c, MOST_NUMBER)
        c.bad |= text.size != 1 or text.at[0] > 127 or not is_utf8(known.value)
        if c.bad:
            return False
        known.kind = text.at[0]
    rest.known_count = count
    read_end(c, count)
    count, before = read_items(c, ROOM_TITLES), -1
    for place in range(count):
        title = &rest.titles[place]
        title.code, title.title = read_avro_number(c, MOST_NUMBER), read_avro_text(c)
        c.bad |= title.code <= before or not is_utf8(title.title)
        before = title.code
    rest.title_count = count
    read_end(c, count)
    rest.late = read_avro_number(c, MOST_NUMBER)
    rest.old_onces = read_avro_text(c)
    return not c.bad and c.at == c.end


# -- united

cdef bint unite_links(
    Lead *lead, const uint8_t *key, const Lead *other, const uint8_t *source, int64_t at, uint8_t *place_of
) noexcept nogil:
    """Add the other's links, and that to itself; where each of its entries is now.  False if there is no room."""
    cdef Py_ssize_t theirs = 0, place, count = other.links_size // LINK_SIZE, number
    cdef uint8_t[LINK_SIZE] link
    cdef uint8_t *ours
    cdef int64_t seen, since
    cdef bint held, their_held
    cdef uint8_t status
    memset(place_of, 0, 256)
    for number in range(count + 1):
        if number < count:
            memcpy(link, other.links + number * LINK_SIZE, LINK_SIZE)
        else:
            write_link(link, source, other.first_seen, at, ABSORBED)
        if memcmp(link, key, IDENTIFIER_SIZE) == 0:
            continue
        place = find_link(lead, link)
        ours = lead.links + place
        if place < lead.links_size:
            held, their_held = ours[LINK_STATUS] <= OURS, link[LINK_STATUS] <= OURS
            seen = little_endian((ours if held or not their_held else link) + LINK_SEEN)
            if held == their_held:
                seen = max(seen, little_endian(link + LINK_SEEN))
            since = min(little_endian(ours + LINK_SINCE), little_endian(link + LINK_SINCE))
            status = min(ours[LINK_STATUS], link[LINK_STATUS])
            if status <= OURS and is_contact(link):
                status = ABSORBED if ours[LINK_STATUS] == ABSORBED or ours[LINK_STATUS] == LOST else OURS
            write_link(ours, link, since, seen, status)
        elif place == MOST_LINKS_SIZE:
            return False
        else:
            memcpy(ours, link, LINK_SIZE)
            if ours[LINK_STATUS] <= OURS and is_contact(ours):
                ours[LINK_STATUS] = ABSORBED
            lead.links_size += LINK_SIZE
        place_of[number + 1] = place // LINK_SIZE + 1
    if source[0] == DEVICE:  # what came from none of the other's devices came from its key
        place_of[0] = place_of[count + 1]
    return True


cdef bint unite_pairs(Lead *lead, const Lead *other) noexcept nogil:
    """Add what was folded there, and what was cleared; False if there is no room."""
    cdef int place
    for place in range(other.cleared.count):
        if not keep_most(&lead.cleared, other.cleared.keys[place], other.cleared.values[place]):
            return False
    for place in range(other.base.count):
        if not add_to(&lead.base, other.base.keys[place], other.base.values[place]):
            return False
    return True


cdef bytes unite_rests(Rest *ours, const Rest *theirs):
    """The rest of both, and `ours` is that; what was remembered of folded matches lives in what is returned.

    None if there is no room.
    """
    cdef Title[ROOM_TITLES] own
    cdef int number, place, count = ours.title_count
    cdef const Known *known
    cdef Known *mine
    cdef bytes made
    for number in range(theirs.known_count):
        known = &theirs.known[number]
        mine = find_known(ours, known.kind, known.value)
        if mine == NULL:
            learn(ours, known.kind, known.value, known.since, known.verified)
        else:
            mine.since = min(mine.since, known.since)
            if known.verified and (not mine.verified or known.verified < mine.verified):
                mine.verified = known.verified
    memcpy(own, ours.titles, count * sizeof(Title))
    memcpy(ours.titles, theirs.titles, theirs.title_count * sizeof(Title))
    ours.title_count = theirs.title_count
    for place in range(count):
        if not keep_title(ours, own[place].code, own[place].title):
            return None
    ours.alerted_at = max(ours.alerted_at, theirs.alerted_at)
    ours.late += theirs.late
    if theirs.visits_before.last > ours.visits_before.last:
        ours.visits_before.last = theirs.visits_before.last
        ours.visits_before.pages = theirs.visits_before.pages
    ours.visits_before.count += theirs.visits_before.count
    made = theirs.old_onces.at[: theirs.old_onces.size] + ours.old_onces.at[: ours.old_onces.size]
    made = made[-8 * MOST_OLD_ONCES :]
    ours.old_onces = slice_of(made)
    return made
