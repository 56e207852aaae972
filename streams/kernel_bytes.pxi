# Reading and writing MessagePack and Avro, without an object for any value.

# -- reading: Avro and MessagePack

cdef struct Slice:
    const uint8_t *at
    Py_ssize_t size

cdef struct Cursor:
    const uint8_t *at
    const uint8_t *end
    bint bad  # something was not as expected; what has been read since is worth nothing


cdef inline Cursor cursor(const uint8_t *at, Py_ssize_t size) noexcept nogil:
    cdef Cursor c
    c.at, c.end, c.bad = at, at + size, False
    return c


cdef inline Slice slice_of(bytes value):
    """The bytes of an object, which must outlive the slice."""
    cdef Slice read
    read.at, read.size = <const uint8_t *> PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value)
    return read


cdef inline const uint8_t *take(Cursor *c, uint64_t size) noexcept nogil:
    """The next so many bytes; NULL if there are fewer."""
    cdef const uint8_t *at = c.at
    if size > <uint64_t> (c.end - at):
        c.bad = True
        return NULL
    c.at += size
    return at


cdef inline uint64_t big_endian(Cursor *c, int size) noexcept nogil:
    cdef const uint8_t *at = take(c, size)
    cdef uint64_t number = 0
    cdef int place
    if at != NULL:
        for place in range(size):
            number = number << 8 | at[place]
    return number


cdef inline int64_t read_avro_long(Cursor *c) noexcept nogil:
    """A zigzag varint of at most 64 bits."""
    cdef uint64_t raw = 0, part
    cdef int place
    for place in range(10):
        if c.at == c.end:
            break
        part = c.at[0]
        c.at += 1
        raw |= (part & 127) << 7 * place
        if part < 128:
            if place == 9 and part > 1:
                break
            return <int64_t> (raw >> 1) ^ -<int64_t> (raw & 1)
    c.bad = True
    return 0


cdef inline Slice read_avro_text(Cursor *c) noexcept nogil:
    """A text's bytes, not yet known to be UTF-8."""
    cdef Slice text
    text.size = read_avro_long(c)
    text.at = take(c, text.size)  # a negative size is larger than any
    if text.at == NULL:
        text.size = 0
    return text


cdef bint read_branch(Cursor *c) noexcept nogil:
    """Whether an optional value is there."""
    cdef uint64_t branch = big_endian(c, 1)
    c.bad |= branch != 0 and branch != 2
    return branch == 2


cdef int64_t read_block(Cursor *c) noexcept nogil:
    """How many items the next block of an array has; 0 after the last."""
    cdef int64_t count = read_avro_long(c)
    if count < 0:
        read_avro_long(c)
        count = -count
    c.bad |= count > c.end - c.at  # each takes a byte at least
    return 0 if c.bad else count


cdef void pass_over(Cursor *c, bytes fields):
    """Pass over fields of a record, which are given by their shapes."""
    cdef uint8_t shape
    cdef int64_t left
    cdef Slice text
    for shape in fields:
        if shape & OPTIONAL and not read_branch(c):
            continue
        shape &= ~OPTIONAL
        if shape == TEXT:
            read_avro_text(c)
        elif shape == LONG:
            read_avro_long(c)
        elif shape == ID_OF_EVENT:
            take(c, 8)
        else:
            left = read_block(c)
            while left:
                text = read_avro_text(c)
                c.bad |= not is_ascii(text.at, text.size)
                left -= 1
                if left == 0:
                    left = read_block(c)


cdef inline bint is_ascii(const uint8_t *at, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t place
    cdef uint8_t bits = 0
    for place in range(size):
        bits |= at[place]
    return bits < 128


cdef inline int64_t read_int(Cursor *c) noexcept nogil:
    """A MessagePack integer of 64 bits with sign."""
    cdef uint64_t head = big_endian(c, 1), raw
    cdef int bits
    if head < 0x80:
        return head
    if head >= 0xE0:
        return <int64_t> head - 256
    if 0xCC <= head <= 0xCF:
        raw = big_endian(c, 1 << (head - 0xCC))
        c.bad |= raw >> 63
        return raw
    if 0xD0 <= head <= 0xD3:
        bits = 8 << (head - 0xD0)
        raw = big_endian(c, bits >> 3)
        return <int64_t> (raw << (64 - bits)) >> (64 - bits)
    c.bad = True
    return 0


cdef inline int64_t read_number(Cursor *c) noexcept nogil:
    """A MessagePack integer that counts something or is a time."""
    cdef int64_t number = read_int(c)
    c.bad |= not 0 <= number <= MOST_NUMBER
    return number


cdef inline uint64_t read_size(Cursor *c, uint64_t short_code, uint64_t shorts, uint64_t code, int size) noexcept nogil:
    """The size of an array, a map, a text or a blob, whose codes and first width are given."""
    cdef uint64_t head = big_endian(c, 1)
    if short_code <= head < short_code + shorts:
        return head - short_code
    if code <= head <= code + (2 if size == 1 else 1):
        return big_endian(c, size << (head - code))
    c.bad = True
    return 0


cdef inline uint64_t read_array(Cursor *c) noexcept nogil:
    return read_size(c, 0x90, 16, 0xDC, 2)


cdef inline uint64_t read_map(Cursor *c) noexcept nogil:
    return read_size(c, 0x80, 16, 0xDE, 2)


cdef inline Slice read_blob(Cursor *c) noexcept nogil:
    cdef Slice blob
    blob.size = read_size(c, 0, 0, 0xC4, 1)
    blob.at = take(c, blob.size)
    return blob


cdef inline Slice read_text(Cursor *c) noexcept nogil:
    cdef Slice text
    text.size = read_size(c, 0xA0, 32, 0xD9, 1)
    text.at = take(c, text.size)
    return text


cdef void skip(Cursor *c) noexcept nogil:
    """Pass over one value of any kind that a state may hold."""
    cdef uint64_t left = 1, head
    while left and not c.bad:
        left -= 1
        head = big_endian(c, 1)
        if head < 0x80 or head >= 0xE0 or head == 0xC0:
            pass
        elif head < 0x90:
            left += 2 * (head & 15)
        elif head < 0xA0:
            left += head & 15
        elif head < 0xC0:
            take(c, head & 31)
        elif 0xC4 <= head <= 0xC6:
            take(c, big_endian(c, 1 << (head - 0xC4)))
        elif 0xCC <= head <= 0xD3:
            take(c, 1 << ((head - 0xCC) & 3))
        elif 0xD9 <= head <= 0xDB:
            take(c, big_endian(c, 1 << (head - 0xD9)))
        elif 0xDC <= head <= 0xDD:
            left += big_endian(c, 2 << (head - 0xDC))
        elif 0xDE <= head <= 0xDF:
            left += 2 * big_endian(c, 2 << (head - 0xDE))
        else:
            c.bad = True


cdef inline Slice skipped(Cursor *c) noexcept nogil:
    """The bytes of the next value, of any kind."""
    cdef Slice value
    value.at = c.at
    skip(c)
    value.size = c.at - value.at
    return value


cdef inline bint same(Slice one, Slice other) noexcept nogil:
    return one.size == other.size and memcmp(one.at, other.at, one.size) == 0


# -- writing: `out` points behind what is written; whoever calls has made room

ctypedef uint8_t *Out


cdef inline Out put(Out out, const void *bytes, Py_ssize_t size) noexcept nogil:
    if size:  # an empty column of a new lead is nowhere
        memcpy(out, bytes, size)
    return out + size


cdef inline Out put_big_endian(Out out, uint64_t number, int size) noexcept nogil:
    cdef int place
    for place in range(size):
        out[place] = <uint8_t> (number >> 8 * (size - 1 - place))
    return out + size


cdef inline Out put_coded(Out out, int code, uint64_t number, int size) noexcept nogil:
    out[0] = code
    return put_big_endian(out + 1, number, size)


cdef inline Out put_int(Out out, int64_t number) noexcept nogil:
    """In the fewest bytes, as msgspec does."""
    if number >= 0:
        if number < 0x80:
            out[0] = number
            return out + 1
        if number < 1 << 8:
            return put_coded(out, 0xCC, number, 1)
        if number < 1 << 16:
            return put_coded(out, 0xCD, number, 2)
        if number >> 32 == 0:
            return put_coded(out, 0xCE, number, 4)
        return put_coded(out, 0xCF, number, 8)
    if number >= -32:
        out[0] = <uint8_t> number
        return out + 1
    if number >= -(1 << 7):
        return put_coded(out, 0xD0, number, 1)
    if number >= -(1 << 15):
        return put_coded(out, 0xD1, number, 2)
    if number >> 31 == -1:
        return put_coded(out, 0xD2, number, 4)
    return put_coded(out, 0xD3, number, 8)


cdef inline Out put_size(Out out, uint64_t size, int short_code, uint64_t shorts, int code, int bytes) noexcept nogil:
    """The head of an array, a map, a text or a blob: see `read_size`."""
    if size < shorts:
        out[0] = short_code + size
        return out + 1
    if bytes == 1:
        if size < 1 << 8:
            return put_coded(out, code, size, 1)
        code += 1
    if size < 1 << 16:
        return put_coded(out, code, size, 2)
    return put_coded(out, code + 1, size, 4)


cdef inline Out put_little_endian(Out out, uint32_t number) noexcept nogil:
    cdef int place
    for place in range(4):
        out[place] = <uint8_t> (number >> 8 * place)
    return out + 4


cdef inline Out put_avro_long(Out out, int64_t number) noexcept nogil:
    cdef uint64_t raw = <uint64_t> number << 1 ^ <uint64_t> (number >> 63)
    while raw > 127:
        out[0] = raw & 127 | 128
        out += 1
        raw >>= 7
    out[0] = raw
    return out + 1


cdef inline Out put_avro_text(Out out, Slice text) noexcept nogil:
    return put(put_avro_long(out, text.size), text.at, text.size)


cdef inline Out put_digits(Out out, uint64_t number, int least) noexcept nogil:
    """A number in decimal digits, with zeros before it up to `least`."""
    cdef uint8_t[20] digits
    cdef int count = 0
    while number or count < least:
        digits[19 - count] = 48 + number % 10
        number //= 10
        count += 1
    return put(out, &digits[20 - count], count)


cdef void put_rfc3339(Out out, uint64_t seconds) noexcept nogil:
    """A time in 20 bytes; the calendar as in H. Hinnant, "chrono-Compatible Low-Level Date Algorithms"."""
    cdef uint64_t days = seconds // DAY_S + 719_468, second = seconds % DAY_S  # since 1 March of the year 0
    cdef uint64_t era = days // 146_097, day_of_era = days % 146_097
    cdef uint64_t year_of_era = (
        day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096
    ) // 365
    cdef uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    cdef uint64_t month = (5 * day_of_year + 2) // 153  # from March
    cdef uint64_t day = day_of_year - (153 * month + 2) // 5 + 1
    memcpy(out, b"0000-00-00T00:00:00Z", 20)
    put_digits(out, era * 400 + year_of_era + (month >= 10), 4)
    put_digits(out + 5, month - 9 if month >= 10 else month + 3, 2)
    put_digits(out + 8, day, 2)
    put_digits(out + 11, second // 3_600, 2)
    put_digits(out + 14, second // 60 % 60, 2)
    put_digits(out + 17, second % 60, 2)
