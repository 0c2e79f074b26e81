"""Save a network as a directory of arrays and a manifest, and load it without trusting it.

The bundle (`refquant._bundle`) holds one array a parameter, named ``node/parameter``, in the
order of the network's mapping. The manifest is ``network.json``:

    {"format": "refquant-network", "version": 1, "name": ..., "input_shape": [...],
     "nodes": [{"name", "op", "inputs": [...], "attrs": [{"name", "value"}, ...]}, ...],
     "blocks": [{"name", "nodes": [...]}, ...]}

A round trip changes nothing: neither a bit of an array nor an attribute nor an order.

Not modelled: quantizer components. A network is saved before quantizers are inserted.
"""

import os
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from refquant._bundle import MAX_BYTES, BundleError, read_bundle, write_bundle
from refquant._bundle.error import refusal
from refquant._bundle.manifest import check_version
from refquant._types import Array
from refquant.network.codecs import CODECS, MAX_SIZE, read_list, read_name, read_object, read_size
from refquant.network.graph import Block, Key, Network, Node

MANIFEST, FORMAT, VERSION = "network.json", "refquant-network", 1
FIELDS = ("format", "version", "name", "input_shape", "nodes", "blocks")


def save(network: Network, directory: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """Write `network` as a bundle and return its path.

    Parameters
    ----------
    network : Network
        Without quantize nodes.
    directory : path
        New, or an empty directory; or a saved network, with `overwrite`.
    overwrite : bool
        Whether to replace a saved network that is there.

    Raises
    ------
    BundleError
        If the network cannot be saved, or the directory is occupied or cannot be written.
        Nothing has changed then.
    """
    try:
        manifest, arrays = _encode(network), _arrays(network)
    except ValueError as error:
        raise refusal(Path(directory), _sentence(error), "Change it before saving.") from error
    return write_bundle(directory, manifest, arrays, overwrite, MANIFEST)


def load(directory: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> Network:
    """Return the network saved in `directory`.

    Parameters
    ----------
    directory : path
    max_bytes : int
        Limit on the size of all parameters in memory, checked before anything is allocated.

    Raises
    ------
    BundleError
        If the bundle is damaged, hostile, of another version, or not a network.
    """
    manifest, arrays = read_bundle(directory, max_bytes, MANIFEST)
    path = Path(directory) / MANIFEST
    check_version(path, "version", manifest.get("version"), VERSION)
    try:
        return _decode(manifest, arrays)
    except (TypeError, ValueError) as error:
        fix = "Save the network again with refquant."
        raise refusal(path, _sentence(error), fix) from error


def _encode(network: Network) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": read_name(network.name, "the network's name"),
        "input_shape": [read_size(side) for side in network.input_shape],
        "nodes": [_encode_node(node) for node in network.nodes],
        "blocks": [
            {"name": read_name(block, "a block's name"), "nodes": list(nodes)}
            for block, nodes in network.blocks
        ],
    }


def _encode_node(node: Node) -> dict[str, Any]:
    name = read_name(node.name, "a node's name")
    if node.op == "quantize":
        raise ValueError(f"node {name!r} is a quantizer; save the network before inserting any")
    attrs = [{"name": key, "value": CODECS[key].write(value)} for key, value in node.attrs]
    return {"name": name, "op": node.op, "inputs": list(node.inputs), "attrs": attrs}


def _arrays(network: Network) -> dict[str, Array]:
    for node, parameter in network.params:
        if not parameter or "/" in parameter:
            raise ValueError(f"a parameter of {node!r} is called {parameter!r}; it needs no '/'")
    return {f"{node}/{parameter}": value for (node, parameter), value in network.params.items()}


def _decode(manifest: Any, arrays: Mapping[str, Array]) -> Network:
    manifest = read_object(manifest, "the manifest", *FIELDS)
    if manifest["format"] != FORMAT:
        raise ValueError(f"format is not {FORMAT!r}")
    shape = tuple(read_size(side) for side in read_list(manifest["input_shape"], "input_shape"))
    if prod(shape) > MAX_SIZE**2:
        raise ValueError("input_shape is too large")
    params: dict[Key, Array] = {}
    for key, array in arrays.items():
        node, separator, parameter = key.rpartition("/")
        if not separator or not parameter:
            raise ValueError(f"array {key!r} is not called node/parameter")
        params[(node, parameter)] = array
    nodes = tuple(_decode_node(node) for node in read_list(manifest["nodes"], "nodes"))
    blocks = tuple(_decode_block(block) for block in read_list(manifest["blocks"], "blocks"))
    return Network(read_name(manifest["name"], "name"), shape, nodes, params, blocks)


def _decode_node(node: Any) -> Node:
    node = read_object(node, "a node", "name", "op", "inputs", "attrs")
    name, op = read_name(node["name"], "a node's name"), read_name(node["op"], "an op")
    attrs = []
    for attr in read_list(node["attrs"], f"attrs of node {name!r}"):
        attr = read_object(attr, f"an attribute of node {name!r}", "name", "value")
        key = read_name(attr["name"], f"an attribute of node {name!r}")
        if key not in CODECS or (attr["value"] is None and op != "patches"):
            raise ValueError(f"attribute {key!r} of node {name!r} is unknown or empty")
        attrs.append((key, CODECS[key].read(attr["value"])))
    edges = read_list(node["inputs"], f"inputs of node {name!r}")
    return Node(name, op, tuple(read_name(edge, "an input") for edge in edges), tuple(attrs))


def _decode_block(block: Any) -> Block:
    block = read_object(block, "a block", "name", "nodes")
    name = read_name(block["name"], "a block's name")
    members = read_list(block["nodes"], f"nodes of block {name!r}")
    return name, tuple(read_name(member, f"a node of block {name!r}") for member in members)


def _sentence(error: Exception) -> str:
    return str(error).rstrip(".")


__all__ = ["BundleError", "load", "save"]
