# What an event adds to a lead: streams/rules.py, ledger.py, decay.py and links.py in C, as far as they are common.

# -- an event

cdef struct Event:
    const uint8_t *id
    int64_t ms
    Slice subject  # kind and asset as they stand in the record, lengths included
    Slice kind, asset, title, verdict, email
    const uint8_t *identifiers
    int identifier_count
    const uint8_t *behind  # the hot fields


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
    event.behind = c.at
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


# -- rules

cdef struct CompiledRule:
    uint8_t[4] counted  # marks as UTF-8
    uint8_t[4] cut
    int mark_size
    int64_t millipoints
    int64_t half_life_s
    int64_t group
    int64_t channel
    int64_t code
    bint once
    bint keeps_title
    bint is_common
    int limits
    int64_t[MOST_LIMITS] limit_counts
    int64_t[MOST_LIMITS] limit_days
    int64_t page  # the page view of a visit that it matches; 0 for none
    int64_t within_s  # it matches a visit so long after the one before; 0 for none

ctypedef const CompiledRule *Compiled


cdef class Matched:
    """What is known of all events of one kind about one asset."""
    cdef tuple rules
    cdef int count
    cdef Compiled[MOST_MATCHED] compiled
    cdef uint8_t[MOST_MATCHED][8] onces
    cdef bint is_common, is_page, is_email_click, asks, conditional, keeps_title


cdef CompiledRule compiled(rule, rules):
    """A rule as the kernel reads it."""
    cdef CompiledRule made
    cdef bytes counted = rule.counted.encode(), cut = rule.cut.encode()
    memcpy(made.counted, PyBytes_AS_STRING(counted), len(counted))
    memcpy(made.cut, PyBytes_AS_STRING(cut), len(cut))
    made.mark_size = len(counted)
    made.millipoints, made.half_life_s = rule.millipoints, rule.half_life_s
    made.group, made.channel, made.code = rule.group, rule.channel, rule.code
    made.once, made.keeps_title = bool(rule.once), rule.keeps_title
    # A clearing changes what is recorded, and a once-only rule on visits has no key before the visit is known.
    made.is_common = not rule.clears and len(rule.period_limits) <= MOST_LIMITS and not (rule.once and rule.on_visits)
    made.limits = 0
    for count, days in rule.period_limits[:MOST_LIMITS]:
        made.limit_counts[made.limits], made.limit_days[made.limits] = count, days
        made.limits += 1
    made.page = next((page for page, found in rules.page_rules.items() if rule in found), 0)
    made.within_s = next((within_s for within_s, found in rules.return_rules if found is rule), 0)
    return made


# -- points, as in `streams.decay` and `streams.score`

cdef bint forward(Compiled rule, int64_t at, int64_t line, int64_t *weight) noexcept nogil:
    """A contribution in forward form; False if it takes more than 64 bits."""
    cdef int64_t elapsed = (at % rule.half_life_s) << KNOT_BITS
    cdef int64_t knot = elapsed // rule.half_life_s, part = elapsed % rule.half_life_s
    cdef int64_t low = KNOTS[knot]
    cdef int64_t shift = at // rule.half_life_s - line // rule.half_life_s
    cdef wide exact
    if not 0 <= shift <= 64:
        return False
    exact = rule.millipoints * (low + (KNOTS[knot + 1] - low) * part // rule.half_life_s)
    exact <<= shift
    weight[0] = <int64_t> exact
    return weight[0] == exact


cdef bint rebase(Sums *sums, int64_t line, int64_t new_line) noexcept nogil:
    """Bring sums in forward form to a later line."""
    cdef int64_t half_life_s, shift
    cdef int place
    for place in range(sums.count):
        half_life_s = (sums.channels[place] & 511) * DAY_S
        shift = new_line // half_life_s - line // half_life_s
        if not 0 <= shift < 64:
            return False
        sums.totals[place] >>= shift
    return True


cdef inline int64_t period(int64_t at, int64_t days) noexcept nogil:
    return at // DAY_S if days == 1 else (at // DAY_S + 3) // 7


cdef int64_t limit_time(const Lead *lead, Compiled rule, int64_t count) noexcept nogil:
    """The time of the count-th latest match that counts; -1 if there are not so many."""
    cdef const uint8_t *marks = lead.marks.old.at
    cdef Py_ssize_t place, events = lead.times.old.size // 4, event = events
    for place in range(lead.marks.old.size - 1, -1, -1):
        if marks[place] == 0:
            event -= 1
        elif (
            marks[place] == rule.counted[0]
            and place + rule.mark_size <= lead.marks.old.size
            and memcmp(marks + place, rule.counted, rule.mark_size) == 0
        ):
            count -= 1
            if count == 0:
                return time_at(lead, event) if 0 <= event < events else -1
    return -1


cdef int64_t line_for(int64_t last_seen) noexcept nogil:
    """Where a ledger begins: a Monday; for times well behind the horizon."""
    cdef int64_t days = (last_seen - HORIZON_S) // DAY_S
    return (days - (days + 3) % 7) * DAY_S


cdef bint move_line(Lead *lead, int64_t at) noexcept nogil:
    """Move the ledger's line if it is time to; False if an event would have to be folded for it."""
    cdef int64_t line
    if at - lead.line < HORIZON_S + WEEK_S:
        return True
    line = line_for(at)
    if lead.times.old.size >= 4 and time_at(lead, 0) < line:
        return False
    if not rebase(&lead.sums, lead.line, line) or not rebase(&lead.base, lead.line, line):
        return False
    lead.line = line
    return True


cdef bint count_match(
    Lead *lead, Compiled rule, const uint8_t *once, int64_t at, bint *fell
) noexcept nogil:
    """Enter a match that is the latest of its rule; False where its points are beyond the numbers planned here."""
    cdef Slice remembered
    cdef bint counts = True
    cdef int64_t weight, then
    cdef int place
    cdef Sums *sums = &lead.sums
    cdef const uint8_t *mark
    cdef wide total
    if rule.once:
        if not read_old_onces(lead, &remembered):
            return False
        counts = not holds(lead.onces.old, once) and not holds(remembered, once)
        append(&lead.onces, once, 8)
    for place in range(rule.limits):
        if counts:
            then = limit_time(lead, rule, rule.limit_counts[place])
            counts = then < 0 or period(then, rule.limit_days[place]) != period(at, rule.limit_days[place])
    mark = &rule.counted[0] if counts else &rule.cut[0]
    append(&lead.marks, mark, rule.mark_size)
    if not counts or not rule.millipoints or cleared_at(lead, rule.group) >= at:
        return True
    if not forward(rule, at, lead.line, &weight):
        return False
    place = 0
    while place < sums.count and sums.channels[place] != rule.channel:
        place += 1
    if place == sums.count:
        if place == MOST_CHANNELS:
            return False
        sums.channels[place], sums.totals[place] = rule.channel, 0
        sums.count += 1
    total = sums.totals[place]
    total += weight
    sums.totals[place] = <int64_t> total
    if rule.millipoints > 0:
        lead.ceiling += rule.millipoints
    else:
        fell[0] = True
    return sums.totals[place] == total


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


cdef struct Claims:
    int count
    Py_ssize_t[MOST_IDENTIFIERS] places  # the first bytes of entries in `links` whose ids are to be told whose they are


cdef bint see(Lead *lead, const Event *event, const uint8_t *key, int64_t at, Claims *claims) noexcept nogil:
    """Note which identifiers the event came with, and which of them are to be told; False where one is out of the ordinary."""
    cdef const uint8_t *id
    cdef uint8_t *entry
    cdef Py_ssize_t place
    cdef int number
    cdef uint8_t origin = 0
    claims.count = 0
    for number in range(event.identifier_count):
        id = event.identifiers + number * (1 + IDENTIFIER_SIZE) + 1
        if memcmp(id, key, IDENTIFIER_SIZE) == 0:
            continue
        place = 0
        while place < lead.links_size and memcmp(lead.links + place, id, IDENTIFIER_SIZE) != 0:
            place += LINK_SIZE
        entry = lead.links + place
        if place == lead.links_size:
            # A telephone number is to be learned, too; and the strongest is not linked.
            if number == 0 or place == MOST_LINKS_SIZE or id[0] == PHONE or not is_id(id):
                return False
            memcpy(entry, id, IDENTIFIER_SIZE)
            put_little_endian(entry + LINK_SINCE, at)
            put_little_endian(entry + LINK_SEEN, at)
            entry[LINK_STATUS] = OURS
            lead.links_size += LINK_SIZE
            claims.places[claims.count] = place
            claims.count += 1
        elif place > lead.links_size:
            return False
        elif number:
            if entry[LINK_STATUS] == LOST or at < little_endian(entry + LINK_SINCE):
                return False
            if at // RELINK_S > little_endian(entry + LINK_SEEN) // RELINK_S:
                return False
            if at > little_endian(entry + LINK_SEEN):
                put_little_endian(entry + LINK_SEEN, at)
        if id[0] == DEVICE:
            origin = place // LINK_SIZE + 1
    if lead.origins.old.size < 2:
        if origin == (lead.origins.old.at[0] if lead.origins.old.size else 0):
            return True
        # All were the same until now, which was kept as one byte or none.
        memset(UNIFORM, lead.origins.old.at[0] if lead.origins.old.size else 0, MAX_EVENTS)
        lead.origins.old.at, lead.origins.old.size = UNIFORM, lead.times.old.size // 4
    append(&lead.origins, &origin, 1)
    return True
