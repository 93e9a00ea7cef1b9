// Text and bytes. QuickJS has no TextEncoder, and what works in it works in Node as well.

export function encode(text) {
  const flat = unescape(encodeURIComponent(text.toWellFormed()));
  return Uint8Array.from(flat, (character) => character.charCodeAt(0));
}

// Throws `malformed` for what is no UTF-8.
export function decode(bytes) {
  let flat = "";
  for (let at = 0; at < bytes.length; at += 4096)
    flat += String.fromCharCode(...bytes.subarray(at, at + 4096));
  try {
    return decodeURIComponent(escape(flat));
  } catch {
    throw { tag: "malformed", val: "the service sent what is no text" };
  }
}

// What a service said, fit for a sentence: one line, at most 300 characters.
export function quoted(text) {
  const line = text.replace(/\p{Cc}+/gu, " ").trim();
  if (line === "") return "nothing";
  return line.length > 300 ? `${line.slice(0, 300).toWellFormed()}…` : line;
}
