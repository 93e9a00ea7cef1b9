"""Makes `hw/tests/dequant.bin`: random blocks of every storage type and what the `gguf` package
makes of them. Run by hand after a change: `python dequant_golden.py ../../hw/tests/dequant.bin`.

A record for each type: name (8 bytes, padded with zeros), bytes of blocks and count of numbers
(u32, little-endian), the blocks, the numbers (f32). Scales are random halves from both ends of
their range; the other bytes are random.
"""

import struct
import sys

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize

# Where a block's half-precision scales are.
SCALES = {
    "F16": None,
    "BF16": None,
    "Q8_0": [0],
    "Q4_0": [0],
    "Q4_1": [0, 2],
    "Q5_0": [0],
    "Q5_1": [0, 2],
    "Q4_K": [0, 2],
    "Q5_K": [0, 2],
    "Q6_K": [208],
}
NUMBERS = 1024


def blocks(name, random):
    if name == "F16":
        bits = random.integers(0, 1 << 16, NUMBERS, dtype=np.uint16)
        bits[(bits & 0x7C00) == 0x7C00] &= 0x83FF  # no infinities, but all the subnormals
        return bits.view(np.uint8)
    if name == "BF16":
        bits = random.integers(0, 1 << 16, NUMBERS, dtype=np.uint16)
        bits[(bits & 0x7F80) == 0x7F80] &= 0x807F
        return bits.view(np.uint8)
    length, size = GGML_QUANT_SIZES[GGMLQuantizationType[name]]
    data = random.integers(0, 256, (NUMBERS // length, size), dtype=np.uint8)
    for at in SCALES[name]:
        exponents = random.uniform(-24, 4, len(data))
        signs = random.choice([-1, 1], len(data))
        halves = (signs * 2.0**exponents).astype(np.float16)
        data[:, at : at + 2] = halves.view(np.uint8).reshape(-1, 2)
    return data.reshape(-1)


def main():
    random = np.random.default_rng(20)
    with open(sys.argv[1], "wb") as out:
        for name in SCALES:
            data = blocks(name, random)
            kind = GGMLQuantizationType[name]
            values = dequantize(data, kind).astype("<f4").reshape(-1)
            out.write(name.encode().ljust(8, b"\0"))
            out.write(struct.pack("<II", len(data), len(values)))
            out.write(data.tobytes())
            out.write(values.tobytes())


if __name__ == "__main__":
    main()
