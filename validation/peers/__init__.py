"""Peers: the same computations written in PyTorch, for `refquant bench` to be measured against.

Nothing of refquant is imported here, and nothing here is imported by refquant: a worker process
runs it. A peer is a function from the inputs of a case to `Work`, registered in `worker.PEERS`.
"""
