"""Worker processes that survive crashes and hangs of the simulator.

A worker (worker.py) is the parent's side of a fork server (fork_server.py): a fresh Python that
imports what simulations need, and forks a process that loads the simulator and answers tasks. A
fork that crashes or exceeds the time limit is replaced within milliseconds.

Why not pebble's `ProcessPool`, which also kills tasks at a timeout (version 5.2):

- Its timeout is that of a task. Many rows make a task here, since a row may take microseconds, and
  the limit is that of a row: the fork reports which row is at work through shared memory, so that
  one row is lost and not its whole task. The same report tells which row crashed the process.
- It looks for timeouts and crashes every 0.1 s, and a replacement is another process of
  multiprocessing: seconds to import torch where it is spawned, or a fork of the parent with its
  threads, which is not safe. The server here has no threads and has imported torch.
- It ends the process, but not the programs that the simulator has started; here the process group
  is killed, and on Linux the fork also ends when the server is killed.
- Multiprocessing's spawn and forkserver import the main script again, which then needs
  `if __name__ == "__main__"`, and pickle cannot send lambdas and closures.
"""
