"""Optimal answers: closed forms, exact optima of rounding problems, bounds on both.

    question                                             file
    best xi and eta for frozen codes                     least_squares
    best dequantisation step for frozen levels           least_squares
    scale and offset of integer inference                fold
    xi and eta of a batch norm that is not folded        batch_norm_map
    shift that removes the mean error                    bias_correction
    second moments of a layer's input                    moments
    rounding of one row of weights as a QUBO             row, qubo
    its optimum: all choices; integer programme          brute_force (exact_energy), milp
    good rounding: steepest descent; tabu search         local_search, tabu (flips)
    good rounding by chance: simulated annealing         annealing (flips)
    codes of a whole layer                               round_rows
    how far given codes are from the optimum             lower_bound, gap
    best bit width of each layer                         bit_allocation

A QUBO (quadratic unconstrained binary optimisation) asks for the h in {0,1}^k with the smallest
h^T Q h. Whatever a method learns, exact <= its loss (P34): this room is what learners are
measured against.
"""
