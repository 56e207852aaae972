# What is published of a lead, as streams/publish.py and schemas/fast.py do it; None where that is beyond what is
# planned here.

cdef tuple STAGES = tuple([stage.encode() for stage in lifecycle.STAGES])
cdef object new_tuple = tuple.__new__
cdef const uint8_t *HEX_DIGITS = <const uint8_t *> b"0123456789abcdef"


cdef Slice slice_of_stage(int64_t stage) noexcept:
    return slice_of(<bytes> STAGES[stage])


def _texts(*texts):
    return "".join(f"{avro_long(len(each))}{each}" for each in texts).encode("latin-1")


# What transitions are about, before and after.
cdef bytes INQUIRED = _texts("stage", lifecycle.STAGES[VISITOR], lifecycle.STAGES[INQUIRY])
cdef bytes MOVED = _texts("identity", "lead", "moved")
cdef bytes ANSWERABLE = publish.ANSWERABLE.encode(), ASKED = publish.ASKED.encode()
cdef bytes LINKED = forwarding.LINKED.encode()


cdef class Writer:
    """Writes records of one partition about leads, with their headers."""
    cdef object _partition
    cdef Scorer _scorer
    cdef int64_t[3] _levels
    cdef bytes _state_start, _state_end, _transition_start, _id

    def __init__(self, rules, partition, scorer):
        self._partition, self._scorer = partition, scorer
        for place, least in enumerate(rules.levels):
            self._levels[place] = least
        # What all states have before and behind their values, and all ids begin with.
        self._state_start = prefix(LOCK["LeadState"][-1].id)
        self._state_end = f"{avro_long(len(rules.version))}{rules.version}{avro_long(partition)}".encode("latin-1")
        self._transition_start = prefix(LOCK["LeadTransition"][-1].id)
        self._id = f"leads-{partition}-".encode()

    cdef list _headers(self, bytes key, int64_t offset, bytes last, object type, int64_t at):
        """`last`: what an id ends with."""
        cdef uint8_t[128] id
        cdef uint8_t[20] time
        cdef Out out = put(id, PyBytes_AS_STRING(self._id), PyBytes_GET_SIZE(self._id))
        out = put_digits(out, offset, 1)
        out[0] = 45  # -
        out = put(out + 1, PyBytes_AS_STRING(last), PyBytes_GET_SIZE(last))
        put_rfc3339(time, at)
        return [
            SPECVERSION,
            ("ce_id", PyBytes_FromStringAndSize(<const char *> id, out - id)),
            type,
            SOURCE,
            ("ce_time", PyBytes_FromStringAndSize(<const char *> time, 20)),
            ("ce_subject", key),
        ]

    cdef object state(self, const Lead *lead, bytes key, int64_t offset):
        """The record of `lead.state`."""
        cdef uint8_t[512] value
        cdef Out out = value
        cdef Slice name = slice_of(key)
        cdef int64_t score, ceiling
        cdef int level = 0
        if name.size != IDENTIFIER_SIZE or not is_ascii(name.at, name.size) or lead.stage >= len(STAGES):
            return None
        if lead.as_of >> 32 or not self._scorer.score(lead, lead.as_of, &score, &ceiling):
            return None
        while level < 3 and score < self._levels[level]:
            level += 1
        out = put(out, PyBytes_AS_STRING(self._state_start), PyBytes_GET_SIZE(self._state_start))
        out = put_avro_text(out, name)
        out = put_avro_long(out, lead.as_of * 1_000)
        out = put_avro_long(out, score)
        out = put_avro_long(out, level + 1)
        out[0] = out[1] = 0  # not hot, since null
        out += 2
        if lead.hot_since:
            memcpy(out - 2, b"\x01\x02", 2)
            out = put_avro_long(out, lead.hot_since * 1_000)
        out = put_avro_text(out, slice_of_stage(lead.stage))
        out = put_avro_long(out, lead.stage_since * 1_000)
        out = put_avro_long(out, lead.first_seen * 1_000)
        out = put_avro_long(out, lead.last_seen * 1_000)
        out = put_avro_long(out, lead.events)
        out = put_avro_long(out, lead.visits.count)
        out = put(out, PyBytes_AS_STRING(self._state_end), PyBytes_GET_SIZE(self._state_end))
        out = put_avro_long(out, offset)
        record = PyBytes_FromStringAndSize(<const char *> value, out - value)
        headers = self._headers(key, offset, key, STATE, lead.as_of)
        return new_tuple(Output, ("lead.state", self._partition, key, record, headers))

    cdef object gone(self, bytes key, int64_t at, int64_t offset):
        """The tombstone of a lead on `lead.state`."""
        if PyBytes_GET_SIZE(key) != IDENTIFIER_SIZE or not 0 <= at < 1 << 32:
            return None
        return new_tuple(Output, ("lead.state", self._partition, key, None, self._headers(key, offset, key, STATE, at)))

    cdef object transition(
        self, bytes key, int64_t offset, bytes change, int64_t at, bytes cause, const uint8_t *event, int64_t score,
        bytes other,
    ):
        """The record of `lead.transitions` that an inbox record caused first.

        `event`: the id of the one that caused it, or NULL; `other`: another lead's id, or None.
        """
        cdef bytes value = PyBytes_FromStringAndSize(NULL, 256 + len(change) + len(cause))
        cdef Out start = <Out> PyBytes_AS_STRING(value), out
        cdef int place
        out = put(start, PyBytes_AS_STRING(self._transition_start), PyBytes_GET_SIZE(self._transition_start))
        out = put_avro_text(out, slice_of(key))
        out = put(out, PyBytes_AS_STRING(change), PyBytes_GET_SIZE(change))
        out = put_avro_text(put_avro_long(out, at * 1_000), slice_of(cause))
        out[0] = 0 if event == NULL else 2
        out += 1
        if event != NULL:
            out = put_avro_long(out, 16)
            for place in range(8):
                out[0] = HEX_DIGITS[event[place] >> 4]
                out[1] = HEX_DIGITS[event[place] & 15]
                out += 2
        out = put_avro_long(put_avro_long(put_avro_long(out, score), self._partition), offset)
        out[0] = 0 if other is None else 2
        out += 1
        if other is not None:
            out = put_avro_text(out, slice_of(other))
        headers = self._headers(key, offset, b"0", TRANSITION, at)
        return new_tuple(Output, ("lead.transitions", self._partition, key, value[: out - start], headers))


cdef bint quarantine(
    publisher, offset, bytes key, bytes value, Version version, const Event *event, bint is_human
) except -1:
    """Keep an event out of scoring, with the reasons; False if that is left to Python."""
    cdef Cursor c = event.behind
    cdef int64_t left
    cdef list reasons = []
    if not is_utf8(event.kind) or not is_utf8(event.asset):
        return False
    try:
        verdict = "duplicate" if is_human else text_of(event.verdict)
        if is_human:
            reasons.append("the lead already has this event")
        else:
            pass_over(&c, version.before_reasons)
            left = read_block(&c)
            while left and not c.bad:
                reasons.append(text_of(read_avro_text(&c)))
                left -= 1
                if left == 0:
                    left = read_block(&c)
            if c.bad:
                return False
    except UnicodeDecodeError:
        return False
    publisher.offset, publisher.count = offset, 0
    publisher.quarantine(key, value, event.id[:8], verdict, tuple(reasons), event.ms)
    return True
