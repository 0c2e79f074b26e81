"""The same work in many configurations of one machine: does every bit stay?"""
