// A request in the service's words. What is left at "off" is left out.

export function ask(model, work) {
  if (work.tag !== "generate") throw unsupported("embeddings");
  const { prompt, sampling, ...rest } = work.val;
  if (rest.continued.some((one) => one.textBytes > 0 || one.tokens.length > 0 || one.finish))
    throw unsupported("going on with an answer");
  if (rest.logprobs !== null && rest.logprobs !== undefined) throw unsupported("log probabilities");
  const body = { model, stream: true, stream_options: { include_usage: true } };
  const say = (name, value, off) => {
    if (value !== off && value !== null && value !== undefined) body[name] = value;
  };
  say("max_tokens", rest.maxTokens, null);
  say("n", rest.choices, 1);
  say("temperature", sampling.temperature, null);
  say("top_p", sampling.topP, 1);
  say("presence_penalty", sampling.presencePenalty, 0);
  say("frequency_penalty", sampling.frequencyPenalty, 0);
  say("seed", sampling.seed, null);
  // OpenAI's own service knows none of these and says so; vLLM and llama-server do.
  say("top_k", sampling.topK, 0);
  say("min_p", sampling.minP, 0);
  say("repetition_penalty", sampling.repetitionPenalty, 1);
  say("ignore_eos", rest.ignoreEnd, false);
  if (rest.stop.length > 0) body.stop = rest.stop;
  if (sampling.logitBias.length > 0) body.logit_bias = Object.fromEntries(sampling.logitBias);
  if (prompt.tag === "chat") {
    if (rest.echo) throw unsupported("`echo` of a chat");
    body.messages = prompt.val.map(({ role, content, name }) =>
      name ? { role, content, name } : { role, content },
    );
    return { path: "chat/completions", body: JSON.stringify(body) };
  }
  body.prompt = prompt.tag === "text" ? prompt.val : [...prompt.val];
  say("echo", rest.echo, false);
  return { path: "completions", body: JSON.stringify(body) };
}

function unsupported(what) {
  return { tag: "unsupported", val: `this adapter does not pass on ${what}` };
}
