"""The third set: right and wrong implementations of all ops, by three writers, a file a subject.

They knew the descriptions of the ops and the specification, nothing of vectors, catalogue or the
sets before, and wrote two or three wrong ones for each op: slips that a good engineer ships, by
hand in SIMD (fake_quant to convolution), in a tensor framework (AdaRound to training), and from
the papers (AQuant, AdaQTransform, what mixes, scales and searches). Each module has
OPS = {op: function(inputs, attrs, bug="")} and BUGS = [(op, bug, what it does)]. Since the
measurement only the layout and the length of sentences have changed, and functions that stood in
several files have moved to common.py.
"""
