//! What is asked and what answers mean, tried with the texts that services send and with damaged ones.

use std::collections::VecDeque;

use serde_json::{Value, json};
use skep_sdk::http::Events;
use skep_sdk::upstream::{
    Error, Event, Finish, Generation, Message, Prompt, Sampling, TokenLogprob, Usage,
};

use crate::answer::Answer;
use crate::config::{Dialect, dialect};
use crate::refusal::{Asked, Refusal};
use crate::{ask, embed, models};

fn generation() -> Generation {
    Generation {
        prompt: Prompt::Chat(vec![Message {
            role: "user".to_owned(),
            content: "hello \"you\"".to_owned(),
            name: None,
        }]),
        sampling: Sampling {
            logit_bias: Vec::new(),
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            seed: None,
            entropy: 7,
        },
        max_tokens: None,
        stop: Vec::new(),
        ignore_end: false,
        choices: 1,
        logprobs: None,
        echo: false,
        continued: Vec::new(),
    }
}

fn asked(work: &Generation, dialect: Dialect) -> (&'static str, Value) {
    let ask = ask::generation("m", work, dialect).unwrap();
    (ask.path, serde_json::from_slice(&ask.json).unwrap())
}

#[test]
fn what_is_off_is_not_said() {
    let (path, body) = asked(&generation(), Dialect::OpenAi);
    assert_eq!(path, "chat/completions");
    assert_eq!(
        body,
        json!({"model": "m", "stream": true, "stream_options": {"include_usage": true},
            "messages": [{"role": "user", "content": "hello \"you\""}]})
    );
}

#[test]
fn everything_that_is_said_is_passed_on() {
    let mut work = generation();
    work.max_tokens = Some(9);
    work.stop = vec!["END".to_owned()];
    work.choices = 2;
    work.logprobs = Some(3);
    work.sampling.temperature = 0.1;
    work.sampling.top_p = 0.9;
    work.sampling.presence_penalty = 0.5;
    work.sampling.frequency_penalty = -0.5;
    work.sampling.seed = Some(u64::MAX);
    work.sampling.logit_bias = vec![(5, -100.0)];
    let (_, body) = asked(&work, Dialect::OpenAi);
    let text = String::from_utf8(ask::generation("m", &work, Dialect::OpenAi).unwrap().json);
    assert!(text.unwrap().contains("\"temperature\":0.1,"));
    assert_eq!(body["max_completion_tokens"], 9);
    assert_eq!(body["stop"], json!(["END"]));
    assert_eq!((&body["n"], &body["seed"]), (&json!(2), &json!(-1)));
    assert_eq!(body["logprobs"], true);
    assert_eq!(body["top_logprobs"], 3);
    assert_eq!(body["logit_bias"], json!({"5": -100.0}));

    work.sampling.top_k = 40;
    let refused = ask::generation("m", &work, Dialect::OpenAi).unwrap_err();
    assert!(
        matches!(&refused, Error::Unsupported(text) if text.contains("top_k")),
        "{refused:?}"
    );
    work.sampling.min_p = 0.25;
    work.sampling.repetition_penalty = 1.5;
    work.ignore_end = true;
    work.prompt = Prompt::Tokens(vec![1, 2]);
    work.echo = true;
    let (path, body) = asked(&work, Dialect::Extended);
    assert_eq!(path, "completions");
    assert_eq!(
        (&body["max_tokens"], &body["top_k"]),
        (&json!(9), &json!(40))
    );
    assert_eq!(body["prompt"], json!([1, 2]));
    assert_eq!(
        (&body["logprobs"], &body["echo"]),
        (&json!(3), &json!(true))
    );
    assert_eq!(body["repeat_penalty"], body["repetition_penalty"]);
    assert_eq!(body["ignore_eos"], true);
}

#[test]
fn what_services_cannot_do_is_refused() {
    let mut work = generation();
    work.echo = true;
    assert!(ask::generation("m", &work, Dialect::Extended).is_err());
    work.echo = false;
    work.sampling.temperature = f32::NAN;
    assert!(matches!(
        ask::generation("m", &work, Dialect::Extended),
        Err(Error::Invalid(_))
    ));
    let chat = generation().prompt;
    assert!(ask::embedding("m", &[chat]).is_err());
    let two = [Prompt::Text("a".to_owned()), Prompt::Tokens(vec![3])];
    let body: Value = serde_json::from_slice(&ask::embedding("m", &two).unwrap().json).unwrap();
    assert_eq!(body["input"], json!(["a", [3]]));
}

#[test]
fn the_dialect_follows_the_host() {
    for (url, expected) in [
        ("https://api.openai.com/v1", Dialect::OpenAi),
        ("https://API.OpenAI.com:443", Dialect::OpenAi),
        ("https://x.openai.azure.com/openai/v1", Dialect::OpenAi),
        ("https://notopenai.com/v1", Dialect::Extended),
        ("http://127.0.0.1:8080/openai.com", Dialect::Extended),
    ] {
        assert_eq!(dialect(None, url).unwrap(), expected, "{url}");
    }
    assert!(dialect(Some("french"), "").is_err());
}

/// Everything that comes of a stream, read in two pieces split at `at`.
fn read(stream: &str, at: usize, choices: u32) -> Result<Vec<Event>, Error> {
    let mut answer = Answer::new(1, choices);
    let mut events = VecDeque::new();
    let mut parser = Events::new(4096);
    let (first, second) = stream.as_bytes().split_at(at);
    for piece in [first, second] {
        parser.push(piece);
        while let Some(event) = parser.pop()? {
            answer.take(&event.data, &mut events)?;
        }
    }
    answer.end(&mut events)?;
    Ok(events.into())
}

/// Text, ends and usage of what came.
fn told(events: &[Event]) -> (String, Vec<Finish>, Option<Usage>) {
    let (mut text, mut ends, mut used) = (String::new(), Vec::new(), None);
    for event in events {
        match event {
            Event::Gained(gain) => {
                text.push_str(&gain.text);
                ends.extend(gain.finish);
            }
            Event::Done((1, usage)) => used = Some(*usage),
            other => panic!("{other:?}"),
        }
    }
    (text, ends, used)
}

const STREAM: &str = concat!(
    ": keep-alive\n\n",
    "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":null},\"finish_reason\":null}],\"usage\":null}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"gr\u{fc}\u{df}\"},\"finish_reason\":null}]}\r\n\r\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\" dich\"},\"finish_reason\":null,\"new\":[1]}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":2,\"total_tokens\":13,\"prompt_tokens_details\":{\"cached_tokens\":4}}}\n\n",
    "data: [DONE]\n\n",
    "data: not even json\n\n",
);

#[test]
fn a_stream_is_the_same_however_it_is_split() {
    let expected = read(STREAM, 0, 1).unwrap();
    let (text, ends, used) = told(&expected);
    assert_eq!(text, "grüß dich");
    assert_eq!(ends, [Finish::Length]);
    let used = used.unwrap();
    assert_eq!(
        (
            used.prompt_tokens,
            used.cached_tokens,
            used.completion_tokens
        ),
        (11, 4, 2)
    );
    for at in 0..STREAM.len() {
        assert_eq!(told(&read(STREAM, at, 1).unwrap()).0, text, "{at}");
    }
}

#[test]
fn a_stream_that_is_cut_anywhere_before_its_end_fails() {
    let last = STREAM.find("\"length\"").unwrap();
    // From there on the event of the end is whole.
    let whole = last + STREAM[last..].find("\n\n").unwrap() + 2;
    for at in 0..STREAM.len() {
        if !STREAM.is_char_boundary(at) {
            continue;
        }
        let outcome = read(&STREAM[..at], 0, 1);
        assert_eq!(outcome.is_ok(), at >= whole, "{at}");
        if let Err(error) = outcome {
            assert!(error.text().contains("not all of it"), "{error:?}");
        }
    }
}

#[test]
fn every_choice_has_its_end() {
    let stream = |second: &str| {
        format!(
            "data: {{\"choices\":[{{\"index\":1,\"text\":\"b\",\"finish_reason\":\"stop\"}}]}}\n\n\
             data: {{\"choices\":[{{\"index\":0,\"text\":\"a\",\"finish_reason\":{second}}}]}}\n\ndata: [DONE]\n\n"
        )
    };
    assert_eq!(told(&read(&stream("\"stop\""), 0, 2).unwrap()).1.len(), 2);
    assert!(read(&stream("null"), 0, 2).is_err());
    assert!(matches!(
        read(&stream("\"stop\""), 0, 1),
        Err(Error::Malformed(_))
    ));
    let filtered = read(&stream("\"content_filter\""), 0, 2).unwrap_err();
    assert!(filtered.text().contains("withheld"));
}

#[test]
fn errors_and_nonsense_inside_of_a_stream_are_told() {
    let fails = |data: &str| read(&format!("data: {data}\n\n"), 0, 1).unwrap_err();
    assert!(matches!(fails("{\"choices\":3}"), Error::Malformed(_)));
    assert!(matches!(fails("<html>"), Error::Malformed(_)));
    let limited = fails("{\"error\":{\"message\":\"slow down\",\"type\":\"rate_limit_error\"}}");
    assert!(matches!(limited, Error::Exhausted(text) if text.contains("slow down")));
    let code = fails("{\"error\":{\"message\":\"bad seed\",\"code\":400,\"param\":\"seed\"}}");
    assert!(matches!(code, Error::Invalid(invalid) if invalid.field.as_deref() == Some("seed")));
    let other = fails("{\"error\":\"out of memory\"}");
    assert!(matches!(other, Error::Other(text) if text.contains("out of memory")));
}

#[test]
fn an_answer_that_comes_whole_is_read_as_well() {
    let body = "{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"hi\"},\"finish_reason\":\"stop\"}],\
        \"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}";
    let mut events = VecDeque::new();
    let mut answer = Answer::new(1, 1);
    answer.take(body, &mut events).unwrap();
    answer.end(&mut events).unwrap();
    assert_eq!(told(events.make_contiguous()).0, "hi");
}

#[test]
fn logprobs_are_read_in_both_shapes() {
    let of = |logprobs: &str| -> Vec<TokenLogprob> {
        let data = format!(
            "{{\"choices\":[{{\"text\":\"a\",\"finish_reason\":\"stop\",\"logprobs\":{logprobs}}}]}}"
        );
        let mut events = VecDeque::new();
        Answer::new(1, 1).take(&data, &mut events).unwrap();
        match events.pop_front() {
            Some(Event::Gained(gain)) => gain.logprobs,
            other => panic!("{other:?}"),
        }
    };
    let new = of(
        "{\"content\":[{\"token\":\"a\",\"logprob\":-0.5,\"bytes\":[97],\"id\":4,\
        \"top_logprobs\":[{\"token\":\"b\",\"logprob\":-1.5,\"bytes\":null}]}]}",
    );
    assert_eq!((new[0].chosen.token, new[0].chosen.logprob), (4, -0.5));
    assert_eq!(new[0].alternatives[0].bytes, b"b");
    assert_eq!(new[0].alternatives[0].token, u32::MAX);
    let old = of(
        "{\"tokens\":[\"x\",\"a\"],\"token_logprobs\":[null,-0.5],\"text_offset\":[0,1],\
        \"top_logprobs\":[null,{\"c\":-3.0,\"b\":-1.5}]}",
    );
    assert_eq!((old[0].predicted, old[1].predicted), (false, true));
    assert_eq!(old[1].alternatives[0].bytes, b"b");
    assert!(of("null").is_empty());
}

fn refused(status: u16, body: &str) -> Error {
    Refusal::read(status, body.as_bytes())
        .after((status == 429).then_some(30))
        .into_error(Asked {
            model: Some("m"),
            key: Some("mine"),
        })
}

#[test]
fn refusals_say_what_is_wrong_and_whose_it_is() {
    let said = "{\"error\":{\"message\":\"too hot\",\"type\":\"invalid_request_error\",\"param\":\"temperature\",\"code\":null}}";
    match refused(400, said) {
        Error::Invalid(invalid) => {
            assert_eq!(invalid.field.as_deref(), Some("temperature"));
            assert!(invalid.message.contains("too hot"));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(refused(401, said), Error::Denied(text) if text.contains("`mine`")));
    assert!(
        matches!(refused(404, said), Error::Invalid(invalid) if invalid.field.as_deref() == Some("model"))
    );
    assert!(
        matches!(refused(404, "<html>nginx"), Error::Unsupported(text) if text.contains("base-url"))
    );
    assert!(matches!(refused(429, said), Error::Exhausted(text) if text.contains("30 s")));
    assert!(matches!(refused(408, ""), Error::Exhausted(_)));
    assert!(
        matches!(refused(500, "\u{1b}[31mboom"), Error::Other(text) if !text.contains('\u{1b}'))
    );
    assert!(
        matches!(refused(302, ""), Error::Invalid(invalid) if invalid.field.as_deref() == Some("base-url"))
    );
    for long in [
        "{\"error\":{\"message\":\"m\",\"code\":\"context_length_exceeded\",\"param\":\"messages\"}}",
        "{\"error\":{\"message\":\"m\",\"type\":\"exceed_context_size_error\",\"n_ctx\":3}}",
        "{\"object\":\"error\",\"message\":\"This model's maximum context length is 5\",\"code\":400}",
    ] {
        assert!(matches!(refused(400, long), Error::TooLong(_)), "{long}");
    }
    for odd in [
        "",
        "[]",
        "{}",
        "{\"error\":null}",
        "{\"error\":[]}",
        "{\"error\":{\"message\":7}}",
        "{\"detail\":\"x\"}",
        "\u{fffd}",
    ] {
        assert!(matches!(refused(400, odd), Error::Invalid(_)), "{odd}");
    }
}

#[test]
fn lists_of_models_and_vectors_are_read() {
    let list = "{\"object\":\"list\",\"data\":[{\"id\":\"gpt\",\"owned_by\":\"x\"},{\"id\":\"v\",\"max_model_len\":4096},\
        {\"id\":\"l\",\"meta\":{\"n_vocab\":9,\"n_ctx_train\":64,\"n_embd\":8,\"n_params\":12}}]}";
    let offers = models::read(list.as_bytes()).unwrap();
    assert!(offers[0].info.is_none());
    assert_eq!(offers[1].info.as_ref().unwrap().context_tokens, 4096);
    assert_eq!(offers[2].info.as_ref().unwrap().embedding_width, 8);
    assert!(models::read(b"{\"data\":{}}").is_err());

    let two = b"{\"data\":[{\"index\":1,\"embedding\":[2.0]},{\"index\":0,\"embedding\":[1]}],\"usage\":{\"prompt_tokens\":3}}";
    let (vectors, usage) = embed::read(two, 2).unwrap();
    assert_eq!(vectors, [[1.0], [2.0]]);
    assert_eq!(usage.prompt_tokens, 3);
    assert!(embed::read(two, 1).is_err());
    assert!(embed::read(two, 3).is_err());
    let twice = b"{\"data\":[{\"index\":1,\"embedding\":[2.0]},{\"index\":1,\"embedding\":[1]}]}";
    assert!(embed::read(twice, 2).is_err());
}
