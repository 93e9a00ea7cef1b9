/** How a program speaks with this agent. */
import { useModels, useSession } from "../api/queries";
import { Copy } from "../ui/basics";

export function Connect() {
  const models = useModels();
  const session = useSession();
  const base = `${location.origin}/v1`;
  const model = models.data?.models.find((one) => one.is_default)?.name ?? models.data?.models[0]?.name ?? "tiny";
  const key = session.data?.needs_key === true;
  const field = key ? " \\\n  -H 'authorization: Bearer YOUR_KEY'" : "";
  const curl = `curl ${base}/chat/completions${field} \\
  -H 'content-type: application/json' \\
  -d '{"model": "${model}", "messages": [{"role": "user", "content": "Hello"}]}'`;
  const python = `from openai import OpenAI

client = OpenAI(base_url="${base}", api_key="${key ? "YOUR_KEY" : "none"}")
answer = client.chat.completions.create(
    model="${model}",
    messages=[{"role": "user", "content": "Hello"}],
)
print(answer.choices[0].message.content)`;
  return (
    <div className="connect">
      <p>Any OpenAI client works with this base URL{key && " and an API key"}:</p>
      <Copy text={base} label="Copy the base URL" />
      <p>In a terminal:</p>
      <Copy block text={curl} label="Copy the command" />
      <p>In Python:</p>
      <Copy block text={python} label="Copy the program" />
    </div>
  );
}
