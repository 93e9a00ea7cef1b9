/** Things to fill in. Each has its label, its help and what is wrong with it, tied together for screen readers. */
import { Eye, EyeOff } from "lucide-react";
import { Checkbox, RadioGroup, Slider, Switch } from "radix-ui";
import { Check } from "lucide-react";
import { type ReactNode, useId, useState } from "react";
import { cx, Words } from "./basics";

interface Frame {
  label: string;
  help?: string | undefined;
  problem?: string | null | undefined;
  note?: ReactNode;
}

interface Ids { id: string; described: string | undefined; invalid: true | undefined }

/** What a field has around it, whatever is inside. */
export function Field({ label, help, problem, note, children, group }: Frame & {
  children: (ids: Ids & { labelled: string }) => ReactNode;
  group?: boolean;
}) {
  const id = useId();
  const described = cx(help && `${id}h`, problem && `${id}p`) || undefined;
  const Label = group ? "span" : "label";
  return (
    <div className={cx("field", problem && "wrong")}>
      <div className="field-head">
        <Label className="field-label" id={`${id}l`} htmlFor={group ? undefined : id}>{label}</Label>
        {note && <span className="field-note">{note}</span>}
      </div>
      {help && <p className="field-help" id={`${id}h`}><Words text={help} /></p>}
      {children({ id, described, invalid: problem ? true : undefined, labelled: `${id}l` })}
      <p className="field-problem" id={`${id}p`} aria-live="polite">{problem && <Words text={problem} />}</p>
    </div>
  );
}

interface TextProps extends Frame {
  value: string;
  onChange: (value: string) => void;
  placeholder?: string | undefined;
  maxLength?: number | undefined;
  mono?: boolean;
  autoFocus?: boolean;
  /** What a browser that keeps passwords may fill in. */
  autoComplete?: "username" | "current-password" | "new-password";
}

export function TextField({ value, onChange, placeholder, maxLength, mono, autoFocus, autoComplete, ...frame }: TextProps) {
  return (
    <Field {...frame}>
      {({ id, described, invalid }) => (
        <input
          id={id}
          className={cx("input", mono && "mono")}
          value={value}
          placeholder={placeholder}
          maxLength={maxLength}
          autoComplete={autoComplete ?? "off"}
          spellCheck={false}
          autoFocus={autoFocus}
          aria-describedby={described}
          aria-invalid={invalid}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </Field>
  );
}

export function LinesField({ value, onChange, placeholder, maxLength, ...frame }: TextProps) {
  return (
    <Field {...frame}>
      {({ id, described, invalid }) => (
        <textarea
          id={id}
          className="input mono"
          rows={Math.min(10, Math.max(3, value.split("\n").length + 1))}
          value={value}
          placeholder={placeholder}
          maxLength={maxLength}
          spellCheck={false}
          aria-describedby={described}
          aria-invalid={invalid}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </Field>
  );
}

export function SecretField({ value, onChange, given, placeholder, autoComplete, ...frame }: TextProps & { given?: boolean }) {
  const [shown, setShown] = useState(false);
  return (
    <Field {...frame}>
      {({ id, described, invalid }) => (
        <div className="input-row">
          <input
            id={id}
            className="input mono"
            type={shown ? "text" : "password"}
            value={value}
            placeholder={given ? "kept; type to replace it" : placeholder}
            autoComplete={autoComplete ?? "off"}
            spellCheck={false}
            aria-describedby={described}
            aria-invalid={invalid}
            onChange={(event) => onChange(event.target.value)}
          />
          <button
            type="button"
            className="button quiet"
            aria-pressed={shown}
            aria-label="Show what is typed"
            onClick={() => setShown(!shown)}
          >
            {shown ? <EyeOff aria-hidden="true" /> : <Eye aria-hidden="true" />}
          </button>
        </div>
      )}
    </Field>
  );
}

export function SelectField({ value, onChange, options, ...frame }: Frame & {
  value: string;
  onChange: (value: string) => void;
  options: readonly { value: string; label: string }[];
}) {
  return (
    <Field {...frame}>
      {({ id, described, invalid }) => (
        <select
          id={id}
          className="input"
          value={value}
          aria-describedby={described}
          aria-invalid={invalid}
          onChange={(event) => onChange(event.target.value)}
        >
          {options.map((option) => <option key={option.value} value={option.value}>{option.label}</option>)}
        </select>
      )}
    </Field>
  );
}

export function FlagField({ label, help, problem, value, onChange, note }: Frame & {
  value: boolean;
  onChange: (value: boolean) => void;
}) {
  const id = useId();
  return (
    <div className={cx("field flag", problem && "wrong")}>
      <div className="flag-text">
        <label className="field-label" htmlFor={id}>{label}{note && <span className="field-note">{note}</span>}</label>
        {help && <p className="field-help" id={`${id}h`}><Words text={help} /></p>}
        <p className="field-problem" id={`${id}p`} aria-live="polite">{problem && <Words text={problem} />}</p>
      </div>
      <Switch.Root
        id={id}
        className="switch"
        checked={value}
        onCheckedChange={onChange}
        aria-describedby={cx(help && `${id}h`, problem && `${id}p`) || undefined}
      >
        <Switch.Thumb className="switch-thumb" />
      </Switch.Root>
    </div>
  );
}

export interface Choice { value: string; label: string; help?: string; recommended?: boolean }

function ChoiceText({ choice }: { choice: Choice }) {
  return (
    <span className="choice-text">
      <span className="choice-label">
        {choice.label}
        {choice.recommended && <span className="badge good">recommended</span>}
      </span>
      {choice.help && <span className="choice-help"><Words text={choice.help} /></span>}
    </span>
  );
}

export function ChoiceField({ value, onChange, choices, ...frame }: Frame & {
  value: string;
  onChange: (value: string) => void;
  choices: readonly Choice[];
}) {
  const id = useId();
  return (
    <Field group {...frame}>
      {({ described, labelled }) => (
        <RadioGroup.Root
          className={cx("choices", choices.every((choice) => !choice.help) && "short")}
          value={value}
          onValueChange={onChange}
          aria-labelledby={labelled}
          aria-describedby={described}
        >
          {choices.map((choice, at) => (
            <label key={choice.value} className="choice" htmlFor={`${id}${at}`}>
              <RadioGroup.Item id={`${id}${at}`} className="radio" value={choice.value}>
                <RadioGroup.Indicator className="radio-dot" />
              </RadioGroup.Item>
              <ChoiceText choice={choice} />
            </label>
          ))}
        </RadioGroup.Root>
      )}
    </Field>
  );
}

export function SeveralField({ value, onChange, choices, ...frame }: Frame & {
  value: readonly string[];
  onChange: (value: string[]) => void;
  choices: readonly Choice[];
}) {
  const id = useId();
  const turn = (which: string, on: boolean) =>
    onChange(choices.map((choice) => choice.value).filter((one) => (one === which ? on : value.includes(one))));
  return (
    <Field group {...frame}>
      {({ described, labelled }) => (
        <div
          className={cx("choices", choices.every((choice) => !choice.help) && "short")}
          role="group"
          aria-labelledby={labelled}
          aria-describedby={described}
        >
          {choices.map((choice, at) => (
            <label key={choice.value} className="choice" htmlFor={`${id}${at}`}>
              <Checkbox.Root
                id={`${id}${at}`}
                className="checkbox"
                checked={value.includes(choice.value)}
                onCheckedChange={(on) => turn(choice.value, on === true)}
              >
                <Checkbox.Indicator className="checkbox-mark"><Check aria-hidden="true" /></Checkbox.Indicator>
              </Checkbox.Root>
              <ChoiceText choice={choice} />
            </label>
          ))}
        </div>
      )}
    </Field>
  );
}

/** A number between two others: a slider where that helps, and the figure itself to be typed. */
export function NumberField({ value, onChange, min, max, step, show, scale, ...frame }: Frame & {
  value: number;
  onChange: (value: number) => void;
  min: number;
  max: number;
  step: number;
  show: (value: number) => string;
  /** What one of the figure that is typed is worth, and what it is called. */
  scale: { by: number; unit: string };
}) {
  // What has no unit is a name that looks like a number, such as a port: nobody finds it by sliding.
  const slides = scale.unit !== "" && max > min;
  const clamp = (n: number) => Math.min(max, Math.max(min, n));
  const typed = Math.round((value / scale.by) * 100) / 100;
  const [text, setText] = useState<string | null>(null);
  return (
    <Field {...frame} note={slides ? <span className="number-shown">{show(value)}</span> : frame.note}>
      {({ id, described, invalid, labelled }) => (
        <div className="number">
          {slides && (
            <div className="slider-frame">
              <Slider.Root
                className="slider"
                min={min}
                max={max}
                step={Math.max(step, 1)}
                value={[clamp(value)]}
                onValueChange={([next]) => {
                  setText(null);
                  if (next !== undefined) onChange(next);
                }}
              >
                <Slider.Track className="slider-track"><Slider.Range className="slider-range" /></Slider.Track>
                <Slider.Thumb className="slider-thumb" aria-labelledby={labelled} aria-valuetext={show(value)} />
              </Slider.Root>
              <div className="slider-ends" aria-hidden="true"><span>{show(min)}</span><span>{show(max)}</span></div>
            </div>
          )}
          <span className="number-typed">
            <input
              id={id}
              className="input"
              inputMode="decimal"
              value={text ?? String(typed)}
              aria-describedby={described}
              aria-invalid={invalid}
              onChange={(event) => {
                setText(event.target.value);
                const next = Number(event.target.value.replace(",", "."));
                if (event.target.value.trim() !== "" && Number.isFinite(next)) onChange(Math.round(next * scale.by));
              }}
              onBlur={() => setText(null)}
            />
            {scale.unit && <span className="number-unit">{scale.unit}</span>}
          </span>
        </div>
      )}
    </Field>
  );
}
