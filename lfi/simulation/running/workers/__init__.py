"""Worker processes that survive crashes and hangs of the simulator.

A worker (worker.py) is the parent's side of a fork server (fork_server.py): a fresh Python that
imports what simulations need, and forks a process that loads the simulator and answers tasks. A
fork that crashes or exceeds the time limit is replaced within milliseconds.

Pebble's `ProcessPool` (5.2) has timeouts for tasks, where the limit here is that of a row: the fork
reports which row is at work through shared memory, so that one row is lost and not its whole task.
Its replacements are processes of multiprocessing, which import torch again or fork a parent that
has threads, import the main script, and cannot load lambdas; and programs that the simulator has
started survive, where the process group is killed here.
"""
