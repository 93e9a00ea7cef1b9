/** A unified diff as lines, each with what became of it. */

export interface DiffLine { kind: "added" | "removed" | "same" | "place"; text: string }

export function diffLines(diff: string): DiffLine[] {
  const lines = diff.replace(/\n$/, "").split("\n");
  return lines.flatMap((line): DiffLine[] => {
    if (/^(---|\+\+\+) /.test(line) || line.startsWith("\\ ")) return [];
    const text = line.slice(1);
    if (line.startsWith("@@")) return [{ kind: "place", text: line }];
    if (line.startsWith("+")) return [{ kind: "added", text }];
    if (line.startsWith("-")) return [{ kind: "removed", text }];
    return [{ kind: "same", text: line.startsWith(" ") ? text : line }];
  });
}

export function tally(lines: readonly DiffLine[]): { added: number; removed: number } {
  return {
    added: lines.filter((line) => line.kind === "added").length,
    removed: lines.filter((line) => line.kind === "removed").length,
  };
}
