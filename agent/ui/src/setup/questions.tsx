/** A step's questions, each by its kind. Knows no step: what is asked comes from the plugin. */
import { useState } from "react";
import type { Answers, Question, Value } from "../api/setup";
import { quantity } from "../lib/format";
import { ChoiceField, FlagField, LinesField, NumberField, SecretField, SelectField, SeveralField, TextField } from "../ui/fields";
import { isGiven, scale, shown } from "./answers";

/** So many options are still seen at a glance. */
const CHOICES_MAX = 7;

export function Questions({ questions, edits, onEdit, strict }: {
  questions: readonly Question[];
  edits: Answers;
  onEdit: (id: string, value: Value) => void;
  /** Whether untouched questions are called wrong, too. */
  strict: boolean;
}) {
  const [more, setMore] = useState(false);
  const plain = questions.filter((question) => !question.advanced);
  const advanced = questions.filter((question) => question.advanced);
  const wrong = (question: Question) => strict || edits[question.id] !== undefined ? question.problem : null;
  const one = (question: Question) => (
    <Ask
      key={question.id}
      question={question}
      value={shown(question, edits)}
      problem={wrong(question)}
      onChange={(value) => onEdit(question.id, value)}
    />
  );
  const open = more || advanced.some((question) => wrong(question) !== null);
  return (
    <div className="questions">
      {plain.map(one)}
      {advanced.length > 0 && (
        <details className="more" open={open} onToggle={(event) => setMore(event.currentTarget.open)}>
          <summary>More settings <span className="soft">({advanced.length})</span></summary>
          <div className="questions">{advanced.map(one)}</div>
        </details>
      )}
    </div>
  );
}

function Ask({ question, value, problem, onChange }: {
  question: Question;
  value: Value;
  problem: string | null;
  onChange: (value: Value) => void;
}) {
  const { kind } = question;
  const frame = { label: question.label, help: question.help, problem };
  const text = typeof value === "string" ? value : "";
  switch (kind.type) {
    case "text":
      return <TextField {...frame} value={text} onChange={onChange} placeholder={kind.placeholder} maxLength={kind.bytes_max} />;
    case "lines":
      return <LinesField {...frame} value={text} onChange={onChange} placeholder={kind.placeholder} maxLength={kind.bytes_max} />;
    case "secret":
      return <SecretField {...frame} value={text} onChange={onChange} given={isGiven(question.answer)} />;
    case "flag":
      return <FlagField {...frame} value={value === true} onChange={onChange} />;
    case "number":
      return (
        <NumberField
          {...frame}
          value={typeof value === "number" ? value : kind.min}
          onChange={onChange}
          min={kind.min}
          max={kind.max}
          step={kind.step}
          show={(n) => quantity(n, kind.unit)}
          scale={scale(kind.unit, kind.max)}
        />
      );
    case "choice":
      return kind.options.length > CHOICES_MAX
        ? <SelectField {...frame} value={text} onChange={onChange} options={kind.options} />
        : <ChoiceField {...frame} value={text} onChange={onChange} choices={kind.options} />;
    case "several":
      return <SeveralField {...frame} value={Array.isArray(value) ? value : []} onChange={onChange} choices={kind.options} />;
  }
}
