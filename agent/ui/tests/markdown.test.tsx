import { renderToStaticMarkup } from "react-dom/server";
import { expect, test } from "vitest";
import { Markdown } from "../src/pages/markdown";

const drawn = (text: string): string => renderToStaticMarkup(<Markdown text={text} />);

test("markup in a model's text stays text", () => {
  const page = drawn('<img src=x onerror="alert(1)">\n\n<script>alert(1)</script> and <b onclick=x>b</b>\n\n`<i>`');
  expect(page).not.toMatch(/<(img|script|b|i)\b/);
  expect(page).toContain("&lt;script&gt;");
  expect(page).toContain("<code>&lt;i&gt;</code>");
});

test("no address but those that may be followed becomes a link, and no picture is loaded", () => {
  const page = drawn("[a](javascript:alert(1)) [b](https://example.org) ![c](https://example.org/p.png) <https://example.org/x>");
  expect(page.match(/href="([^"]*)"/g)).toEqual(['href="https://example.org/"', 'href="https://example.org/p.png"', 'href="https://example.org/x"']);
  expect(page).not.toContain("<img");
  expect(page).toContain('rel="noopener noreferrer nofollow"');
});

test("what Markdown is for is drawn", () => {
  const page = drawn("# T\n\n- one\n- **two**\n\n3. x\n\n> q\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```rust\nfn main() {}\n```\n\nA &amp; B\n\n---\n");
  for (const part of ["<h3>T</h3>", "<strong>two</strong>", '<ol start="3">', "<blockquote>", "<th>a</th>", "<td>2</td>", "fn main() {}", "A &amp; B", "<hr/>"]) {
    expect(page, part).toContain(part);
  }
});

test("an answer that is still being written is drawn as far as it is", () => {
  expect(drawn("```py\nprint(")).toContain("print(");
  expect(drawn("| a |")).toContain("| a |");
  expect(drawn("")).toBe('<div class="markdown"></div>');
});
