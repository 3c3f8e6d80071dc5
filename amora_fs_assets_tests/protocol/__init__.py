"""The checker of docs/protocol.md: every pair of operations in every order, a kill at each step, and random histories.

`make protocol` runs all of it for some minutes; a small share runs with the tests. An operation runs in a thread of its
own and stops at each transaction of the offline store, each command of Redis and each call of the registry's objects
(scheduler.py, world.py). After each schedule the world is compared with a model in plain Python (model.py).

faults.py puts faults back, one at a time; FAULTS.md says which schedule finds which.
"""
