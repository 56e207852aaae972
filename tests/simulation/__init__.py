"""The whole system under a seed: real lane, real folds, real pump; a simulated log, and no clock, thread or network.

A run is a function of its plan: a list of steps, drawn from one number, that says what comes in, which process goes on
and by how many turns of its event loop, which one is killed, stopped or given other partitions, and how time passes.

    loop.py       a process' event loop, turned by hand: between any two turns the process can be left for ever
    log.py        the lane's log in memory, which also refuses batches and remembers who wrote what
    processes.py  worker processes: the lane as it is, the pump as it is, and the rebalance of the lane's store
    plan.py       what can happen, and random plans of it
    world.py      carries a plan out, and brings all to rest
    verdict.py    what must hold then
    desk_verdict.py  the same for the desk
    replay.py     the recorded inboxes folded again, without any fault
    bugs.py       planted bugs, which the verdict must find
    shrink.py     the shortest plan that still fails
"""
