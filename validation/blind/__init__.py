"""Implementations that were written without sight of the goldens: evidence, not examples.

first.py      the first set, in one file as it was written: the linter and the tests of the
              house pass it by, for whoever tidied it up would know what it is held against
second/       the second set, by three other writers: a file for each subject
third/        the third set, by three more
sets.py       all of them in one shape
survivors.py  what was not caught, with the reasons that are known
"""
