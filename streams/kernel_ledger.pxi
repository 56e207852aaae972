# What an event adds to a lead, and what it is worth: streams/ledger.py, links.py, decay.py and score.py.

# -- points

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


cdef bint rebase(Pairs *sums, int64_t line, int64_t new_line) noexcept nogil:
    """Bring sums in forward form to a later line."""
    cdef int64_t half_life_s, shift
    cdef int place
    for place in range(sums.count):
        half_life_s = (sums.keys[place] & 511) * DAY_S
        shift = new_line // half_life_s - line // half_life_s
        if not 0 <= shift < 64:
            return False
        sums.values[place] >>= shift
    return True


cdef class Scorer:
    """The score under one set of rules."""
    cdef int64_t _cap
    cdef int64_t[MOST_GROUP + 1] _caps

    def __init__(self, rules):
        self._cap = rules.cap
        memset(self._caps, 0, sizeof(self._caps))
        for group, cap in rules.caps.items():
            self._caps[group] = cap

    cdef bint score(self, const Lead *lead, int64_t at, int64_t *found, int64_t *ceiling) noexcept nogil:
        """The score at a time, and what it will not exceed; False where that is beyond the numbers planned here."""
        cdef int64_t[MOST_PAIRS] groups
        cdef wide[MOST_PAIRS] points_of
        cdef int count = 0, place, group_place
        cdef int64_t days = 0, half_life_s, elapsed, knot, factor = 0, shift = 0, group, cap
        cdef wide points, negative = 0, total = 0
        if at < lead.line:
            return False
        for place in range(lead.sums.count):
            if lead.sums.keys[place] & 511 != days:  # most channels of a lead share one half-life
                days = lead.sums.keys[place] & 511
                half_life_s = days * DAY_S
                elapsed = (half_life_s - at % half_life_s) << KNOT_BITS
                knot = elapsed // half_life_s
                factor = KNOTS[knot] + (KNOTS[knot + 1] - KNOTS[knot]) * (elapsed % half_life_s) // half_life_s
                shift = min(MOST_SHIFT, VALUE_SHIFT + at // half_life_s - lead.line // half_life_s)
            points = lead.sums.values[place]
            points = points * factor
            points = points >> shift
            if points < 0:
                negative -= points
            group = lead.sums.keys[place] >> 9
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
        found[0] = 0 if total < 0 else self._cap if total > self._cap else <int64_t> total
        negative = (negative + (1 << (FRACTION_BITS - 1))) >> FRACTION_BITS
        ceiling[0] = found[0] + <int64_t> negative + 2  # two roundings
        return True


# -- the ledger

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


cdef bint shift_line(Lead *lead, int64_t line) noexcept nogil:
    """Bring a ledger to a later line; False if an event would have to be folded for it."""
    if lead.times.old.size >= 4 and time_at(lead, 0) < line:
        return False
    if not rebase(&lead.sums, lead.line, line) or not rebase(&lead.base, lead.line, line):
        return False
    lead.line = line
    return True


cdef bint move_line(Lead *lead, int64_t at) noexcept nogil:
    """Move the ledger's line if it is time to; False if an event would have to be folded for it."""
    return at - lead.line < HORIZON_S + WEEK_S or shift_line(lead, line_for(at))


cdef bint add_points(Lead *lead, Compiled rule, int64_t at, bint *fell) noexcept nogil:
    """Add the points of a match that counts; False where they are beyond the numbers planned here."""
    cdef int64_t weight
    cdef int cleared = place_in(&lead.cleared, rule.group)
    if not rule.millipoints or cleared < lead.cleared.count and lead.cleared.values[cleared] >= at:
        return True
    if rule.millipoints > 0:
        lead.ceiling += rule.millipoints
    else:
        fell[0] = True
    return forward(rule, at, lead.line, &weight) and add_to(&lead.sums, rule.channel, weight)


cdef void drop_group(Pairs *sums, int64_t group) noexcept nogil:
    cdef int place, kept = 0
    for place in range(sums.count):
        if sums.keys[place] >> 9 != group:
            sums.keys[kept], sums.values[kept] = sums.keys[place], sums.values[place]
            kept += 1
    sums.count = kept


cdef bint count_match(
    Lead *lead, Compiled rule, const uint8_t *once, int64_t at, bint *fell
) noexcept nogil:
    """Enter a match that is the latest of its rule; False where that is out of the ordinary."""
    cdef Rest rest
    cdef bint counts = True
    cdef int64_t then
    cdef int place
    if rule.once:
        if not read_rest(lead.rest, &rest):
            return False
        counts = not holds(lead.onces.old, once) and not holds(rest.old_onces, once)
        append(&lead.onces, once, 8)
    for place in range(rule.limits):
        if counts:
            then = limit_time(lead, rule, rule.limit_counts[place])
            counts = then < 0 or period(then, rule.limit_days[place]) != period(at, rule.limit_days[place])
    append(&lead.marks, &rule.counted[0] if counts else &rule.cut[0], rule.mark_size)
    if rule.clears:
        fell[0] = True
        drop_group(&lead.sums, rule.group)
        drop_group(&lead.base, rule.group)
        return keep_most(&lead.cleared, rule.group, at)
    return not counts or add_points(lead, rule, at, fell)


# -- identifiers

cdef struct Claims:
    int count
    Py_ssize_t[MOST_IDENTIFIERS] places  # the first bytes of entries in `links` whose ids are to be told whose they are


cdef inline Py_ssize_t find_link(const Lead *lead, const uint8_t *id) noexcept nogil:
    """Where the entry of an id begins; behind the entries if there is none."""
    cdef Py_ssize_t place = 0
    while place < lead.links_size and memcmp(lead.links + place, id, IDENTIFIER_SIZE) != 0:
        place += LINK_SIZE
    return place


cdef inline bint is_contact(const uint8_t *id) noexcept nogil:
    return id[0] == EMAIL or id[0] == PHONE


cdef inline void write_link(uint8_t *entry, const uint8_t *id, int64_t since, int64_t seen, uint8_t status) noexcept nogil:
    memmove(entry, id, IDENTIFIER_SIZE)
    put_little_endian(entry + LINK_SINCE, since)
    put_little_endian(entry + LINK_SEEN, seen)
    entry[LINK_STATUS] = status


cdef bint see(
    Lead *lead, const Event *event, const uint8_t *key, int64_t at, Claims *claims, uint8_t *origin
) noexcept nogil:
    """Note which identifiers the event came with, which of them are to be told, and which is the event's origin.

    False where one is odd.
    """
    cdef const uint8_t *id
    cdef uint8_t *entry
    cdef Py_ssize_t place
    cdef int number
    claims.count = 0
    origin[0] = 0
    for number in range(event.identifier_count):
        id = event.identifiers + number * (1 + IDENTIFIER_SIZE) + 1
        if memcmp(id, key, IDENTIFIER_SIZE) == 0:
            continue
        place = find_link(lead, id)
        entry = lead.links + place
        if place == lead.links_size:
            # A telephone number is to be learned, too; and the strongest is not linked.
            if number == 0 or place == MOST_LINKS_SIZE or id[0] == PHONE or not is_id(id):
                return False
            write_link(entry, id, at, at, OURS)
            lead.links_size += LINK_SIZE
            claims.places[claims.count] = place
            claims.count += 1
        elif place > lead.links_size or (entry[LINK_STATUS] == ABSORBED and is_contact(entry)):
            return False
        elif number:
            if entry[LINK_STATUS] == LOST or at // RELINK_S > little_endian(entry + LINK_SEEN) // RELINK_S:
                return False
            if at > little_endian(entry + LINK_SEEN):
                put_little_endian(entry + LINK_SEEN, at)
            if at < little_endian(entry + LINK_SINCE):
                put_little_endian(entry + LINK_SINCE, at)
        if id[0] == DEVICE:
            origin[0] = place // LINK_SIZE + 1
    return True


cdef inline void note_origin(Lead *lead, uint8_t origin) noexcept nogil:
    """Enter the origin of the latest event."""
    if lead.origins.old.size < 2:
        if origin == (lead.origins.old.at[0] if lead.origins.old.size else 0):
            return
        # All were the same until now, which was kept as one byte or none.
        memset(lead.uniform, lead.origins.old.at[0] if lead.origins.old.size else 0, MAX_EVENTS)
        lead.origins.old.at, lead.origins.old.size = lead.uniform, lead.times.old.size // 4
    append(&lead.origins, &origin, 1)
