//! Bodies beside what they come to: the parsed request, or the field that is named.

use super::chat::Chat;
use super::completion::Completion;
use super::embedding::{Embeddings, Encoding};
use super::request::Delivery;
use crate::http::error::ApiError;
use crate::protocol::{Generation, Prompt};

const HI: &str = r#""messages":[{"role":"user","content":"hi"}]"#;

fn chat(rest: &str) -> Result<Chat, ApiError> {
    Chat::parse(format!(r#"{{"model":"m",{HI}{rest}}}"#).as_bytes())
}

fn completion(rest: &str) -> Result<Completion, ApiError> {
    Completion::parse(format!(r#"{{"model":"m"{rest}}}"#).as_bytes())
}

fn embeddings(rest: &str) -> Result<Embeddings, ApiError> {
    Embeddings::parse(format!(r#"{{"model":"m"{rest}}}"#).as_bytes())
}

#[track_caller]
fn refused<T: std::fmt::Debug>(found: Result<T, ApiError>, param: &str, part: &str) {
    let error = found.unwrap_err();
    assert_eq!(error.status, 400, "{error}");
    assert_eq!(error.param.as_deref().unwrap_or(""), param, "{error}");
    assert!(error.message.contains(part), "`{part}` is not in: {error}");
}

#[test]
fn numbers_out_of_range_are_named() {
    let check =
        |rest: &str, param: &str, part: &str| refused(chat(&format!(",{rest}")), param, part);
    check(r#""temperature":2.1"#, "temperature", "from 0 to 2");
    check(r#""temperature":-0.1"#, "temperature", "from 0 to 2");
    check(r#""temperature":"hot""#, "temperature", "expected a number");
    check(r#""top_p":1.01"#, "top_p", "from 0 to 1");
    check(r#""min_p":-1"#, "min_p", "from 0 to 1");
    check(r#""top_k":-2"#, "top_k", "-2");
    check(
        r#""presence_penalty":3"#,
        "presence_penalty",
        "from -2 to 2",
    );
    check(
        r#""frequency_penalty":-3"#,
        "frequency_penalty",
        "from -2 to 2",
    );
    check(
        r#""repetition_penalty":0"#,
        "repetition_penalty",
        "it must be",
    );
    check(r#""n":0"#, "n", "from 1 to 128");
    check(r#""n":1000000"#, "n", "from 1 to 128");
    check(r#""n":-1"#, "n", "whole number");
    check(r#""n":1.5"#, "n", "whole number");
    check(r#""max_tokens":0"#, "max_tokens", "from 1");
    check(
        r#""max_completion_tokens":0"#,
        "max_completion_tokens",
        "from 1",
    );
    check(r#""max_tokens":99999999999"#, "max_tokens", "whole number");
    check(r#""seed":1.5"#, "seed", "whole number");
    check(r#""top_logprobs":3"#, "top_logprobs", "`logprobs: true`");
    check(
        r#""logprobs":true,"top_logprobs":21"#,
        "top_logprobs",
        "from 0 to 20",
    );
    check(r#""logprobs":3"#, "logprobs", "boolean");
    check(r#""stream":"yes""#, "stream", "boolean");
    check(
        r#""stream_options":{"include_usage":true}"#,
        "stream_options",
        "stream: true",
    );
    check(r#""stop":["a","b","c","d","e"]"#, "stop", "more than 4");
    check(r#""stop":[""]"#, "stop[0]", "1 to 256 bytes");
    check(r#""stop":[1]"#, "stop[0]", "expected a string");
    check(r#""stop":{}"#, "stop", "text or a list");
    check(r#""logit_bias":{"x":1}"#, "logit_bias", "token ids");
    check(r#""logit_bias":{"5":101}"#, "logit_bias", "-100 to 100");
    check(r#""logit_bias":[]"#, "logit_bias", "token ids");
}

#[test]
fn what_is_not_done_is_said_by_name() {
    let check = |rest: &str, param: &str| refused(chat(&format!(",{rest}")), param, "`");
    check(r#""tools":[{"type":"function"}]"#, "tools");
    check(r#""functions":[{}]"#, "functions");
    check(
        r#""response_format":{"type":"json_schema"}"#,
        "response_format",
    );
    check(
        r#""response_format":{"type":"json_object"}"#,
        "response_format",
    );
    check(
        r#""response_format":{"type":"yaml"}"#,
        "response_format.type",
    );
    check(r#""modalities":["text","audio"]"#, "modalities");
    check(r#""audio":{"voice":"x"}"#, "modalities");
    check(r#""web_search_options":{}"#, "web_search_options");
    refused(completion(r#","suffix":"x""#), "suffix", "not supported");
    refused(completion(r#","best_of":3"#), "best_of", "not supported");
}

#[test]
fn messages_are_checked_one_by_one() {
    let check = |messages: &str, param: &str, part: &str| {
        let body = format!(r#"{{"model":"m","messages":{messages}}}"#);
        refused(Chat::parse(body.as_bytes()), param, part);
    };
    check("[]", "messages", "empty");
    check("{}", "messages", "a list");
    check("[1]", "messages[0]", "object");
    check(r#"[{"content":"x"}]"#, "messages[0]", "role");
    check(r#"[{"role":"user"}]"#, "messages[0].content", "missing");
    check(
        r#"[{"role":"user","content":null}]"#,
        "messages[0].content",
        "missing",
    );
    check(
        r#"[{"role":"user","content":5}]"#,
        "messages[0].content",
        "text or a list",
    );
    check(
        r#"[{"role":"robot","content":"x"}]"#,
        "messages[0].role",
        "must be",
    );
    check(
        r#"[{"role":"user","content":"a"},{"role":"user","content":[{"type":"text","text":"b"},{"type":"image_url","image_url":{"url":"x"}}]}]"#,
        "messages[1].content[1]",
        "`image_url`",
    );
    check(
        r#"[{"role":"user","content":[{"type":"text"}]}]"#,
        "messages[0].content[0]",
        "no text",
    );
    check(
        r#"[{"role":"user","content":[{"text":"x"}]}]"#,
        "messages[0].content[0]",
        "type",
    );
    check(
        r#"[{"role":"assistant","tool_calls":[{}]}]"#,
        "messages[0].tool_calls",
        "tools",
    );
    let many = format!(
        "[{}]",
        vec![r#"{"role":"user","content":""}"#; 8_193].join(",")
    );
    check(&many, "messages", "more than 8192");
}

#[test]
fn a_chat_takes_every_documented_field() {
    let chat = Chat::parse(
        br#"{"model":"m","messages":[
            {"role":"developer","content":"be brief"},
            {"role":"user","name":"ann","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
            {"role":"assistant","content":null,"refusal":null},
            {"role":"tool","content":"42","tool_call_id":"x"}],
        "frequency_penalty":0.5,"presence_penalty":-1,"repetition_penalty":1.1,"temperature":0,
        "top_p":0.9,"min_p":0.05,"top_k":40,"seed":-1,"logit_bias":{"7":-100},"stop":"END",
        "max_tokens":5,"max_completion_tokens":9,"n":2,"stream":true,
        "stream_options":{"include_usage":true,"other":1},"logprobs":true,"top_logprobs":4,
        "response_format":{"type":"text"},"tools":[],"tool_choice":"none","parallel_tool_calls":true,
        "user":"u","metadata":{"a":"b"},"store":false,"service_tier":"auto","modalities":["text"],
        "reasoning_effort":"low","prediction":null,"never_heard_of":{"deep":[1,[2]]},"ignore_eos":true}"#,
    )
    .unwrap();
    let Generation {
        prompt,
        sampling,
        max_tokens,
        stop,
        ignore_end,
        choices,
        logprobs,
        echo,
        continued,
    } = chat.generation;
    let Prompt::Chat(messages) = prompt else {
        panic!()
    };
    let seen: Vec<_> = messages
        .iter()
        .map(|m| (m.role.as_str(), m.content.as_str()))
        .collect();
    let expect = [
        ("system", "be brief"),
        ("user", "ab"),
        ("assistant", ""),
        ("tool", "42"),
    ];
    assert_eq!(seen, expect);
    assert_eq!(messages[1].name.as_deref(), Some("ann"));
    assert_eq!(sampling.logit_bias, [(7, -100.0)]);
    assert_eq!(
        (sampling.temperature, sampling.top_k, sampling.seed),
        (0.0, 40, Some(u64::MAX))
    );
    assert_eq!(
        (sampling.top_p, sampling.min_p, sampling.repetition_penalty),
        (0.9, 0.05, 1.1)
    );
    assert_eq!(
        (sampling.presence_penalty, sampling.frequency_penalty),
        (-1.0, 0.5)
    );
    assert_eq!(
        (max_tokens, stop, ignore_end),
        (Some(9), vec!["END".to_owned()], true)
    );
    assert_eq!((choices, logprobs, echo), (2, Some(4), false));
    assert_eq!(continued, []);
    assert_eq!(chat.delivery, Delivery::Stream { usage: true });
}

#[test]
fn nulls_are_defaults() {
    let null = |name: &str| format!(r#","{name}":null"#);
    let fields = [
        "temperature",
        "top_p",
        "n",
        "stop",
        "max_tokens",
        "logit_bias",
        "seed",
        "stream",
        "stream_options",
        "logprobs",
        "top_logprobs",
        "response_format",
        "tools",
        "user",
    ];
    let rest: String = fields.iter().map(|name| null(name)).collect();
    let chat = chat(&rest).unwrap();
    assert_eq!(chat.generation.sampling.temperature, 1.0);
    assert_eq!(
        (chat.generation.choices, chat.generation.max_tokens),
        (1, None)
    );
    assert_eq!(chat.delivery, Delivery::Whole);
}

#[test]
fn prompts_come_in_four_forms() {
    let check = |rest: &str, expect: &[Prompt]| {
        let found = completion(rest).unwrap();
        let prompts: Vec<_> = found
            .generations
            .into_iter()
            .map(|one| one.prompt)
            .collect();
        assert_eq!(prompts, expect, "{rest}");
    };
    let text = |text: &str| Prompt::Text(text.into());
    check("", &[text("")]);
    check(r#","prompt":"a""#, &[text("a")]);
    check(r#","prompt":["a","b"]"#, &[text("a"), text("b")]);
    check(r#","prompt":[1,2]"#, &[Prompt::Tokens(vec![1, 2])]);
    check(
        r#","prompt":[[1],[2,3]]"#,
        &[Prompt::Tokens(vec![1]), Prompt::Tokens(vec![2, 3])],
    );

    refused(completion(r#","prompt":[]"#), "prompt", "1 to 128");
    refused(completion(r#","prompt":["a",1]"#), "prompt[1]", "string");
    refused(
        completion(r#","prompt":[1,"a"]"#),
        "prompt[1]",
        "whole number",
    );
    refused(
        completion(r#","prompt":[1,-1]"#),
        "prompt[1]",
        "whole number",
    );
    refused(
        completion(r#","prompt":[4294967296]"#),
        "prompt[0]",
        "vocabulary",
    );
    refused(completion(r#","prompt":{"a":1}"#), "prompt", "list of");
    refused(
        completion(r#","prompt":["a","b"],"n":100"#),
        "n",
        "more than 128",
    );
    refused(completion(r#","logprobs":1025"#), "logprobs", "0 to 1024");
    refused(completion(r#","max_tokens":0"#), "max_tokens", "echo");
    let echo = completion(r#","max_tokens":0,"echo":true,"logprobs":0"#).unwrap();
    assert_eq!(echo.generations[0].max_tokens, Some(0));
    assert_eq!(echo.generations[0].logprobs, Some(0));
    assert_eq!(completion("").unwrap().generations[0].max_tokens, Some(16));
}

#[test]
fn embeddings_are_checked() {
    let found =
        embeddings(r#","input":["a","b"],"encoding_format":"base64","dimensions":4"#).unwrap();
    assert_eq!(
        (found.inputs.len(), found.encoding, found.dimensions),
        (2, Encoding::Base64, Some(4))
    );
    assert_eq!(
        embeddings(r#","input":[1]"#).unwrap().inputs,
        [Prompt::Tokens(vec![1])]
    );
    refused(embeddings(""), "input", "missing field");
    refused(embeddings(r#","input":"""#), "input[0]", "empty");
    refused(embeddings(r#","input":["a",""]"#), "input[1]", "empty");
    refused(embeddings(r#","input":[]"#), "input", "1 to 2048");
    refused(
        embeddings(r#","input":"a","encoding_format":"hex""#),
        "encoding_format",
        "base64",
    );
}

#[test]
fn what_is_no_json_says_where() {
    let check =
        |body: &str, param: &str, part: &str| refused(Chat::parse(body.as_bytes()), param, part);
    check("", "", "empty");
    check("{", "", "line 1 column 1");
    check("{\"model\":\"m\",}", "", "line 1 column 14");
    check("[]", "", "object");
    check("{}", "messages", "missing field");
    check(
        r#"{"messages":[{"role":"user","content":"x"}]}"#,
        "model",
        "missing field",
    );
    check(
        r#"{"model":"","messages":[{"role":"user","content":"x"}]}"#,
        "model",
        "empty",
    );
    check(r#"{"model":5}"#, "model", "string");
    check(r#"{"model":"m","model":"m"}"#, "model", "duplicate field");
    check(r#"{"model":"\ud800"}"#, "", "hex escape");
    check(r#"{"model":"m","temperature":1e400}"#, "", "out of range");
    check(&"[".repeat(100_000), "", "object");
    check(
        r#"{"model":"m","messages":[["user","hi"]]}"#,
        "messages[0]",
        "expected an object",
    );
    let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    check(&deep, "messages", "missing field");
    let keys: String = (0..100_000).map(|i| format!(r#""k{i}":{i},"#)).collect();
    assert!(Chat::parse(format!(r#"{{{keys}"model":"m",{HI}}}"#).as_bytes()).is_ok());
}
