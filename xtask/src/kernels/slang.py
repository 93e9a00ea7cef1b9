"""Compiles kernels to SPIR-V by the Slang compiler in PyPI's `slangpy`, whose library takes the arguments of `slangc`.

Takes the file to write and those arguments, or `--version`. Refuses to import the package: only the compiler is used.

Of what comes out, names and the source language are left out, and every sum, product and quotient is marked so that a driver
keeps its rounding: Slang says so for no target.
"""

import ctypes
import importlib.util
import pathlib
import struct
import sys

# The SPIR-V specification's numbers.
NAMES = {3, 5, 6}  # OpSource, OpName, OpMemberName
DECORATE, MEMBER_DECORATE, NO_CONTRACTION = 71, 72, 42
ARITHMETIC = {127, 129, 131, 133, 136}  # OpFNegate, OpFAdd, OpFSub, OpFMul, OpFDiv


def load():
    spec = importlib.util.find_spec("slangpy")
    found = sorted(pathlib.Path(spec.origin).parent.glob("libslang-compiler.so*"))
    library = ctypes.CDLL(str(found[0]))
    pointer, text = ctypes.c_void_p, ctypes.c_char_p
    for name, result, *parameters in [
        ("spGetBuildTagString", text),
        ("spCreateSession", pointer, text),
        ("spCreateCompileRequest", pointer, pointer),
        ("spProcessCommandLineArguments", ctypes.c_int, pointer, ctypes.POINTER(text), ctypes.c_int),
        ("spCompile", ctypes.c_int, pointer),
        ("spGetDiagnosticOutput", text, pointer),
        ("spGetTargetCodeBlob", ctypes.c_int, pointer, ctypes.c_int, ctypes.POINTER(pointer)),
    ]:
        function = getattr(library, name)
        function.restype, function.argtypes = result, parameters
    return library


def compile_with(library, arguments):
    request = library.spCreateCompileRequest(library.spCreateSession(None))
    texts = (ctypes.c_char_p * len(arguments))(*(argument.encode() for argument in arguments))
    status = library.spProcessCommandLineArguments(request, texts, len(arguments))
    if status >= 0:
        status = library.spCompile(request)
    sys.stderr.write((library.spGetDiagnosticOutput(request) or b"").decode())
    blob = ctypes.c_void_p()
    if status < 0 or library.spGetTargetCodeBlob(request, 0, ctypes.byref(blob)) < 0:
        sys.exit("slang: nothing was compiled")
    # A blob's methods: three of every object's, then where its bytes are, and how many.
    methods = ctypes.cast(ctypes.cast(blob, ctypes.POINTER(ctypes.c_void_p))[0], ctypes.POINTER(ctypes.c_void_p))
    start = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(methods[3])(blob)
    size = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_void_p)(methods[4])(blob)
    return ctypes.string_at(start, size)


def marked(module):
    words = struct.unpack(f"<{len(module) // 4}I", module)
    instructions, place = [], 5
    while place < len(words):
        count, operation = words[place] >> 16, words[place] & 0xFFFF
        if operation not in NAMES:
            instructions.append((operation, words[place : place + count]))
        place += count
    kept = [(3 << 16 | DECORATE, line[2], NO_CONTRACTION) for operation, line in instructions if operation in ARITHMETIC]
    first = next(i for i, (operation, _) in enumerate(instructions) if operation in (DECORATE, MEMBER_DECORATE))
    lines = [line for _, line in instructions]
    made = [words[:5], *lines[:first], *kept, *lines[first:]]
    flat = [word for line in made for word in line]
    return struct.pack(f"<{len(flat)}I", *flat)


if __name__ == "__main__":
    slang = load()
    if sys.argv[1:] == ["--version"]:
        print("Slang", slang.spGetBuildTagString().decode())
    else:
        pathlib.Path(sys.argv[1]).write_bytes(marked(compile_with(slang, sys.argv[2:])))
