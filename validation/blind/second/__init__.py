"""The second set: right and wrong implementations of all ops, by three writers, a file a subject.

They knew the descriptions of the ops and the specification, nothing of vectors, catalogue or first
set. Each module has OPS = {op: function(inputs, attrs, bug="")} and BUGS = [(op, bug, what it
does)]. Since the measurement only the layout of the lines has changed, and functions that stood in
several files, the same in each, have moved to common.py.
"""
