/**
 * From what somebody types to what the agent is told, and the same as a file for the command line.
 *
 * Only what was typed or kept is sent: a default that nobody touched may still change with other answers.
 */
import type { Answers, Question, Value } from "../api/setup";

export const isGiven = (answer: Question["answer"]): boolean =>
  typeof answer === "object" && answer !== null && !Array.isArray(answer) && answer.given;

/** What an earlier visit kept; texts of secrets never come back. */
export function kept(questions: readonly Question[]): Answers {
  const found: Answers = {};
  for (const { id, answer } of questions) {
    if (answer !== null && (typeof answer !== "object" || Array.isArray(answer))) found[id] = answer;
  }
  return found;
}

/** What is sent: what was kept, with what was typed over it. A secret's field that was emptied again says nothing. */
export function toSend(questions: readonly Question[], edits: Answers): Answers {
  const answers = { ...kept(questions), ...edits };
  for (const { id, kind } of questions) {
    if (kind.type === "secret" && answers[id] === "") delete answers[id];
  }
  return answers;
}

/** What a question's field shows. */
export function shown(question: Question, edits: Answers): Value {
  const edit = edits[question.id];
  if (edit !== undefined && edit !== null) return edit;
  const answer = edit === null ? null : question.answer;
  const value = answer !== null && (typeof answer !== "object" || Array.isArray(answer)) ? answer : question.default;
  if (value !== null) return value;
  switch (question.kind.type) {
    case "number":
      return question.kind.min;
    case "flag":
      return false;
    case "several":
      return [];
    default:
      return "";
  }
}

/**
 * Whether something speaks against going on. A question that was not touched is not called wrong before somebody tried to go on:
 * an empty form full of red is no help.
 */
export const problems = (questions: readonly Question[]): Question[] =>
  questions.filter((question) => question.problem !== null);

function toml(value: Value): string {
  if (Array.isArray(value)) return `[${value.map(quoted).join(", ")}]`;
  return typeof value === "string" ? quoted(value) : String(value);
}

function quoted(text: string): string {
  // JSON's escapes are TOML's, but for one that JSON may leave out.
  return JSON.stringify(text).replaceAll("\u007f", "\\u007f");
}

/** An answers file that says the same as the form. Of a secret it has only where to find it. */
export function answersFile(part: string, questions: readonly Question[], edits: Answers): string {
  // By itself, a file is the whole setup: it ends with the tests, and closes it.
  const lines = ["finish = false", "tests = false", "", `[${part}]`];
  for (const question of questions) {
    if (question.kind.type === "secret") {
      if (isGiven(question.answer) || edits[question.id]) lines.push(`${question.id} = { env = "NAME" }`);
      continue;
    }
    const value = shown(question, edits);
    const usual = JSON.stringify(value) === JSON.stringify(question.default);
    if (value === "" && question.default === null) continue;
    lines.push(`${usual ? "# " : ""}${question.id} = ${toml(value)}${usual ? "  # as it is by itself" : ""}`);
  }
  return lines.join("\n");
}

/** What a figure is typed in, for a unit: bytes in something larger. */
export function scale(unit: string, max: number): { by: number; unit: string } {
  if (unit === "bytes") {
    return max >= 2 ** 30 ? { by: 2 ** 30, unit: "GiB" } : { by: 2 ** 20, unit: "MiB" };
  }
  return { by: 1, unit: unit === "percent" ? "%" : unit };
}
