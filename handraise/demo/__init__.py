"""The demo: the real product on real HTTP and real Kafka; only the visitors are simulated, from a seed.

cast.py       who there is: the seller's site, personas, visitors
story.py      what they do: 21 days of history, then live visits and four scenes
requests.py   what came of raised hands
site.py       the seller's web site
shifts.py     the copy of the rules in which people work at every hour
sender.py     their trackers: Segment's batch protocol over HTTP
processes.py  processes, supervised
ledger.py     what was sent against what came out: nothing lost, nothing doubled, how fast
screen.py     what people see
watcher.py    a browser that listens, to measure
run.py        all of it, from start to summary
"""
