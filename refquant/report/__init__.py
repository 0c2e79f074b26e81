"""What can be said of a finished quantization beside its outputs.

    question                                                        file
    what AQuant's borders cost, and what storing them changes       borders
    how far its codes are from the best roundings                   gaps (layer_sums)
    the network whose products use the rounded weights              hard
    what steps with a pattern found, which widths layers were given remarks

`refquant.Result` asks; nothing here changes anything.
"""
