//! What is asked and what answers mean, tried with the texts that servers send and with damaged ones.

use serde_json::{Value, json};
use skep_sdk::http::{HttpError, Lines};
use skep_sdk::upstream::{
    Abilities, Error, Event, Finish, Generation, Message, Prompt, Sampling, Usage,
};

use crate::answer::{Answer, cut_off};
use crate::config::{Wishes, keep_alive};
use crate::pull::News;
use crate::{ask, embed, models, pull, refusal};

fn generation() -> Generation {
    Generation {
        prompt: Prompt::Chat(vec![Message {
            role: "user".to_owned(),
            content: "hello".to_owned(),
            name: Some("left out".to_owned()),
        }]),
        sampling: Sampling {
            logit_bias: Vec::new(),
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            temperature: 0.1,
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

fn asked(work: &Generation, wishes: &Wishes) -> (&'static str, Value) {
    let ask = ask::generation("m", work, wishes).unwrap();
    (ask.path, serde_json::from_slice(&ask.json).unwrap())
}

#[test]
fn sampling_is_always_said() {
    let (path, body) = asked(&generation(), &Wishes::default());
    assert_eq!(path, "api/chat");
    // Numbers of single precision are written as they were meant.
    let text = ask::generation("m", &generation(), &Wishes::default()).unwrap();
    assert!(String::from_utf8_lossy(&text.json).contains("\"temperature\":0.1,"));
    assert_eq!(
        body["messages"],
        json!([{"role": "user", "content": "hello"}])
    );
    assert_eq!(body["options"]["top_k"], 0);
    assert_eq!(body["options"]["repeat_penalty"], 1.0);
    for absent in ["seed", "num_predict", "stop", "num_ctx"] {
        assert!(body["options"].get(absent).is_none(), "{absent}");
    }
    assert!(body.get("keep_alive").is_none());
}

#[test]
fn everything_that_is_said_is_passed_on() {
    let mut work = generation();
    work.prompt = Prompt::Text("once".to_owned());
    work.max_tokens = Some(9);
    work.stop = vec!["END".to_owned()];
    work.logprobs = Some(3);
    work.sampling.seed = Some(5);
    work.sampling.top_k = 40;
    let wishes = Wishes {
        context_tokens: Some(8192),
        keep_alive: Some(keep_alive("-1")),
    };
    let (path, body) = asked(&work, &wishes);
    assert_eq!(path, "api/generate");
    assert_eq!(
        (&body["prompt"], &body["raw"]),
        (&json!("once"), &json!(true))
    );
    let options = &body["options"];
    assert_eq!(
        (&options["num_predict"], &options["num_ctx"]),
        (&json!(9), &json!(8192))
    );
    assert_eq!(
        (&options["seed"], &options["top_k"]),
        (&json!(5), &json!(40))
    );
    assert_eq!(options["stop"], json!(["END"]));
    assert_eq!(body["keep_alive"], -1);
    assert_eq!(keep_alive("5m"), json!("5m"));
    assert_eq!(
        (&body["logprobs"], &body["top_logprobs"]),
        (&json!(true), &json!(3))
    );
}

#[test]
fn what_it_has_no_word_for_is_refused() {
    let refused = |change: fn(&mut Generation)| {
        let mut work = generation();
        change(&mut work);
        ask::generation("m", &work, &Wishes::default()).unwrap_err()
    };
    let unsupported: [fn(&mut Generation); 5] = [
        |work| work.choices = 2,
        |work| work.echo = true,
        |work| work.ignore_end = true,
        |work| work.sampling.logit_bias = vec![(1, 1.0)],
        |work| work.prompt = Prompt::Tokens(vec![1]),
    ];
    for change in unsupported {
        assert!(matches!(refused(change), Error::Unsupported(_)));
    }
    assert!(matches!(
        refused(|work| work.sampling.top_p = f32::INFINITY),
        Error::Invalid(_)
    ));
    assert!(ask::embedding("m", &[Prompt::Tokens(vec![1])], &Wishes::default()).is_err());
}

const STREAM: &str = concat!(
    "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"hm\"},\"done\":false}\n",
    "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"gr\u{fc}\u{df}\"},\"done\":false}\r\n\n",
    "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\" dich\"},\"done\":false,\"new\":{}}\n",
    "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"length\",",
    "\"total_duration\":5,\"prompt_eval_count\":11,\"eval_count\":2}\n",
    "not even json\n",
);

/// Everything that comes of a stream, read in two pieces split at `at`.
fn read(stream: &str, at: usize) -> Result<(String, Option<Finish>, Usage), Error> {
    let mut answer = Answer::new(1, false);
    let (mut text, mut finish) = (String::new(), None);
    let mut lines = Lines::new(1024);
    let (first, second) = stream.as_bytes().split_at(at);
    for piece in [first, second] {
        lines.push(piece);
        while let Some(line) = lines.pop()? {
            match answer.take(&line)? {
                Some(Event::Gained(gain)) => {
                    text.push_str(&gain.text);
                    finish = finish.or(gain.finish);
                }
                Some(other) => panic!("{other:?}"),
                None => {}
            }
        }
    }
    match answer.done().ok_or_else(cut_off)? {
        Event::Done((1, usage)) => Ok((text, finish, usage)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stream_is_the_same_however_it_is_split() {
    for at in 0..=STREAM.len() {
        let (text, finish, usage) = read(STREAM, at).unwrap();
        assert_eq!(
            (text.as_str(), finish),
            ("grüß dich", Some(Finish::Length)),
            "{at}"
        );
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (11, 2));
    }
}

#[test]
fn a_stream_that_is_cut_anywhere_before_its_end_fails() {
    let whole = STREAM.find("not even").unwrap();
    for at in (0..=STREAM.len()).filter(|&at| STREAM.is_char_boundary(at)) {
        assert_eq!(read(&STREAM[..at], 0).is_ok(), at >= whole, "{at}");
    }
}

#[test]
fn errors_and_nonsense_inside_of_a_stream_are_told() {
    let fails = |line: &str| read(&format!("{line}\n"), 0).unwrap_err();
    assert!(matches!(fails("{\"done\":\"yes\"}"), Error::Malformed(_)));
    assert!(matches!(fails("<html>"), Error::Malformed(_)));
    assert!(
        matches!(fails("{\"error\":\"out of\\u001b memory\"}"), Error::Other(text) if text.contains("out of  memory"))
    );
    let long = format!("{{\"response\":\"{}\"}}", "x".repeat(1024));
    assert!(matches!(fails(&long), Error::Malformed(_)));
    assert!(Error::from(HttpError::TooLong(7)).text().contains('7'));
}

#[test]
fn logprobs_that_were_asked_for_come_or_are_refused() {
    let line =
        |logprobs: &str| format!("{{\"response\":\"a\",\"done\":true{logprobs}}}").into_bytes();
    let refused = Answer::new(1, true).take(&line("")).unwrap_err();
    assert!(matches!(refused, Error::Unsupported(_)));
    let with = ",\"logprobs\":[{\"token\":\"a\",\"logprob\":-0.5,\"bytes\":[97],\
        \"top_logprobs\":[{\"token\":\"b\",\"logprob\":-1}]}]";
    match Answer::new(1, true).take(&line(with)).unwrap() {
        Some(Event::Gained(gain)) => {
            assert_eq!(gain.logprobs[0].chosen.bytes, b"a");
            assert_eq!(gain.logprobs[0].alternatives[0].bytes, b"b");
            assert_eq!(gain.finish, Some(Finish::Stop));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn refusals_say_what_is_wrong_and_whose_it_is() {
    let refused = |status, body: &str| refusal::refusal(status, None, body.as_bytes(), None);
    assert!(
        matches!(refused(404, "{\"error\":\"model 'm' not found\"}"), Error::Invalid(invalid) if invalid.field.as_deref() == Some("model"))
    );
    assert!(matches!(
        refused(404, "404 page not found"),
        Error::Unsupported(_)
    ));
    assert!(matches!(
        refused(503, "{\"error\":\"server busy, please try again\"}"),
        Error::Exhausted(_)
    ));
    assert!(matches!(
        refused(
            400,
            "{\"error\":\"the input length exceeds the context length\"}"
        ),
        Error::TooLong(_)
    ));
    assert!(matches!(
        refused(400, "{\"error\":\"\\\"m\\\" does not support chat\"}"),
        Error::Unsupported(_)
    ));
    let object = refused(501, "{\"error\":{\"message\":\"no pulling\",\"code\":501}}");
    assert!(matches!(object, Error::Unsupported(text) if text.ends_with(": no pulling")));
    assert!(matches!(refused(401, ""), Error::Denied(_)));
    assert!(matches!(refused(500, ""), Error::Other(_)));
}

#[test]
fn a_pull_tells_how_far_it_is() {
    let line =
        b"{\"status\":\"pulling abc\",\"digest\":\"sha256:abc\",\"total\":100,\"completed\":7}";
    match pull::read(line).unwrap() {
        Some(News::Progress(progress)) => {
            assert_eq!(progress.what, "pulling abc");
            assert_eq!((progress.done_bytes, progress.total_bytes), (7, Some(100)));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        pull::read(b"{\"status\":\"success\"}"),
        Ok(Some(News::There))
    ));
    assert!(matches!(pull::read(b"  "), Ok(None)));
    let unknown = pull::read(b"{\"error\":\"pull model manifest: file does not exist\"}");
    assert!(matches!(unknown, Err(Error::Invalid(_))));
    assert!(matches!(
        pull::read(b"{\"error\":\"no space\"}"),
        Err(Error::Other(_))
    ));
    assert!(matches!(pull::read(b"{"), Err(Error::Malformed(_))));
}

#[test]
fn lists_of_models_and_vectors_are_read() {
    let list = b"{\"models\":[{\"name\":\"llama3:8b\",\"model\":\"llama3:8b\",\"size\":1},{\"model\":\"x\"},{}]}";
    assert_eq!(models::read(list).unwrap(), ["llama3:8b", "x"]);
    assert!(models::read(b"{\"models\":null}").is_err());

    let shown = |more: &str| {
        let body = format!(
            "{{\"details\":{{\"family\":\"llama\",\"quantization_level\":\"Q4_0\"}}{more},\
            \"model_info\":{{\"general.architecture\":\"llama\",\"general.parameter_count\":8030261312,\
            \"llama.context_length\":8192,\"llama.embedding_length\":4096,\"tokenizer.ggml.tokens\":null}}}}"
        );
        models::shown(body.as_bytes(), None).unwrap()
    };
    let info = shown(",\"capabilities\":[\"completion\",\"tools\"]");
    assert_eq!(
        (info.parameters, info.context_tokens),
        (8_030_261_312, 8192)
    );
    assert_eq!(
        (info.architecture.as_str(), info.quantisation.as_str()),
        ("llama", "Q4_0")
    );
    assert_eq!(info.abilities & Abilities::CHAT, Abilities::CHAT);
    let info = shown(
        ",\"capabilities\":[\"embedding\"],\"parameters\":\"stop   \\\"x\\\"\\nnum_ctx   512\"",
    );
    assert_eq!(
        (info.abilities, info.context_tokens),
        (Abilities::EMBED, 512)
    );
    assert_eq!(models::shown(b"{}", Some(5)).unwrap().context_tokens, 5);

    let two = b"{\"embeddings\":[[1],[2.5]],\"prompt_eval_count\":3}";
    assert_eq!(
        embed::read(two, 2).unwrap(),
        (vec![vec![1.0], vec![2.5]], 3)
    );
    assert!(embed::read(two, 3).is_err());
    assert!(embed::read(b"{\"embeddings\":[[]]}", 1).is_err());
}
