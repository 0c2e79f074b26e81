"""Laws of the source that a reviewer would otherwise check by hand.

Each law is a function from a parsed file to complaints. The exceptions are listed here by file and
expression, with their reason; one that nothing uses any more is an error too.
"""

import ast
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "refquant"
LIBRARY = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "oracle_tests").rglob("*.py"))
UNTOUCHED = ROOT / "validation/blind/first.py"  # kept as it was written, without sight of goldens
TOOLS = [p for p in sorted((ROOT / "validation").rglob("*.py")) if p != UNTOUCHED]
TOOLS += sorted((ROOT / "figures").rglob("*.py"))
MAX_FILE, MAX_FUNCTION, MAX_PARAMETERS = 300, 50, 8

# What has a counterpart in refquant.numerics, under any owner but these.
OWNERS = ("", "math", "nx", "ops", "counter")
TRANSCENDENTAL = re.compile(
    "a?(sin|cos|tan)h?|arc(sin|cos|tan)h?|exp2?|expm1|log(2|10|1p|addexp)?|(float_)?power|cbrt|"
    "hypot|einsum|v?dot|matmul|inner|outer|tensordot|convolve|correlate|polyval|interp|expit|"
    "(log_)?softmax"
)
REDUCTIONS = re.compile(
    "(nan)?(sum|mean|average|std|var|prod|median|percentile|quantile)|cumsum|cumprod|trace|"
    "trapezoid|histogram|bincount"
)
WHOLE = "whole numbers"
# Exceptions: {file: {expression: reason}}.
ALLOWED = {
    "_checks.py": {"bad.sum()": "counts entries"},
    "metrics.py": {"right.sum()": "counts rows"},
    "bench/gram_steps.py": {
        "np.matmul(c, problem.gram, out=buffers.grad)": "what is measured",
    },
    "calibrate/histogram.py": {"np.bincount(flat.ravel(), minlength=r * bins)": WHOLE},
    "calibrate/kl_amct.py": {
        "2 ** (grid.bits - 1)": WHOLE,
        "2 ** bits": WHOLE,
        "counts[:, :i].sum(axis=1)": WHOLE,
        "counts[:, bins - i:].sum(axis=1)": WHOLE,
        "(hist == 0).sum(axis=1, keepdims=True)": "counts bins",
        "np.cumsum(values, axis=1, out=running[:, 1:])": WHOLE,
    },
    "calibrate/kl_trt.py": {
        "2 ** (grid.bits - 1)": WHOLE,
        "h[:, r_bins:].sum(axis=1)": WHOLE,
        "h.sum(axis=1, keepdims=True)": WHOLE,
        "kept.sum(axis=1, keepdims=True)": WHOLE,
        "groups.sum(axis=2, keepdims=True)": WHOLE,
        "(groups != 0).sum(axis=2, keepdims=True)": "counts bins",
    },
    "calibrate/lsq_init.py": {"2 ** (grid.bits - 1 if divisor == 'paper' else grid.bits)": WHOLE},
    "deploy/build.py": {"rows.sum(axis=1)": WHOLE},
    "deploy/integer_conv.py": {
        "np.einsum('gor,grl->gol', filters, columns)": "int32 and int64 accumulators",
        "filters.sum(axis=2, keepdims=True)": WHOLE,
    },
    "deploy/integer_windows.py": {
        "_by_tap(q, geometry, 0).sum(axis=2, dtype=np.int32)": WHOLE,
        "q.sum(axis=(2, 3), keepdims=True, dtype=np.int32)": WHOLE,
        "integer_patches(ones, geometry)[0].sum(axis=0)": WHOLE,
    },
    "deploy/overflow.py": {"rows.sum(axis=1)": WHOLE},
    "layers/average_pool.py": {"counted.sum(axis=0)": "counts taps"},
    "layers/product.py": {"np.prod(w.shape[1:])": "a shape"},
    "zoo/digits.py": {"np.bincount(y)": "counts labels"},
}
# Tests without an assert: what they call raises if the law is broken.
QUIET = {
    "test_components.py: test_nothing_is_mutated": "all inputs are read-only",
    "test_numerics_matmul.py: test_operands_are_left_alone": "all inputs are read-only",
    "test_zoo_data.py: test_every_embedded_file_is_listed_and_hashes_to_its_line": "is refused",
}
# The front door keeps its published signature, keyword-only after x and method; kernels are C.
KERNELS = ("fake_quant", "shared", "aquant", "product")
MANY_PARAMETERS = {"pipeline.py": ("quantize",), "validation/cuda/triton_kernels.py": KERNELS}


def name(path: Path) -> str:
    """Return the path below the package or the root, for messages and test ids."""
    return path.relative_to(PACKAGE if PACKAGE in path.parents else ROOT).as_posix()


def parse(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def called(call: ast.Call) -> tuple[str, str]:
    """Return (owner, name) of what is called; the owner is "" for a plain name."""
    if isinstance(call.func, ast.Attribute):
        return ast.unparse(call.func.value), call.func.attr
    return "", call.func.id if isinstance(call.func, ast.Name) else ""


def bypasses(tree: ast.AST) -> Iterator[str]:
    """Yield expressions that compute outside `refquant.numerics` what belongs inside."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            owner, function = called(node)
            known = TRANSCENDENTAL.fullmatch(function) or REDUCTIONS.fullmatch(function)
            if known and owner not in OWNERS:
                yield ast.unparse(node)
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.MatMult):
            yield ast.unparse(node)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            exponent = node.right.operand if isinstance(node.right, ast.UnaryOp) else node.right
            if not (isinstance(exponent, ast.Constant) and isinstance(exponent.value, int)):
                yield ast.unparse(node)


def forbidden(tree: ast.AST) -> Iterator[str]:
    """Yield statements and names that the library does without."""
    for node in ast.walk(tree):
        line = f"line {getattr(node, 'lineno', 0)}: "
        if isinstance(node, ast.Assert):
            yield line + "assert (arguments are refused by ValueError or TypeError)"
        elif isinstance(node, ast.ExceptHandler) and node.type is None:
            yield line + "bare except"
        elif isinstance(node, ast.Global):
            yield line + f"global {', '.join(node.names)}"
        elif isinstance(node, ast.Raise) and "NotImplementedError" in ast.unparse(node):
            yield line + "NotImplementedError (what is not built is absent)"
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in ("np.random", "numpy.random"):
            yield line + "np.random (random numbers come from refquant.numerics.counter)"
        elif isinstance(node, ast.Import | ast.ImportFrom):
            modules = {alias.name for alias in node.names} | {getattr(node, "module", "")}
            if modules & {"random", "numpy.random", "secrets"}:
                yield line + "random numbers come from refquant.numerics.counter"


def too_large(tree: ast.AST, exempt: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield functions with too many lines (the docstring aside) or too many parameters."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node, clean=False) or ""
            lines = (node.end_lineno or 0) - node.lineno - text.count("\n")
            if lines > MAX_FUNCTION:
                yield f"{node.name} has {lines} lines"
            parameters = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            if len(parameters) > MAX_PARAMETERS and node.name not in exempt:
                yield f"{node.name} has {len(parameters)} parameters"


def asserting(trees: list[ast.Module]) -> set[str]:
    """Return the names of all functions that assert something, themselves or by a helper."""
    functions = [
        node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
    ]
    calls = {
        f: {called(node)[1] for node in ast.walk(f) if isinstance(node, ast.Call)}
        for f in functions
    }
    proven = {
        f.name
        for f in functions
        if any(isinstance(node, ast.Assert) for node in ast.walk(f))
        or "AssertionError" in calls[f]
        or any(n in ("raises", "warns", "fail") or n.startswith("assert_") for n in calls[f])
    }
    while new := {f.name for f in functions if f.name not in proven and calls[f] & proven}:
        proven |= new
    return proven


def undocumented(module: object) -> Iterator[str]:
    """Yield public classes, functions and methods of a module without a docstring.

    A method that overrides a documented one inherits its text.
    """
    for label, value in vars(module).items():
        own = getattr(value, "__module__", None) == getattr(module, "__name__", "")
        if label.startswith("_") or not own or not callable(value):
            continue
        if not (has_own_text(value) if isinstance(value, type) else inspect.getdoc(value)):
            yield label
        for member in public_methods(value) if isinstance(value, type) else ():
            if not inspect.getdoc(getattr(value, member)):
                yield f"{label}.{member}"


def has_own_text(value: type) -> bool:
    """Return whether a class says what it is; dataclasses and tuples make up a text."""
    text = vars(value).get("__doc__") or ""
    return bool(text) and not text.startswith(f"{value.__name__}(")


def public_methods(value: type) -> list[str]:
    """Return the names of the methods and properties that a class defines itself."""
    kinds = (FunctionType, property, staticmethod, classmethod)
    own = [member for member, method in vars(value).items() if isinstance(method, kinds)]
    return [member for member in own if not member.startswith("_")]


@pytest.mark.parametrize("path", LIBRARY + TESTS + TOOLS, ids=name)
def test_files_are_small_and_say_what_they_are(path: Path) -> None:
    """One idea a file, named in its first line; functions that fit on a screen."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_FILE
    tree = parse(path)
    assert ast.get_docstring(tree), f"{path} has no docstring"
    assert list(too_large(tree, MANY_PARAMETERS.get(name(path), ()))) == []


@pytest.mark.parametrize("path", LIBRARY, ids=name)
def test_the_library_does_without(path: Path) -> None:
    """No assert, no bare except, no global, no NumPy random state."""
    assert list(forbidden(parse(path))) == []


def numerical(path: Path) -> bool:
    """Return whether a file must go through `refquant.numerics`.

    Kernels stand for definitions, which pinned runs; the oracle's foreign code for other people's.
    """
    foreign = re.match("oracle/(families/[a-z_]+/(plain|variants)|legit)", name(path))
    return not foreign and not name(path).startswith(("numerics/", "oracle/exact/", "kernels/"))


@pytest.mark.parametrize("path", [p for p in LIBRARY if numerical(p)], ids=name)
def test_numbers_go_through_the_arithmetic_in_force(path: Path) -> None:
    """Else pinned arithmetic would not be pinned. Exceptions: ALLOWED, and none stale."""
    found, allowed = set(bypasses(parse(path))), ALLOWED.get(name(path), {})
    fix = "use refquant.numerics, or list it in ALLOWED with the reason"
    assert found - set(allowed) == set(), fix
    assert set(allowed) - found == set(), "listed in ALLOWED, but not in the file any more"


def test_exceptions_name_existing_files() -> None:
    """A file that moved takes its exceptions along."""
    assert {*ALLOWED, *MANY_PARAMETERS} <= {name(path) for path in LIBRARY + TOOLS}


@pytest.mark.parametrize("path", LIBRARY, ids=name)
def test_everything_public_is_documented(path: Path) -> None:
    """Every public class, function and method has a docstring."""
    dotted = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
    module = importlib.import_module(dotted.removesuffix(".__init__"))
    assert list(undocumented(module)) == []


def test_every_test_asserts() -> None:
    """A test that cannot fail proves nothing. Exceptions: QUIET, and none stale."""
    trees = {path: parse(path) for path in TESTS}
    proven = asserting(list(trees.values()))
    idle = [
        f"{path.name}: {node.name}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and node.name.startswith("test_")
        and node.name not in proven
    ]
    assert sorted(idle) == sorted(QUIET)


@pytest.mark.parametrize(
    ("law", "text", "count"),
    [
        (bypasses, "a @ b; a @= b; np.dot(a, b); a.dot(b); np.einsum('ij', a)", 5),
        (bypasses, "np.sum(a); a.sum(); (a * b).mean(axis=0); np.exp(x); x ** p; x ** 0.5", 6),
        (bypasses, "nx.sum(a); nx.exp(a); ops.log(a); sum(sizes); x ** 2; 2.0 ** -3", 0),
        (forbidden, "assert x\nglobal g\nnp.random.seed(0)\nimport random", 4),
        (forbidden, "try: f()\nexcept: raise NotImplementedError", 2),
        (forbidden, "raise NotImplementedError('later')\nisinstance(e, NotImplementedError)", 1),
        (forbidden, "from numpy.random import default_rng", 1),
        (forbidden, "try: f()\nexcept ValueError: raise TypeError('no') from None", 0),
        (too_large, "def f(a, b, c, d, /, e, f, g, *, h): pass", 0),
        (too_large, "def f(a, b, c, d, /, e, f, g, *, h, i): pass", 1),
        (too_large, "def f():\n" + "    x = 1\n" * 50, 0),
        (too_large, "def f():\n" + "    x = 1\n" * 51, 1),
    ],
)
def test_a_law_finds_what_it_forbids(
    law: Callable[[ast.AST], Iterator[str]], text: str, count: int
) -> None:
    """The laws are not empty, and quiet where nothing is wrong."""
    assert len(list(law(ast.parse(text)))) == count


def test_the_law_of_asserting_follows_helpers() -> None:
    """A call of a helper that asserts counts; one of a helper that does not, does not."""
    text = (
        "def check(): assert x\n"
        "def outer(): check()\n"
        "def test_a(): outer()\n"
        "def test_b():\n    with pytest.raises(ValueError): f()\n"
        "def test_c(): print()\n"
        "def test_d(): test_c()\n"
    )
    assert asserting([ast.parse(text)]) == {"check", "outer", "test_a", "test_b"}
