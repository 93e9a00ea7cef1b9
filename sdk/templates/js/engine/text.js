// Text and bytes. QuickJS has no TextEncoder, and what works in it works in Node as well.

export function encode(text) {
  const flat = unescape(encodeURIComponent(text.toWellFormed()));
  return Uint8Array.from(flat, (character) => character.charCodeAt(0));
}

// What is no UTF-8 is said byte by byte.
export function decode(bytes) {
  const flat = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  try {
    return decodeURIComponent(escape(flat));
  } catch {
    return flat;
  }
}
