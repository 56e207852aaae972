# The states of a partition: a table of bytes by bytes that holds no Python object of any.
#
# A dict of bytes takes two objects and their heads for each lead, in four places of memory.  Here key and value lie
# together in one block, and a slot of eight bytes finds it: half of a key's hash, and the block's place.  Blocks are cut
# from chunks and are of a few sizes; one that is free waits for the next of its size.

cdef extern from *:
    """
    #include <sys/mman.h>
    /* Pages of their own, at a multiple of their size: among what else is allocated they would leave holes. */
    static void *new_pages(size_t size, int large) {
        char *made = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
        size_t before = -(size_t) made & (size - 1);
        if (made == MAP_FAILED) return NULL;
        if (before) munmap(made, before);
        munmap(made + before + size, size - before);
    #ifdef MADV_HUGEPAGE
        if (large) madvise(made + before, size, MADV_HUGEPAGE);  /* there are too many small ones to be looked up */
    #endif
        return made + before;
    }
    """
    void *new_pages(size_t size, int large) nogil
    int munmap(void *at, size_t size) nogil

cdef enum:
    UNIT = 16  # bytes; places are counted in it
    UNIT_BITS = 4
    CHUNK_BITS = 17  # units of a chunk, 2 MiB
    EXACT_UNITS = 64  # blocks of up to so many units are as large as needed, others up to an eighth larger
    SIZES = 160
    FIRST_SLOTS = 256
    LARGE = 1 << 18  # slots: as many bytes as a chunk has
    REMOVED = 1  # in place of a block's place; 0 where there never was one
    FIRST_PLACE = 2
    MOST_KEY = 65_535
    MOST_UNITS = 1 << 16
    MOST_CHUNKS = 1 << 15  # 64 GiB

cdef struct Entry:
    uint32_t value_size
    uint16_t key_size
    uint8_t[2] key  # and the value behind it


cdef inline uint32_t hash_of(const uint8_t *at, Py_ssize_t size) noexcept nogil:
    cdef uint64_t mixed = size, word
    while size > 0:
        word = 0
        memcpy(&word, at, 8 if size > 8 else size)
        mixed = (mixed ^ word) * <uint64_t> 0x9E3779B97F4A7C15
        mixed ^= mixed >> 32
        at += 8
        size -= 8
    return <uint32_t> mixed


cdef inline Slice key_in(Entry *entry) noexcept nogil:
    cdef Slice key
    key.at, key.size = entry.key, entry.key_size
    return key


cdef inline Slice value_in(Entry *entry) noexcept nogil:
    cdef Slice value
    value.at, value.size = entry.key + entry.key_size, entry.value_size
    return value


cdef int size_number(uint64_t *units) noexcept nogil:
    """The number of the size of a block with room for so many units, which become as many as it has."""
    cdef uint64_t step = EXACT_UNITS // 8
    cdef int base = EXACT_UNITS
    if units[0] <= EXACT_UNITS:
        return units[0]
    while units[0] > 16 * step:
        step *= 2
        base += 8
    units[0] = (units[0] + step - 1) // step * step
    return base + units[0] // step - 8


cdef uint64_t *new_slots(uint64_t count) noexcept:
    """So many empty ones; NULL where there is no memory."""
    if count < LARGE:
        return <uint64_t *> PyMem_Calloc(count, sizeof(uint64_t))
    return <uint64_t *> new_pages(count * sizeof(uint64_t), True)


cdef void free_slots(uint64_t *slots, uint64_t count) noexcept:
    if count < LARGE:
        PyMem_Free(slots)
    else:
        munmap(slots, count * sizeof(uint64_t))


cdef class Table:
    """A mapping of bytes by bytes, in no order.  An entry takes at most a megabyte, and its key 65,535 bytes."""
    cdef uint64_t *_slots
    cdef uint64_t _mask  # how many slots there are, less one
    cdef uint64_t _count, _removed
    cdef uint8_t **_chunks
    cdef uint64_t _chunk_count, _next, _end  # from where to where the last chunk is free, as places
    cdef uint32_t[SIZES] _free

    def __cinit__(self):
        self._mask = FIRST_SLOTS - 1
        self._slots = new_slots(FIRST_SLOTS)
        if self._slots == NULL:
            raise MemoryError

    def __dealloc__(self):
        cdef uint64_t number
        for number in range(self._chunk_count):
            munmap(self._chunks[number], UNIT << CHUNK_BITS)
        PyMem_Free(self._chunks)
        free_slots(self._slots, self._mask + 1)

    def __len__(self):
        return self._count

    def __contains__(self, key):
        return type(key) is bytes and self.find(slice_of(<bytes> key)).at != NULL

    def get(self, bytes key not None, default=None):
        """The value under a key, or another one."""
        cdef Slice value = self.find(slice_of(key))
        return default if value.at == NULL else value.at[: value.size]

    def __getitem__(self, bytes key not None):
        cdef Slice value = self.find(slice_of(key))
        if value.at == NULL:
            raise KeyError(key)
        return value.at[: value.size]

    def __setitem__(self, bytes key not None, bytes value not None):
        self.put(slice_of(key), slice_of(value))

    def __delitem__(self, bytes key not None):
        cdef uint64_t slot = self._slot_of(slice_of(key), hash_of(slice_of(key).at, len(key)))
        cdef uint64_t place = self._slots[slot] >> 32
        if place <= REMOVED:
            raise KeyError(key)
        self._release(self._entry(place), place)
        self._slots[slot] = <uint64_t> REMOVED << 32
        self._count -= 1
        self._removed += 1

    def __iter__(self):
        return (key for key, _ in self.items())

    def items(self):
        """Pairs of key and value; RuntimeError where keys come or go meanwhile."""
        cdef uint64_t slot, place, count = self._count, mask = self._mask
        cdef Slice key, value
        for slot in range(mask + 1):
            if self._count != count or self._mask != mask:
                raise RuntimeError("the table changed while it was iterated over")
            place = self._slots[slot] >> 32
            if place > REMOVED:
                key, value = key_in(self._entry(place)), value_in(self._entry(place))
                yield key.at[: key.size], value.at[: value.size]

    cdef inline Entry *_entry(self, uint64_t place) noexcept nogil:
        return <Entry *> (self._chunks[place >> CHUNK_BITS] + ((place & ((1 << CHUNK_BITS) - 1)) << UNIT_BITS))

    cdef uint64_t _slot_of(self, Slice key, uint32_t hash) noexcept nogil:
        """The slot of a key, or the one that it would take."""
        cdef uint64_t slot = hash & self._mask, free = self._mask + 1, place
        cdef Entry *entry
        while True:
            place = self._slots[slot] >> 32
            if place == 0:
                return slot if free > self._mask else free
            if place == REMOVED:
                free = min(free, slot) if free > self._mask else free
            elif <uint32_t> self._slots[slot] == hash:
                entry = self._entry(place)
                if entry.key_size == key.size and memcmp(entry.key, key.at, key.size) == 0:
                    return slot
            slot = (slot + 1) & self._mask

    cdef Slice find(self, Slice key) noexcept nogil:
        """The value under a key, until the table changes; nowhere if there is none."""
        cdef uint64_t place = self._slots[self._slot_of(key, hash_of(key.at, key.size))] >> 32
        cdef Slice value
        value.at, value.size = NULL, 0
        return value_in(self._entry(place)) if place > REMOVED else value

    cdef int put(self, Slice key, Slice value) except -1:
        """Keep a value, which must not lie in the table itself, under a key."""
        cdef uint32_t hash = hash_of(key.at, key.size)
        cdef uint64_t slot = self._slot_of(key, hash), place = self._slots[slot] >> 32, had = 0
        cdef uint64_t units = (sizeof(Entry) - 2 + key.size + value.size + UNIT - 1) >> UNIT_BITS
        cdef int size
        cdef Entry *entry
        if key.size > MOST_KEY or units > MOST_UNITS:
            raise ValueError(f"a state of {value.size} bytes under a key of {key.size} is too large")
        size = size_number(&units)
        if place > REMOVED:
            entry = self._entry(place)
            had = (sizeof(Entry) - 2 + entry.key_size + entry.value_size + UNIT - 1) >> UNIT_BITS
            if size_number(&had) == size:
                entry.value_size = value.size
                memcpy(entry.key + key.size, value.at, value.size)
                return 0
        had, place = place, self._allocate(size, units)
        entry = self._entry(place)
        entry.value_size, entry.key_size = value.size, key.size
        memcpy(entry.key, key.at, key.size)
        memcpy(entry.key + key.size, value.at, value.size)
        self._slots[slot] = place << 32 | hash
        if had > REMOVED:
            self._release(self._entry(had), had)
            return 0
        self._count += 1
        self._removed -= had
        if 4 * (self._count + self._removed) > 3 * self._mask:
            self._resize()
        return 0

    cdef int _resize(self) except -1:
        """Make room for as many entries again."""
        cdef uint64_t mask = self._mask, slot, new, taken
        cdef uint64_t *slots
        while 8 * self._count > 3 * mask:
            mask = 2 * mask + 1
        slots = new_slots(mask + 1)
        if slots == NULL:
            raise MemoryError
        for slot in range(self._mask + 1):
            taken = self._slots[slot]
            if taken >> 32 > REMOVED:
                new = taken & 0xFFFFFFFF & mask
                while slots[new]:
                    new = (new + 1) & mask
                slots[new] = taken
        free_slots(self._slots, self._mask + 1)
        self._slots, self._mask, self._removed = slots, mask, 0
        return 0

    cdef uint64_t _allocate(self, int size, uint64_t units) except 0:
        """The place of a block of a size."""
        cdef uint64_t place = self._free[size]
        cdef uint8_t **chunks
        if place:
            self._free[size] = (<uint32_t *> self._entry(place))[0]
            return place
        if self._end - self._next < units:
            chunks = <uint8_t **> PyMem_Realloc(self._chunks, (self._chunk_count + 1) * sizeof(uint8_t *))
            if chunks == NULL or self._chunk_count == MOST_CHUNKS:
                raise MemoryError
            self._chunks = chunks
            # Small tables, of which there may be many, are to take the pages that they need.
            chunks[self._chunk_count] = <uint8_t *> new_pages(UNIT << CHUNK_BITS, self._chunk_count > 0)
            if chunks[self._chunk_count] == NULL:
                raise MemoryError
            self._next = max(self._chunk_count << CHUNK_BITS, FIRST_PLACE)
            self._chunk_count += 1
            self._end = self._chunk_count << CHUNK_BITS
        place = self._next
        self._next += units
        return place

    cdef void _release(self, Entry *entry, uint64_t place) noexcept nogil:
        cdef uint64_t units = (sizeof(Entry) - 2 + entry.key_size + entry.value_size + UNIT - 1) >> UNIT_BITS
        cdef int size = size_number(&units)
        (<uint32_t *> entry)[0] = self._free[size]
        self._free[size] = place
