"""Worker processes that survive crashes and hangs of the simulator.

A worker (worker.py) is the parent's side of a fork server (fork_server.py), which forks the process
that loads the simulator and answers tasks.

Pebble's `ProcessPool` (5.2) limits the time of tasks; here the fork reports the row at work through
shared memory, so that one row is lost and not its task. Pebble's new processes import torch again
or fork a parent with threads, import the main script, and cannot load lambdas; and programs that
the simulator started survive, where the process group is killed here.
"""
