"""Prints how many bytes of weights one decoded token reads from a GGUF file, and its vocabulary's size, as JSON.

Every tensor counts once, except an embedding table that is not also the output matrix: of that a
token reads one row.
"""

import json
import sys

import gguf


def main():
    reader = gguf.GGUFReader(sys.argv[1])
    sizes = {str(tensor.name): int(tensor.n_bytes) for tensor in reader.tensors}
    read = sum(sizes.values())
    if "output.weight" in sizes:
        read -= sizes["token_embd.weight"]
    vocabulary = len(reader.fields["tokenizer.ggml.tokens"].data)
    print(json.dumps({"bytes": read, "vocabulary": vocabulary}))


if __name__ == "__main__":
    main()
