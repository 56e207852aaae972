# What is published of a lead: streams/publish.py and schemas/fast.py.

cdef tuple STAGES = tuple([stage.encode() for stage in lifecycle.STAGES])
cdef object new_tuple = tuple.__new__


cdef class StateWriter:
    """Writes the records of `lead.state` of one partition."""
    cdef object _partition
    cdef Scorer _scorer
    cdef int64_t[3] _levels
    cdef bytes _start, _end, _id

    def __init__(self, rules, partition, scorer):
        self._partition, self._scorer = partition, scorer
        for place, least in enumerate(rules.levels):
            self._levels[place] = least
        # What all records have before and behind their values, and all their ids.
        self._start = prefix(LOCK["LeadState"][-1].id)
        self._end = f"{avro_long(len(rules.version))}{rules.version}{avro_long(partition)}".encode("latin-1")
        self._id = f"leads-{partition}-".encode()

    cdef object output(self, const Lead *lead, bytes key, offset):
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
        if lead.as_of >> 32 or not self._scorer.score(lead, lead.as_of, &score, &ceiling):
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
        out = put_avro_long(out, lead.visits.count)
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
