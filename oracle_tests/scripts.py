"""Scripts of validation/, which is no package, as modules."""

import importlib.util
from pathlib import Path
from types import ModuleType

VALIDATION = Path(__file__).parent.parent / "validation"


def script(name: str) -> ModuleType:
    """Return validation/NAME.py as a module; nothing of its ``main`` has run."""
    spec = importlib.util.spec_from_file_location(f"validation_{name}", VALIDATION / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
