# Numbers: of the C structs, and those by which records, states and rules are laid out, as Python has them.

cdef extern from *:
    # Products of a sum in forward form and a factor of decay take up to 86 bits.
    ctypedef long long wide "__int128"

cdef enum:
    DAY_S = 86_400
    WEEK_S = 7 * DAY_S
    # What there is room for here; more is not common.
    MOST_PAIRS = 32
    MOST_GROUP = 500
    MOST_MATCHED = 24
    MOST_LIMITS = 4
    MOST_ADDED = 8 * MOST_MATCHED
    MOST_MEMO = 8_192
    MOST_IDENTIFIERS = 16
    MOST_CODE = 10_000
    ROOM_KNOWN = 16
    ROOM_TITLES = 64
    MOST_SHIFT = 100
    # What is laid out elsewhere, and compared below.
    READ_OF_REST = 6  # fields
    FIELDS = 24  # of a lead's state, its tag included
    KNOTS_SIZE = 1_026
    KNOT_BITS = 10
    FRACTION_BITS = 16
    VALUE_SHIFT = 25
    PREFIX_SIZE = 5
    IDENTIFIER_SIZE = 18
    LINK_SIZE = 27
    LINK_SINCE = 18
    LINK_SEEN = 22
    LINK_STATUS = 26
    MOST_LINKS_SIZE = 128 * LINK_SIZE
    MAX_EVENTS = 1_024
    VISITOR = 0
    INQUIRY = 1
    # Letters.
    DEVICE = 97  # a
    EMAIL = 101  # e
    PHONE = 112  # p
    USER = 117  # u
    PAGE = 1  # a mark
    # murmur2, see `schemas.keys`.
    MURMUR_SEED = 0x9747B28C
    MURMUR = 0x5BD1E995
    # Shapes of a record's fields.
    TEXT = 1
    LONG = 2
    ID_OF_EVENT = 3
    TEXTS = 4
    OPTIONAL = 128

if (
    (FIELDS, ("wake", "origins", "links")) != (len(state.Lead.__struct_fields__) + 1, state.Lead.__struct_fields__[-3:])
    or (KNOTS_SIZE, FRACTION_BITS, VALUE_SHIFT) != (len(decay.TABLE), decay.FRACTION_BITS, decay.VALUE_SHIFT)
    or (LINK_SIZE, MOST_LINKS_SIZE, MAX_EVENTS) != (links.SIZE, links.MOST_LINKS * links.SIZE, ledger.MAX_EVENTS)
    or (VISITOR, INQUIRY) != (lifecycle.VISITOR, lifecycle.INQUIRY)
    or (chr(PAGE), "\0") != (state.PAGE, state.END)
):
    raise ImportError("the kernel was compiled for leads that are laid out otherwise")

cdef int64_t NO_CEILING = ledger.NO_CEILING, HORIZON_S = ledger.HORIZON_S, RELINK_S = links.RELINK_S, LAST_MS = poison.LAST_MS, OVERDUE = judging.OVERDUE
cdef int64_t MOST_BYTES = poison.MOST_BYTES, MOST_TITLE = lead_fold.MOST_TITLE, MOST_KNOWN = contact.MOST_KNOWN
cdef int64_t MOST_CHARACTERS = contact.MOST_CHARACTERS  # or bytes: between the two Python decides
cdef int64_t MOST_NUMBER = 1 << 50  # for what is counted, and times: then sums of a few do not overflow
cdef int64_t LAST_S = LAST_MS // 1_000, MOST_OLD_ONCES = ledger.MAX_OLD_ONCES
cdef uint8_t ABSORBED = links.ABSORBED, OURS = links.OURS, LOST = links.LOST
cdef object SILENT = lead_fold.SILENT
cdef int64_t[KNOTS_SIZE] KNOTS
for _place, _knot in enumerate(decay.TABLE):
    KNOTS[_place] = _knot
