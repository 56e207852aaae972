# What is done with a lead whoever changed it: judged, written, told to others, published.

cdef class Book:
    """The leads of one partition."""
    cdef object _states
    cdef Table _table  # the states, if that is what they are; else they are a dict
    cdef dict _touched
    cdef object _publisher, _remember, _claim, _judge
    cdef Matcher _matcher
    cdef Rebuilder _rebuilder
    cdef Scorer _scorer
    cdef Writer _writer
    cdef uint32_t _partition, _partitions
    cdef int64_t _model, _lowest_mark, _mql_at, _hot_at, _anonymous_idle_s
    cdef uint8_t *_scratch
    cdef Py_ssize_t _room

    def __dealloc__(self):
        PyMem_Free(self._scratch)

    def __init__(self, rules, partition, partitions, states, touched, publisher, remember, claim, judge):
        """`states` and `touched` (key → offset) are the fold's own and change in place.

        `remember(due, key)` is told when a tick is to look at a key; `claim(owner, link, via)` which identifier of an
        odd kind is to be told whose it is; `judge(record, key, kind, event_id, fell)` which lead may have come to
        another stage or heat by a record, which it is in the states already.
        """
        self._states, self._touched = states, touched
        self._table = states if isinstance(states, Table) else None
        self._publisher, self._remember, self._claim, self._judge = publisher, remember, claim, judge
        self._partition, self._partitions = partition, partitions
        self._model, self._anonymous_idle_s = rules.number, rules.anonymous_idle_s
        self._lowest_mark, self._mql_at, self._hot_at = rules.lowest_mark, rules.mql_at, rules.hot_at
        self._matcher, self._scorer = Matcher(rules), Scorer(rules)
        self._rebuilder = Rebuilder(rules, self._matcher)
        self._writer = Writer(rules, partition, self._scorer)

    cdef Slice _find(self, bytes key) except *:
        """The state under a key, until one is kept; nowhere if there is none."""
        cdef Slice state
        cdef PyObject *found
        if self._table is not None:
            return self._table.find(slice_of(key))
        state.at, state.size = NULL, 0
        found = PyDict_GetItemWithError(self._states, key)
        return state if found == NULL else slice_of(<bytes> found)

    cdef int _keep(self, bytes key, Slice state) except -1:
        if self._table is not None:
            return self._table.put(slice_of(key), state)
        self._states[key] = state.at[: state.size]
        return 0

    cdef bint _is_own(self, const uint8_t *id) noexcept:
        return is_id(id) and partition_hash(id) % self._partitions == self._partition

    cdef bint _is_plain(self, Lead *lead, const uint8_t *id) noexcept:
        """Whether other rules change nothing but points in a lead; False if Python is to say what they do."""
        cdef int64_t score, ceiling
        if lead.hot_since:
            return True
        if id[0] == DEVICE and lead.wake > lead.as_of + self._anonymous_idle_s:
            return False
        return self._scorer.score(lead, lead.as_of, &score, &ceiling) and score < self._hot_at

    cdef bint _stays(self, Lead *lead, bint asks, const uint8_t *id, bint fell, int64_t *inquiry_score) noexcept:
        """Whether stage, heat and what a tick is to look at stay as they are; False if Python is to judge.

        Or the visitor becomes an inquiry: then `inquiry_score` is its score, else -1.
        """
        cdef int64_t score, ceiling = lead.ceiling, any_ceiling, stage = lead.stage
        cdef Rest rest
        inquiry_score[0] = -1
        if stage == VISITOR and (lead.email.at != NULL or id[0] != DEVICE or asks):
            if not self._scorer.score(lead, lead.as_of, inquiry_score, &any_ceiling):
                return False
            stage = INQUIRY
        if ceiling >= self._lowest_mark and (stage == INQUIRY or not lead.hot_since):
            if not self._scorer.score(lead, lead.as_of, &score, &ceiling):
                return False
            if stage == INQUIRY and score >= self._mql_at and lead.email.at != NULL:
                return False
            if not lead.hot_since and score >= self._hot_at:
                if lead.email.at != NULL or not read_rest(lead.rest, &rest) or has_phone(&rest):
                    return False
        if lead.hot_since and (fell or not lead.wake) or not lead.wake and id[0] == DEVICE:
            return False
        lead.ceiling = ceiling
        if stage != lead.stage:
            lead.stage, lead.stage_since = stage, lead.as_of
        return True

    cdef int _write(self, const Lead *lead, bytes key) except -1:
        cdef Py_ssize_t most = size_of(lead)
        cdef Slice written
        if most > self._room:
            self._scratch = <uint8_t *> PyMem_Realloc(self._scratch, 2 * most)
            if self._scratch == NULL:
                self._room = 0
                raise MemoryError
            self._room = 2 * most
        written.at, written.size = self._scratch, put_lead(self._scratch, lead) - self._scratch
        return self._keep(key, written)

    cdef int _send(self, bytes to, bytes value) except -1:
        """Mail to an id."""
        cdef uint32_t partition = partition_hash(<const uint8_t *> PyBytes_AS_STRING(to)) % self._partitions
        self._publisher.publish([new_tuple(Output, (INBOX, partition, to, value, []))])
        return 0

    cdef int _tell(self, bytes key, const uint8_t *id, int64_t at, bytes via) except -1:
        """Tell an identifier whose it is; `via`: whose it was, or None."""
        cdef bytes identifier = id[:IDENTIFIER_SIZE]
        if id[0] in (USER, EMAIL, DEVICE):
            self._send(identifier, link_of(key, at, via))
        else:
            self._claim(key.decode(), links.Link(identifier, at, at, OURS), None if via is None else via.decode())
        return 0

    cdef int _inquire(self, bytes key, int64_t offset, const Lead *lead, const Event *event, int64_t score) except -1:
        """Publish that a visitor became an inquiry; `event`: by which event, or NULL."""
        cdef bytes cause = ANSWERABLE
        if key[0] == DEVICE and lead.email.at == NULL:
            cause = ASKED + event.kind.at[: event.kind.size]
        self._publisher.publish([
            self._writer.transition(
                key, offset, INQUIRED, lead.as_of, cause, NULL if event == NULL else event.id, score, None
            )
        ])
        return 0

    def plan(self):
        """Put leads on the agenda as their states say; the keys of which Python is to say when they are due."""
        cdef list left = []
        cdef bytes key, value
        cdef Lead lead
        cdef int64_t due
        for key, value in self._states.items():
            if not read_lead(slice_of(value), &lead):
                left.append(key)
            elif lead.wake:
                due = lead.wake
                if lead.model != self._model:  # as `streams.judging.Judge.due` says
                    due = OVERDUE if lead.hot_since else min(due, lead.as_of + self._anonymous_idle_s)
                self._remember(due, key)
        return left

    def seal(self, int64_t now):
        """Publish what was touched, in its order; what it changed, as key → state, None where one is gone."""
        cdef dict changes = {}
        cdef list outputs = []
        cdef bytes key
        cdef Lead lead
        for key, offset in self._touched.items():
            value = self._states.get(key)
            changes[key] = value
            if offset < 0:
                continue
            output = None
            if value is None or is_moved(slice_of(value)):
                output = self._writer.gone(key, now, offset)
            elif read_lead(slice_of(value), &lead):
                output = self._writer.state(&lead, key, offset)
            if output is not None:
                outputs.append(output)
                continue
            self._publisher.publish(outputs)
            outputs = []
            seldom = None if value is None else state.decode(value)
            if isinstance(seldom, state.Lead):
                self._publisher.state(key, seldom, offset)
            else:
                self._publisher.gone(key, now, offset)
        self._publisher.publish(outputs)
        return changes
