"""Benchmarks: refquant beside a peer, turn by turn, on the machine at hand.

    case       what is compared, as data: two tables that are never mixed
    rounds     A B A B: seconds or bytes of both sides in turn, one ratio a round
    peer       the peer: a worker process of its own, spoken to in lines of JSON
    catalogue  all cases

A ratio is the peer's time (or memory) over ours. The peers are written for the purpose and lie
outside the package, in validation/peers; nothing here imports them.
"""
