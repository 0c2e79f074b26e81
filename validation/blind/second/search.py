"""Discrete searches: single flips, the Gram loss and bit allocation, right and wrong."""

import numpy as np


def qubo_1flip(inputs, attrs, bug=""):
    """Steepest descent by single flips of h^T Q h."""
    q = np.asarray(inputs["q"], np.float64)
    h = np.array(inputs["h0"], np.int64)
    diagonal = np.diag(q)
    off = q - np.diag(diagonal)
    flipped = np.zeros(h.size, bool)
    gained = 0.0
    limit = -1e-6 if bug == "absolute_tolerance" else 0.0
    for _ in range(100 * h.size + 1000):
        if bug == "own_term":
            field = diagonal + 2 * (q @ h)
        elif bug == "pairs_once":
            field = diagonal + off @ h
        else:
            field = diagonal + 2 * (off @ h)
        change = (1 - 2 * h) * field
        if bug == "float32_change":
            change = change.astype(np.float32)
        if bug == "each_once":
            change = np.where(flipped, np.inf, change)
        lower = np.flatnonzero(change < limit)
        if lower.size == 0:
            break
        i = lower[np.argmin(change[lower])]
        if bug == "first_improvement":
            i = lower[0]
        elif bug == "last_tie":
            i = lower[change[lower] == change[lower].min()][-1]
        h[i] = 1 - h[i]
        flipped[i] = True
        gained += float(change[i])
    energy = gained if bug == "energy_from_zero" else h @ q @ h
    return {"h": h, "energy": np.asarray(energy, np.float64)}


def gram_loss(inputs, attrs, bug=""):
    """Trace of (w - w_hat) gram (w - w_hat)^T."""
    w = np.asarray(inputs["w"], np.float64)
    w_hat = np.asarray(inputs["w_hat"], np.float64)
    gram = np.asarray(inputs["gram"], np.float64)
    if bug == "expanded_float32":
        w, w_hat, gram = (a.astype(np.float32) for a in (w, w_hat, gram))
        terms = (w @ gram) * w - 2 * (w @ gram) * w_hat + (w_hat @ gram) * w_hat
        return {"loss": np.asarray(terms.sum(), np.float64)}
    diff = w - w_hat
    if bug == "square_transposed" and diff.shape[0] == gram.shape[0]:
        diff = diff.T
    if bug == "upper_triangle":
        gram = np.triu(gram)
    if bug == "tail_of_tile":
        whole = max(4, diff.shape[1] // 4 * 4)
        diff, gram = diff[:, :whole], gram[:whole, :whole]
    loss = np.sum((diff @ gram) * diff)
    if bug == "mean_of_outputs":
        loss = loss / diff.shape[0]
    return {"loss": np.asarray(loss, np.float64)}


def pareto(loss, size, choices):
    """Keep the prefixes that no earlier-or-better prefix dominates, in lexicographic order."""
    order = np.lexsort((np.arange(loss.size), loss))
    sizes = size[order]
    best = np.concatenate(([np.inf], np.minimum.accumulate(sizes)[:-1]))
    keep = np.sort(order[sizes < best])
    return loss[keep], size[keep], choices[keep]


def greedy_choice(loss, size, budget):
    """From the least losses, give up the width that costs least for each unit saved."""
    choice = np.argmin(loss, axis=1)
    rows = np.arange(loss.shape[0])
    while size[rows, choice].sum() > budget:
        saved = size[rows, choice][:, None] - size
        rise = loss - loss[rows, choice][:, None]
        price = np.where(saved > 0, rise / np.where(saved > 0, saved, 1.0), np.inf)
        row, width = np.unravel_index(np.argmin(price), price.shape)
        if not np.isfinite(price[row, width]):
            break
        choice[row] = width
    return choice


def bit_alloc_exact(inputs, attrs, bug=""):
    """Widths of least total loss within the budget, lexicographically smallest of equals."""
    loss = np.asarray(inputs["loss"], np.float64)
    size = np.asarray(inputs["size"], np.float64)
    budget = float(inputs["budget"])
    rows = np.arange(loss.shape[0])
    if bug == "floored_loss":
        loss = np.maximum(loss, 1e-6)
    measured = np.ceil(size) if bug == "whole_sizes" else size
    if bug == "float32_sizes":
        measured, budget = size.astype(np.float32), np.float32(budget)
    total_loss = np.zeros(1)
    total_size = np.zeros(1, measured.dtype)
    choices = np.zeros((1, 0), np.int64)
    widths = np.arange(loss.shape[1])
    for layer in rows:
        count = total_loss.size
        total_loss = (total_loss[:, None] + loss[layer]).ravel()
        total_size = (total_size[:, None] + measured[layer]).ravel()
        new = np.tile(widths, count)[:, None]
        choices = np.concatenate((np.repeat(choices, widths.size, axis=0), new), axis=1)
        if total_loss.size > 100000:
            total_loss, total_size, choices = pareto(total_loss, total_size, choices)
    fits = total_size < budget if bug == "open_budget" else total_size <= budget
    if not fits.any():
        fits = total_size == total_size.min()
    least = np.flatnonzero(fits & (total_loss == total_loss[fits].min()))
    best = least[-1] if bug == "last_tie" else least[0]
    if bug == "smallest_tie":
        best = least[np.argmin(total_size[least])]
    choice = choices[best]
    if bug == "greedy":
        choice = greedy_choice(loss, size, budget)
    return {
        "choice": choice.astype(np.int64),
        "total_loss": np.asarray(loss[rows, choice].sum(), np.float64),
        "total_size": np.asarray(size[rows, choice].sum(), np.float64),
    }


OPS = {"qubo_1flip": qubo_1flip, "gram_loss": gram_loss, "bit_alloc_exact": bit_alloc_exact}

BUGS = [
    ("qubo_1flip", "absolute_tolerance", "stops when no flip lowers the energy by more than 1e-6"),
    ("qubo_1flip", "own_term", "counts the diagonal again in the change of a variable at 1"),
    ("qubo_1flip", "pairs_once", "counts every pair once, as for an upper triangular matrix"),
    ("qubo_1flip", "float32_change", "compares the changes in float32, where near ones tie"),
    ("qubo_1flip", "each_once", "flips no variable a second time"),
    ("qubo_1flip", "first_improvement", "flips the first variable that helps, not the best"),
    ("qubo_1flip", "last_tie", "takes the highest index among equal changes"),
    ("qubo_1flip", "energy_from_zero", "returns the sum of the changes as if h0 had no energy"),
    ("gram_loss", "expanded_float32", "expands the square in float32, where it cancels"),
    ("gram_loss", "square_transposed", "takes a square weight for a transposed one"),
    ("gram_loss", "upper_triangle", "reads one triangle of gram and does not double it"),
    ("gram_loss", "tail_of_tile", "leaves out the columns behind the last whole tile of 4"),
    ("gram_loss", "mean_of_outputs", "averages over the outputs instead of summing"),
    ("bit_alloc_exact", "floored_loss", "floors every loss at 1e-6, as CalibTIP does"),
    ("bit_alloc_exact", "whole_sizes", "rounds sizes up to whole units for its table"),
    ("bit_alloc_exact", "float32_sizes", "adds and compares sizes in float32"),
    ("bit_alloc_exact", "open_budget", "does not allow a total that equals the budget"),
    ("bit_alloc_exact", "last_tie", "takes the lexicographically last of equal choices"),
    ("bit_alloc_exact", "smallest_tie", "takes the smallest in size of equal choices"),
    ("bit_alloc_exact", "greedy", "goes down greedily by loss for each unit saved"),
]
