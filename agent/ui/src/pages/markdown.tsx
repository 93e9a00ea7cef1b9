/**
 * Markdown as elements: what a model writes becomes text and never markup of the page.
 *
 * Raw HTML shows as the text that it is, pictures as links to be followed by choice (loading one tells a stranger that it was
 * read), and addresses lead only where `http`, `https` or `mailto` do.
 */
import { lexer, type Token, type Tokens } from "marked";
import { Fragment, memo, type ReactNode } from "react";
import { useCopy } from "../ui/basics";

export const Markdown = memo(function Markdown({ text }: { text: string }) {
  return <div className="markdown">{blocks(lexer(text, { gfm: true, breaks: false }))}</div>;
});

/** The address, if one may follow it. */
export function followed(href: string): string | null {
  try {
    const url = new URL(href);
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

function blocks(tokens: readonly Token[]): ReactNode {
  return tokens.map((token, at) => <Fragment key={at}>{block(token)}</Fragment>);
}

function block(token: Token): ReactNode {
  switch (token.type) {
    case "space":
    case "def":
      return null;
    case "heading": {
      // The page's own headings stand above it.
      const Level = `h${Math.min(6, (token as Tokens.Heading).depth + 2)}` as "h3";
      return <Level>{inline(token.tokens)}</Level>;
    }
    case "paragraph":
      return <p>{inline(token.tokens)}</p>;
    case "text":
      return token.tokens ? inline(token.tokens) : token.text;
    case "code":
      return <Code code={token as Tokens.Code} />;
    case "blockquote":
      return <blockquote>{blocks(token.tokens ?? [])}</blockquote>;
    case "hr":
      return <hr />;
    case "list": {
      const list = token as Tokens.List;
      const items = list.items.map((item, at) => (
        <li key={at}>{item.task && <span aria-label={item.checked ? "done" : "to do"}>{item.checked ? "☑ " : "☐ "}</span>}{blocks(item.tokens)}</li>
      ));
      return list.ordered ? <ol start={typeof list.start === "number" ? list.start : 1}>{items}</ol> : <ul>{items}</ul>;
    }
    case "table": {
      const table = token as Tokens.Table;
      return (
        <div className="table-frame" tabIndex={0} role="region" aria-label="Table">
          <table>
            <thead><tr>{table.header.map((cell, at) => <th key={at}>{inline(cell.tokens)}</th>)}</tr></thead>
            <tbody>{table.rows.map((row, at) => <tr key={at}>{row.map((cell, of) => <td key={of}>{inline(cell.tokens)}</td>)}</tr>)}</tbody>
          </table>
        </div>
      );
    }
    case "checkbox":
      return null;
    default:
      return <p>{token.raw}</p>;
  }
}

function inline(tokens: readonly Token[] | undefined): ReactNode {
  return (tokens ?? []).map((token, at) => <Fragment key={at}>{word(token)}</Fragment>);
}

function word(token: Token): ReactNode {
  switch (token.type) {
    case "text":
      return token.tokens ? inline(token.tokens) : unescaped(token.text as string);
    case "escape":
      return token.text as string;
    case "strong":
      return <strong>{inline(token.tokens)}</strong>;
    case "em":
      return <em>{inline(token.tokens)}</em>;
    case "del":
      return <del>{inline(token.tokens)}</del>;
    case "codespan":
      return <code>{token.text as string}</code>;
    case "br":
      return <br />;
    case "link":
    case "image": {
      const { href, text } = token as Tokens.Link | Tokens.Image;
      const to = followed(href);
      const shown = token.type === "link" ? inline(token.tokens) : `🖼 ${text || href}`;
      return to === null ? shown : <a href={to} target="_blank" rel="noopener noreferrer nofollow">{shown}</a>;
    }
    case "checkbox":
      return null;
    default:
      return token.raw;
  }
}

/** The names by which text may call signs that HTML would take for its own. */
function unescaped(text: string): string {
  return text.replace(/&(amp|lt|gt|quot|#39);/g, (_, name: string) => SIGNS[name] ?? "");
}
const SIGNS: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'" };

function Code({ code }: { code: Tokens.Code }) {
  const [copied, copy] = useCopy();
  return (
    <div className="code">
      <div className="code-head">
        <span>{code.lang ?? ""}</span>
        <button type="button" className="link" onClick={() => copy(code.text)}>{copied ? "Copied" : "Copy"}</button>
      </div>
      <pre tabIndex={0}><code>{code.text}</code></pre>
    </div>
  );
}
