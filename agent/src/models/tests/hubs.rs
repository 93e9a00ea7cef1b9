//! Pulls from a hub, and hubs that misbehave.

use std::io::Write as _;
use std::net::TcpStream;

use super::server::{Request, Server, send, serve};
use super::*;

/// A repository's files: path, and whether its digest is told.
type Files = &'static [(&'static str, bool)];

const FILE_BYTES: usize = 20_000;

/// A hub with one repository, `owner/Model-GGUF`.
fn hub(files: Files) -> Server {
    Server::start(move |request, stream| answer(files, request, stream))
}

fn answer(files: Files, request: &Request, stream: &mut TcpStream) {
    let file = gguf(FILE_BYTES);
    if request.path == "/api/models/owner/Model-GGUF/tree/main?recursive=true" {
        let list = files.iter().map(|(path, told)| match told {
            true => serde_json::json!({
                "type": "file", "oid": "00", "size": FILE_BYTES, "path": path,
                "lfs": {"oid": Digest::of(&file).to_string().trim_start_matches("sha256:"), "size": FILE_BYTES, "pointerSize": 134},
            }),
            false => serde_json::json!({"type": "file", "oid": "00", "size": 7, "path": path}),
        });
        let folder =
            serde_json::json!({"type": "directory", "oid": "00", "size": 0, "path": "old"});
        let list: Vec<_> = list.chain([folder]).collect();
        let text = serde_json::to_string(&list).unwrap();
        return send(
            stream,
            format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
                text.len()
            ),
        );
    }
    let path = request.path.strip_prefix("/owner/Model-GGUF/resolve/main/");
    match path.filter(|path| files.iter().any(|(name, _)| name == path)) {
        Some(_) => serve(request, stream, &file, "ETag: \"one\"\r\n"),
        None => send(
            stream,
            "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n",
        ),
    }
}

fn ask(server: &Server, source: &str) -> Result<String, PullError> {
    let place = Place::new();
    let mut wish = pull(source);
    wish.name = wish.source.default_name()?;
    wish.hub = server.url("/").parse().unwrap();
    let model = wish.run(&place.catalogue, &Cancel::default(), &mut |_| {})?;
    let asked = server.requests();
    let path = asked.last().unwrap().path.rsplit('/').next().unwrap();
    assert_eq!(std::fs::read(model.path()).unwrap(), gguf(FILE_BYTES));
    Ok(format!("{path} as {}", model.name()))
}

#[test]
fn the_file_that_is_meant_is_found() {
    let server = hub(&[
        ("README.md", false),
        ("Model-Q8_0.gguf", true),
        ("model-q4_k_m.gguf", true),
        ("mmproj-Model-F16.gguf", true),
        ("Q6_K/Model-Q6_K-00001-of-00002.gguf", true),
        ("Q6_K/Model-Q6_K-00002-of-00002.gguf", true),
        ("Model-F16.gguf", false),
    ]);
    for (source, got) in [
        ("hf:owner/Model-GGUF", "model-q4_k_m.gguf as Model"),
        ("hf:owner/Model-GGUF:q8_0", "Model-Q8_0.gguf as Model-q8_0"),
        ("hf.co/owner/Model-GGUF:F16", "Model-F16.gguf as Model-F16"),
        (
            "hf:owner/Model-GGUF/Model-Q8_0.gguf",
            "Model-Q8_0.gguf as Model-Q8_0",
        ),
        (
            "https://huggingface.co/owner/Model-GGUF",
            "model-q4_k_m.gguf as Model",
        ),
        (
            "https://huggingface.co/owner/Model-GGUF/blob/main/Model-F16.gguf",
            "Model-F16.gguf as Model-F16",
        ),
    ] {
        assert_eq!(ask(&server, source).unwrap(), got, "{source}");
    }
    for (source, code, word) in [
        (
            "hf:owner/Model-GGUF:Q2_K",
            "file_not_found",
            "Model-Q8_0.gguf",
        ),
        (
            "hf:owner/Model-GGUF:Q6_K",
            "file_not_found",
            "several parts",
        ),
        (
            "hf:owner/Model-GGUF/None.gguf",
            "file_not_found",
            "None.gguf",
        ),
        ("hf:owner/Other", "repository_not_found", "owner/Other"),
    ] {
        let error = ask(&server, source).unwrap_err();
        assert_eq!(error.code(), code, "{source}: {error}");
        assert!(error.to_string().contains(word), "{source}: {error}");
        assert!(error.hint().is_some(), "{source}: {error}");
    }
}

#[test]
fn nobody_guesses_between_files_or_takes_what_is_no_model() {
    let server = hub(&[("a-Q4_0.gguf", true), ("b-Q4_0.gguf", true)]);
    let error = ask(&server, "hf:owner/Model-GGUF").unwrap_err();
    assert!(error.to_string().contains("several files"), "{error}");
    let server = hub(&[("model.safetensors", true), ("../up.gguf", true)]);
    let error = ask(&server, "hf:owner/Model-GGUF").unwrap_err();
    assert!(error.hint().unwrap().contains("-GGUF"), "{error}");
    let server = hub(&[("only.gguf", true)]);
    assert_eq!(
        ask(&server, "hf:owner/Model-GGUF").unwrap(),
        "only.gguf as Model"
    );
}

#[test]
fn what_the_hub_says_of_a_file_must_be_true() {
    let server = Server::start(|request, stream| {
        if request.path.contains("/tree/") {
            let digest = "0".repeat(64);
            let text = format!(
                "[{{\"type\":\"file\",\"path\":\"m.gguf\",\"lfs\":{{\"oid\":\"{digest}\"}}}}]"
            );
            return send(
                stream,
                format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}",
                    text.len()
                ),
            );
        }
        serve(request, stream, &gguf(FILE_BYTES), "ETag: \"one\"\r\n");
    });
    let error = ask(&server, "hf:owner/Model-GGUF").unwrap_err();
    assert_eq!(error.code(), "digest_mismatch", "{error}");
}

#[test]
fn a_hub_may_say_anything() {
    type Act = fn(&mut TcpStream);
    let acts: [(&str, Act); 6] = [
        ("500", |stream| {
            send(stream, "HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n")
        }),
        ("no list", |stream| {
            send(stream, "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n{\"a\"")
        }),
        ("cut off", |stream| {
            send(stream, "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n[")
        }),
        ("nothing", |_| {}),
        ("no HTTP", |stream| send(stream, "SSH-2.0-x\r\n\r\n")),
        ("endless", |stream| {
            send(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n[",
            );
            let blanks = [b' '; 65_536];
            while stream.write_all(&blanks).is_ok() {}
        }),
    ];
    for (what, act) in acts {
        let server = Server::start(move |_, stream| act(stream));
        let error = ask(&server, "hf:owner/Model-GGUF").unwrap_err();
        assert_eq!(error.code(), "download_failed", "{what}: {error}");
    }
}

#[test]
fn what_leads_elsewhere_is_no_repository() {
    for wrong in [
        "hf:",
        "hf:owner",
        "hf:owner/",
        "hf:/x",
        "hf:../x",
        "hf:a/..",
        "hf:a/b/c",
        "hf:a/b/../c.gguf",
        "hf:a/b:",
        "hf:a/b:Q4 K",
        "hf:a/b:Q4/x",
        "hf:a/b/c.gguf:Q4_0",
        "hf:a/b?x=1",
        "hf:a/b#x",
        "hf:a/b%2f",
        "hf:ä/b",
        "hf:a/b/c\n.gguf",
        "hf:a@b:c",
    ] {
        let source: Result<Source, _> = wrong.parse();
        assert!(source.is_err(), "{wrong}");
    }
    let long = format!("hf:{}/b", "a".repeat(97));
    assert!(long.parse::<Source>().is_err());
}
