"""Directories of arrays with a manifest: what refquant saves, readable without running any code.

    manifest.json           what the bundle is, and name, file, dtype, shape and hash of each array
    0000-conv1-w.npy        one array a file: NumPy's format 1.0, C order, little endian, as is
    0001-conv1-bias.npy

`write_bundle` makes one, all or nothing; `read_bundle` trusts nothing it finds. There is no
pickle in either direction.
"""

from refquant._bundle.error import BundleError
from refquant._bundle.read import MAX_BYTES, Bundle, read_bundle
from refquant._bundle.write import write_bundle

__all__ = ["MAX_BYTES", "Bundle", "BundleError", "read_bundle", "write_bundle"]
