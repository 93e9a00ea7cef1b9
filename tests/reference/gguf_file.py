"""Reads a GGUF file: metadata as plain Python values, tensors dequantised to floats.

Decides nothing about models. The `gguf` package parses the container and dequantises the
blocks, so what a stored block means does not depend on any code of this repository.
"""

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader
from gguf.quants import dequantize


class GgufFile:
    """One open file. `meta` is keyed as stored; `get(key)` puts the architecture in front."""

    def __init__(self, path):
        reader = GGUFReader(str(path))
        self.meta = {
            name: field.contents()
            for name, field in reader.fields.items()
            if not name.startswith("GGUF.")
        }
        self.version = int(reader.fields["GGUF.version"].contents())
        self.arch = self.meta["general.architecture"]
        self.tensors = {t.name: t for t in reader.tensors}
        self._reader = reader  # keeps the memory map alive

    def get(self, key, default=None):
        """Metadata value `<arch>.<key>`, or `default` where the file has none."""
        return self.meta.get(f"{self.arch}.{key}", default)

    def require(self, key):
        """Metadata value `<arch>.<key>`; a file without it is refused."""
        value = self.get(key)
        if value is None:
            raise KeyError(f"no metadata `{self.arch}.{key}`")
        return value

    def has(self, name):
        """Whether the file holds a tensor of that name."""
        return name in self.tensors

    def kind(self, name):
        """Stored type of a tensor, for instance `Q4_K`."""
        return GGMLQuantizationType(self.tensors[name].tensor_type).name

    def tensor(self, name, dtype=np.float64):
        """Dequantised tensor, rows first (the file's dimensions reversed)."""
        stored = self.tensors[name]
        shape = [int(d) for d in reversed(stored.shape)]
        return dequantize(stored.data, stored.tensor_type).astype(dtype).reshape(shape)
