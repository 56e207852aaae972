"""The fenced lane: a pure fold over one Kafka inbox, partition by partition, exactly once.

Delivery guarantee: each inbox record is folded into the states exactly once, in the order of its partition; a
subscriber who reads read_committed sees each output exactly once. One Kafka transaction per batch holds all outputs,
one changelog record per changed key, and the cursor: the next inbox offset to fold. The cursor is the truth; what Faust
commits to the consumer group is information for lag tools.

    log.py         what the lane needs of a log;  kafka_log.py and memory_log.py fulfil it
    errors.py      refused (somebody must mend something), failed (the next process goes on), fenced
    fetched.py     records as the client decodes them
    cursor.py      the position as it stands in the changelog
    topic_identity.py  which topic a name stands for: the id that Kafka gave it
    slot.py        one owned partition: fence, states, position, transaction
    takeover.py    fence -> read the changelog -> check -> know where to go on
    loop.py        fold at once, one transaction at a time per partition
    simulated.py   a worker without Faust and without a clock, for fast tests and simulations
    config.py      what a lane is made of
    transport.py   Faust's consumer: runs of records, joined without a gap
    store.py       Faust's table storage: the slots
    tables.py      Faust's recovery: take over -> seek -> clear -> resume
    guard.py       the ways to die, and what watches for them
    ticker.py      time passing, as records
    app.py         the composition: a Faust app that carries one lane
    worker.py      a process that runs it until told to stop; `main(LaneConfig(...))` is all a role needs
"""
