"""The names of a tensor's axes, read from the shapes in the description of an op."""

from refquant.oracle.op import Op


def axis_names(op: Op, tensor: str, ndim: int) -> tuple[str, ...]:
    """Return a name per axis of an input or output; "" where the description has none.

    "(c_out, ...)" names the first axis, "like x" means the shape of x, and of "() or (c,)" the
    alternative with as many axes is taken.
    """
    shapes = {item.name: item.shape for item in (*op.outputs, *op.inputs)}
    for text in shapes.get(tensor, "").split(" or "):
        if text.startswith("like ") and text[5:] != tensor:
            return axis_names(op, text[5:], ndim)
        if (found := _names(text, ndim)) is not None:
            return found
    return ("",) * ndim


def _names(text: str, ndim: int) -> tuple[str, ...] | None:
    if not (text.startswith("(") and text.endswith(")")):
        return None
    names = [name.strip() for name in text[1:-1].split(",") if name.strip()]
    if names and names[-1] == "..." and len(names) <= ndim + 1:
        names[-1:] = [""] * (ndim + 1 - len(names))
    return tuple("" if name.isdigit() else name for name in names) if len(names) == ndim else None


def axis_label(names: tuple[str, ...], axis: int) -> str:
    """Return an axis in words: its name, or its number from the end."""
    return names[axis] or f"axis {axis - len(names)}"
