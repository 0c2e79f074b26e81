"""Move difficulty between weights and activations before quantizing, the float function unchanged.

One method a file: `smoothquant`, `os_plus`, `repq`, `cle` are functions of arrays; `channels` and
`absorb` hold what they share; `junctions` finds the places of a network where they may act.
"""
