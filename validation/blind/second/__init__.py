"""The second set: right and wrong implementations of all ops, by three writers, a file a subject.

They knew the descriptions of the ops and the specification, nothing of vectors, catalogue or first
set. Each module has OPS = {op: function(inputs, attrs, bug="")} and BUGS = [(op, bug, what it
does)]. Only the layout of the lines has changed since the measurement.
"""
