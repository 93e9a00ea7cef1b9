"""A request in the service's words. What is left at "off" is left out."""

import json

from answer import Refusal


def ask(model, work, kinds):
    """The path below the base, and the body. `kinds` are the contract's classes of prompts."""
    if any(one.text_bytes or one.tokens or one.finish for one in work.continued):
        raise unsupported("going on with an answer")
    if work.logprobs is not None:
        raise unsupported("log probabilities")
    sampling = work.sampling
    body = {"model": model, "stream": True, "stream_options": {"include_usage": True}}
    for name, value, off in [
        ("max_tokens", work.max_tokens, None),
        ("n", work.choices, 1),
        ("temperature", sampling.temperature, None),
        ("top_p", sampling.top_p, 1),
        ("presence_penalty", sampling.presence_penalty, 0),
        ("frequency_penalty", sampling.frequency_penalty, 0),
        ("seed", sampling.seed, None),
        # OpenAI's own service knows none of these and says so; vLLM and llama-server do.
        ("top_k", sampling.top_k, 0),
        ("min_p", sampling.min_p, 0),
        ("repetition_penalty", sampling.repetition_penalty, 1),
        ("ignore_eos", work.ignore_end, False),
        ("stop", work.stop, []),
        ("logit_bias", {str(token): bias for token, bias in sampling.logit_bias}, {}),
    ]:
        if value != off:
            body[name] = value
    prompt = work.prompt
    if isinstance(prompt, kinds.Prompt_Chat):
        if work.echo:
            raise unsupported("`echo` of a chat")
        body["messages"] = [
            {"role": m.role, "content": m.content} | ({"name": m.name} if m.name else {}) for m in prompt.value
        ]
        path = "chat/completions"
    else:
        body["prompt"] = prompt.value
        if work.echo:
            body["echo"] = True
        path = "completions"
    try:
        return path, json.dumps(body, allow_nan=False).encode()
    except ValueError:
        raise Refusal("invalid", "a number of the request is no number") from None


def unsupported(what):
    return Refusal("unsupported", f"this adapter does not pass on {what}")
