# What leads write to each other when one turns out to be another: links and absorbed leads (streams/forwarding.py).

cdef bytes LINK_PREFIX = prefix(LOCK["Link"][-1].id), ABSORB_PREFIX = prefix(LOCK["Absorb"][-1].id)
cdef Slice LINK_CAUSE = slice_of(b"link")
cdef int64_t MOVED_IDLE_S = forwarding.MOVED_IDLE_S
if state.Moved.__struct_fields__[:4] + state.Moved.__struct_fields__[-1:] != ("to", "at", "used", "wake", "before"):
    raise ImportError("the kernel was compiled for forwarding addresses that are laid out otherwise")
_address = state.encode(state.Moved("x" * IDENTIFIER_SIZE, 0, 0))
_owner_at = _address.index(b"x")
cdef enum:
    NOBODY_BEFORE = 0x90  # an empty list, the last field
# What stands around the owner and the three times, each of which takes a byte there.
cdef bytes BEFORE_OWNER = _address[:_owner_at], BEHIND_WAKE = _address[_owner_at + IDENTIFIER_SIZE + 3:]


cdef bytes link_of(bytes owner, int64_t at, bytes via):
    """The record by which a lead says that an identifier is its own; the time is in seconds.

    `via`: the lead whose it was until then, or None.
    """
    cdef uint8_t[96] room
    cdef Out out = put(room, PyBytes_AS_STRING(LINK_PREFIX), PREFIX_SIZE)
    out = put_avro_long(put_avro_text(out, slice_of(owner)), at * 1_000)
    out[0] = 0 if via is None else 2
    out += 1
    if via is not None:
        out = put_avro_text(out, slice_of(via))
    return room[: out - room]


cdef bytes address_to(const uint8_t *owner, int64_t at, int64_t used, int64_t wake):
    """A new forwarding address."""
    cdef uint8_t[128] room
    cdef Out out = put(room, PyBytes_AS_STRING(BEFORE_OWNER), PyBytes_GET_SIZE(BEFORE_OWNER))
    out = put_int(put_int(put_int(put(out, owner, IDENTIFIER_SIZE), at), used), wake)
    out = put(out, PyBytes_AS_STRING(BEHIND_WAKE), PyBytes_GET_SIZE(BEHIND_WAKE))
    return room[: out - room]


cdef bytes absorb_of(bytes source, Slice owner, int64_t at, const Lead *lead, Rest *rest):
    """The record by which a linked lead goes to its owner; the time is in seconds."""
    cdef bytes made = PyBytes_FromStringAndSize(NULL, size_of_memory(lead, rest))
    cdef Out start = <Out> PyBytes_AS_STRING(made), out
    out = put(start, PyBytes_AS_STRING(ABSORB_PREFIX), PREFIX_SIZE)
    out = put_avro_long(put_avro_text(put_avro_text(out, slice_of(source)), owner), at * 1_000)
    out = put_memory(put_avro_text(out, LINK_CAUSE), lead, rest)
    return made[: out - start]


cdef bint may_link(const uint8_t *owner, const uint8_t *id) noexcept nogil:
    """Whether an identifier can be owned without a word of anybody's: by one of a stronger kind."""
    if not is_id(owner) or not is_id(id):
        return False
    return owner[0] == USER and (id[0] == EMAIL or id[0] == DEVICE) or owner[0] == EMAIL and id[0] == DEVICE


cdef class Mailbox(Book):
    """Takes the common mail."""

    cdef bint _mail(self, record, bytes key, bytes value, int64_t now) except -1:
        cdef Cursor c = cursor(slice_of(value).at + PREFIX_SIZE, PyBytes_GET_SIZE(value) - PREFIX_SIZE)
        cdef const uint8_t *id = <const uint8_t *> PyBytes_AS_STRING(key)
        cdef int64_t most = min(LAST_MS, <int64_t> record.timestamp + DAY_S * 1_000)
        if not self._is_own(id):
            return False
        if value[:PREFIX_SIZE] == LINK_PREFIX:
            return self._link(record.offset, key, id, &c, most, now)
        return value[:PREFIX_SIZE] == ABSORB_PREFIX and self._absorb(record, key, id, &c, most, now)

    cdef bint _link(self, int64_t offset, bytes key, const uint8_t *id, Cursor *c, int64_t most, int64_t now) except -1:
        """A lead says that an identifier is its own: who was known under it goes there, and leaves an address."""
        cdef Slice owner = read_avro_text(c), via
        cdef int64_t ms = read_avro_long(c), at = ms // 1_000, used, wake, score, ceiling
        cdef Slice found
        cdef bytes address
        cdef Lead lead
        cdef Rest rest
        if read_branch(c):
            via = read_avro_text(c)
            if not is_utf8(via) or via.size == IDENTIFIER_SIZE and memcmp(via.at, id, IDENTIFIER_SIZE) == 0:
                return False
        if c.bad or c.at != c.end or owner.size != IDENTIFIER_SIZE or not may_link(owner.at, id) or not 0 <= ms <= most:
            return False
        found = self._find(key)
        if found.at == NULL:
            used = at
            self._touched.setdefault(key, SILENT)
        else:
            if not read_lead(found, &lead) or not read_rest(lead.rest, &rest):
                return False
            # Newer rules, and fields of the rest that are not known here, are for Python.
            if lead.model != self._model or lead.stage >= len(STAGES) or rest.behind_count > 1:
                return False
            used = max(lead.as_of, now)
            if used >> 32 or not self._scorer.score(&lead, used, &score, &ceiling):
                return False
            absorb = absorb_of(key, owner, at, &lead, &rest)
            to = owner.at[: owner.size]
            self._send(to, absorb)
            self._publisher.publish([self._writer.transition(key, offset, MOVED, used, LINKED, NULL, score, to)])
            self._touched[key] = offset
            used = max(at, used)
        wake = max(used, now) + MOVED_IDLE_S
        address = address_to(owner.at, at, used, wake)
        self._keep(key, slice_of(address))
        self._remember(wake, key)
        return True

    cdef bint _forward(self, Slice address, bytes value, int64_t at) except -1:
        """An event under an address goes on to who has it; Python notes a day's use, and knows former owners."""
        cdef Cursor c = cursor(address.at, address.size)
        cdef Slice to
        cdef int64_t used
        if not is_moved(address):
            return False
        read_array(&c)
        read_text(&c)
        to = read_text(&c)
        read_number(&c)
        used = read_number(&c)
        if c.bad or to.size != IDENTIFIER_SIZE or not is_id(to.at) or at - used >= DAY_S:
            return False
        if address.at[address.size - 1] != NOBODY_BEFORE:
            return False
        self._send(to.at[: to.size], value)
        return True

    cdef bint _absorb(self, record, bytes key, const uint8_t *id, Cursor *c, int64_t most, int64_t now) except -1:
        """Another lead turned out to be this one, and says what it remembers."""
        cdef Slice source = read_avro_text(c), owner = read_avro_text(c)
        cdef int64_t ms = read_avro_long(c), inquiry_score
        cdef Slice cause = read_avro_text(c)
        cdef Slice found = self._find(key)
        cdef Lead lead, other
        cdef Rest rest, their_rest
        cdef uint8_t[256] place_of
        cdef const uint8_t *entry
        cdef Py_ssize_t place
        cdef bint stays
        if c.bad or source.size != IDENTIFIER_SIZE or owner.size != IDENTIFIER_SIZE or not 0 <= ms <= most:
            return False
        if found.at == NULL or not may_link(id, source.at) or memcmp(owner.at, id, IDENTIFIER_SIZE) or not same(cause, LINK_CAUSE):
            return False
        if not read_memory(c, &other, &their_rest) or not read_lead(found, &lead):
            return False
        # By other rules the lead may be hot already: Python says so first; and what one with no event of its own is.
        if not lead.events or not other.events or lead.model != self._model or other.stage > lead.stage or lead.links_size % LINK_SIZE or not read_rest(lead.rest, &rest):
            return False
        # As `streams.union.unite` does it.
        if not shift_line(&lead, max(lead.line, other.line)) or not shift_line(&other, lead.line):
            return False
        if not unite_links(&lead, id, &other, source.at, ms // 1_000, place_of):
            return False
        if not self._rebuilder.merge(&lead, &other, place_of) or not unite_pairs(&lead, &other):
            return False
        lead.first_seen = min(lead.first_seen, other.first_seen)
        lead.last_seen = max(lead.last_seen, other.last_seen)
        lead.as_of = max(lead.as_of, max(other.as_of, now))
        if other.stage == lead.stage:
            lead.stage_since = min(lead.stage_since, other.stage_since)
        if not lead.email.size:
            lead.email = other.email
        old_onces = unite_rests(&rest, &their_rest)
        if old_onces is None or not move_line(&lead, lead.last_seen) or not self._rebuilder.rebuild(&lead, &rest):
            return False
        lead_rest = packed(&rest)
        lead.rest = slice_of(lead_rest)
        # From here on nothing can be left to Python but to judge.
        stays = self._stays(&lead, False, id, True, &inquiry_score)
        self._write(&lead, key)
        self._touched[key] = record.offset
        for place in range(0, other.links_size, LINK_SIZE):
            entry = other.links + place
            if entry[LINK_STATUS] <= OURS and memcmp(entry, id, IDENTIFIER_SIZE) != 0:
                self._tell(key, entry, little_endian(entry + LINK_SEEN), source.at[: source.size])
        if not stays:
            self._judge(record, key, "", None, True)
        elif inquiry_score >= 0:
            self._inquire(key, record.offset, &lead, NULL, inquiry_score)
        return True
