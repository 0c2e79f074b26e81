"""Checks an installed wheel: three dependencies, every module importable, nothing else imported."""

import importlib
import pkgutil
import sys
from importlib import metadata

ALLOWED = {"numpy", "scipy", "tqdm", "refquant"}
INSTALLER = {"pip", "setuptools"}

installed = {dist.metadata["Name"].lower() for dist in metadata.distributions()}
unexpected = installed - ALLOWED - INSTALLER
if unexpected:
    sys.exit(f"bare install brought in more than its dependencies: {sorted(unexpected)}")

import refquant  # noqa: E402

if "tqdm" in sys.modules:
    sys.exit("importing refquant imported tqdm; progress bars import it late")
names = [module.name for module in pkgutil.walk_packages(refquant.__path__, "refquant.")]
for optional in ("refquant.pytest_plugin", "refquant.strategies"):  # need pytest, hypothesis
    names.remove(optional)
for name in names:
    importlib.import_module(name)
roots = {name.partition(".")[0] for name in sys.modules}
foreign = roots - set(sys.stdlib_module_names) - ALLOWED - {"__main__", "__mp_main__"}
foreign = {name for name in foreign if not name.startswith(("_", "cython_runtime"))}
if foreign:
    sys.exit(f"modules from outside the dependencies: {sorted(foreign)}")
print(f"{len(names)} modules import with {', '.join(sorted(ALLOWED))} alone")
