# The rules as the kernel reads them, and which of them an event matches (streams/rules.py).

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
    bint clears
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
    made.clears = rule.clears
    # What a visit clears, and what its match is remembered by, is not known before the visit is.
    made.is_common = len(rule.period_limits) <= MOST_LIMITS and not (rule.on_visits and (rule.once or rule.clears))
    made.limits = 0
    for count, days in rule.period_limits[:MOST_LIMITS]:
        made.limit_counts[made.limits], made.limit_days[made.limits] = count, days
        made.limits += 1
    made.page = next((page for page, found in rules.page_rules.items() if rule in found), 0)
    made.within_s = next((within_s for within_s, found in rules.return_rules if found is rule), 0)
    return made


cdef class Matcher:
    """Which rules an event matches."""
    cdef object _rules
    cdef dict _memo
    cdef CompiledRule *_compiled
    cdef int _count
    cdef int64_t _session_gap_s
    cdef short[MOST_CODE + 1] _place_of

    def __cinit__(self, rules):
        self._count = len(rules.rules)
        self._compiled = <CompiledRule *> PyMem_Malloc(max(1, self._count) * sizeof(CompiledRule))
        if self._compiled == NULL:
            raise MemoryError

    def __dealloc__(self):
        PyMem_Free(self._compiled)

    def __init__(self, rules):
        self._rules, self._memo, self._session_gap_s = rules, {}, rules.session_gap_s
        memset(self._place_of, 0xFF, sizeof(self._place_of))
        for place, rule in enumerate(rules.rules):
            self._compiled[place] = compiled(rule, rules)
            self._place_of[<int> rule.code] = place

    cdef Compiled by_code(self, uint32_t code) noexcept:
        """The rule with a code; NULL if there is none."""
        if code > MOST_CODE or self._place_of[code] < 0:
            return NULL
        return &self._compiled[self._place_of[code]]

    cdef Matched of(self, Version version, const Event *event):
        """What is known of events of this kind about this asset; None if that is out of the ordinary."""
        cdef bytes subject = event.subject.at[: event.subject.size]
        cdef Matched matched = self._memo.get(subject)
        cdef Cursor c
        try:
            if matched is None:
                kind, asset = text_of(event.kind), text_of(event.asset)
                matched = self._match(kind, asset, self._rules.matching(kind, asset))
                if len(self._memo) >= MOST_MEMO:
                    self._memo.clear()
                self._memo[subject] = matched
            if matched.conditional:
                c = event.behind
                pass_over(&c, version.before_properties)
                properties = text_of(read_avro_text(&c))
                if c.bad:
                    return None
                rules = holding(matched.rules, properties)
                matched = self._match(text_of(event.kind), text_of(event.asset), rules)
        except UnicodeDecodeError:
            return None
        return matched if matched.is_common else None

    cdef Matched _match(self, str kind, str asset, tuple rules):
        cdef Matched matched = Matched()
        cdef Compiled rule
        cdef bytes once
        matched.rules, matched.count = rules, 0
        matched.is_page, matched.asks = kind == "page_view", kind in self._rules.inquiry_kinds
        matched.conditional = any(each.conditions for each in rules)
        matched.keeps_title = any(each.keeps_title for each in rules)
        matched.is_email_click = kind == "email_click"
        matched.is_common = kind != "alias" and len(rules) <= MOST_MATCHED // 2
        for each in rules[:MOST_MATCHED]:
            rule = self.by_code(each.code)
            matched.is_common &= rule.is_common
            matched.compiled[matched.count] = rule
            if rule.once:
                once = ledger.once_key(each, asset)
                memcpy(matched.onces[matched.count], PyBytes_AS_STRING(once), 8)
            matched.count += 1
        return matched

    cdef int next_page(self, Lead *lead, int64_t at, Compiled *matched) noexcept:
        """Count a page view; how many rules on visits it matches, and which."""
        cdef Visits *visits = &lead.visits
        cdef int64_t gap = at - visits.last
        cdef bint returns = visits.count > 0 and gap >= self._session_gap_s
        cdef int place, count = 0
        if visits.count > 0 and not returns:
            visits.pages += 1
        else:
            visits.count += 1
            visits.pages = 1
        visits.last = at
        for place in range(self._count):
            if self._compiled[place].page == visits.pages and count < MOST_MATCHED // 2:
                matched[count] = &self._compiled[place]
                count += 1
        for place in range(self._count):
            if returns and 0 < self._compiled[place].within_s >= gap and count < MOST_MATCHED // 2:
                matched[count] = &self._compiled[place]
                count += 1
        return count


# -- what an event adds to the rest of its lead; None where that is left to Python

cdef bytes first_known(Lead *lead, Version version, const Event *event, const uint8_t *id):
    """What the key of a new lead was made of, if the event tells it."""
    cdef Cursor c = event.behind
    cdef Slice made_of = event.email
    cdef Rest rest
    if id[0] == USER:
        made_of.at, made_of.size = NULL, 0
        pass_over(&c, version.before_user_id)
        if read_branch(&c):
            made_of = read_avro_text(&c)
        if c.bad or made_of.size > MOST_CHARACTERS or made_of.at != NULL and not is_utf8(made_of):
            return None
    elif made_of.size:
        lead.email = made_of
    if not made_of.size:
        return b"\x90"
    if not read_rest(lead.rest, &rest):
        return None
    learn(&rest, id[0], made_of, event.ms // 1_000, 0)
    return packed(&rest)


cdef bytes with_email(Lead *lead, const Event *event, Matched matched):
    """With the address that the event came with; where a click proves that address, Python takes note of it."""
    cdef Rest rest
    cdef Known *known
    if not read_rest(lead.rest, &rest):
        return None
    known = find_known(&rest, EMAIL, event.email)
    if matched.is_email_click and (known == NULL or not known.verified):
        return None
    lead.email = event.email
    if known != NULL:
        return lead.rest.at[: lead.rest.size]
    learn(&rest, EMAIL, event.email, event.ms // 1_000, 0)
    return packed(&rest)


cdef bytes with_titles(Slice given, const Event *event, Matched matched):
    """With the title of what the event was about, under the rules that keep it."""
    cdef Rest rest
    cdef Slice title = shortened(event.title if event.title.size else event.asset, MOST_TITLE)
    cdef int place
    if not read_rest(given, &rest):
        return None
    for place in range(matched.count):
        if matched.compiled[place].keeps_title and not keep_title(&rest, matched.compiled[place].code, title):
            return None
    return packed(&rest)
