# Links, as `streams.forwarding` sends and takes them: by far the most of what leads write to each other.

cdef bytes LINK_PREFIX = prefix(LOCK["Link"][-1].id)
cdef int64_t MOVED_IDLE_S = forwarding.MOVED_IDLE_S
if state.Moved.__struct_fields__[:4] != ("to", "at", "used", "wake"):
    raise ImportError("the kernel was compiled for forwarding addresses that are laid out otherwise")
_address = state.encode(state.Moved("x" * IDENTIFIER_SIZE, 0, 0))
_owner_at = _address.index(b"x")
# What stands around the owner and the three times, each of which takes a byte there.
cdef bytes BEFORE_OWNER = _address[:_owner_at], BEHIND_WAKE = _address[_owner_at + IDENTIFIER_SIZE + 3:]


cdef bytes link_of(const uint8_t *owner, int64_t at):
    """The record by which a lead says that an identifier is its own; the time is in seconds."""
    cdef uint8_t[64] room
    cdef Slice id
    cdef Out out = put(room, PyBytes_AS_STRING(LINK_PREFIX), PREFIX_SIZE)
    id.at, id.size = owner, IDENTIFIER_SIZE
    out = put_avro_long(put_avro_text(out, id), at * 1_000)
    out[0] = 0  # in nobody's place
    return room[: out + 1 - room]


cdef bytes address_to(const uint8_t *owner, int64_t at, int64_t wake):
    """A forwarding address that was used for the first time."""
    cdef uint8_t[128] room
    cdef Out out = put(room, PyBytes_AS_STRING(BEFORE_OWNER), PyBytes_GET_SIZE(BEFORE_OWNER))
    out = put_int(put_int(put_int(put(out, owner, IDENTIFIER_SIZE), at), at), wake)
    out = put(out, PyBytes_AS_STRING(BEHIND_WAKE), PyBytes_GET_SIZE(BEHIND_WAKE))
    return room[: out - room]


cdef bint may_link(const uint8_t *owner, const uint8_t *id) noexcept:
    """Whether an identifier can be owned without a word of anybody's: by one of a stronger kind."""
    if not is_id(owner) or not is_id(id):
        return False
    return owner[0] == USER and (id[0] == EMAIL or id[0] == DEVICE) or owner[0] == EMAIL and id[0] == DEVICE
