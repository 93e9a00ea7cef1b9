//! One case for each way in which a server can misbehave.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::Duration;

use super::server::{Request, Server, right, send, serve};
use super::*;

const TAG: &str = "ETag: \"one\"\r\n";

/// What a server does with the request of a number.
type Act = fn(&Request, &mut TcpStream, &[u8]);

/// What must come of it: how many requests, and the file or an error's code.
struct Case {
    what: &'static str,
    act: Act,
    digest: Known,
    requests: usize,
    outcome: Result<(), &'static str>,
}

#[derive(Clone, Copy)]
enum Known {
    Not,
    Right,
    Wrong,
}

const FILE_BYTES: usize = 700_000;

fn check(cases: &[Case]) {
    for case in cases {
        let file = gguf(FILE_BYTES);
        let act = case.act;
        let content = file.clone();
        let server = Server::start(move |request, stream| act(request, stream, &content));
        let place = Place::new();
        let mut wish = pull(&server.url("/model.gguf"));
        wish.expected = match case.digest {
            Known::Not => None,
            Known::Right => Some(Digest::of(&file)),
            Known::Wrong => Some(Digest::of(b"another file")),
        };
        let got = wish.run(&place.catalogue, &Cancel::default(), &mut |_| {});
        let what = case.what;
        match (&got, case.outcome) {
            (Ok(model), Ok(())) => {
                assert_eq!(std::fs::read(model.path()).unwrap(), file, "{what}");
                assert_eq!(model.digest(), Digest::of(&file), "{what}");
                assert_eq!(place.files("partial"), [""; 0], "{what}");
            }
            (Err(error), Err(code)) => {
                assert_eq!(error.code(), code, "{what}: {error}");
                assert_eq!(place.files("manifests"), [""; 0], "{what}");
                assert_eq!(place.files("blobs"), [""; 0], "{what}");
            }
            (Ok(_), Err(code)) => panic!("{what}: arrived, expected {code}"),
            (Err(error), Ok(())) => panic!("{what}: {error}"),
        }
        assert_eq!(
            server.requests().len(),
            case.requests,
            "{what}: {:?}",
            server.requests()
        );
    }
}

/// The answer's head and half of what it promises.
fn half(request: &Request, stream: &mut TcpStream, file: &[u8], headers: &str) {
    let (head, body) = right(request, file, headers);
    send(stream, head);
    send(stream, &body[..body.len() / 2]);
}

fn chunked(stream: &mut TcpStream, bytes: &[u8]) {
    for chunk in bytes.chunks(50_000) {
        send(stream, format!("{:x}\r\n", chunk.len()));
        send(stream, chunk);
        send(stream, "\r\n");
    }
}

/// First half of an answer, then what is given.
fn then(r: &Request, s: &mut TcpStream, f: &[u8], second: &str) {
    match r.number {
        0 => half(r, s, f, TAG),
        1 => send(s, second),
        _ => serve(r, s, f, TAG),
    }
}

#[test]
fn whole_answers() {
    check(&[
        Case {
            what: "a right answer",
            act: |r, s, f| serve(r, s, f, TAG),
            digest: Known::Not,
            requests: 1,
            outcome: Ok(()),
        },
        Case {
            what: "a right answer and the right digest",
            act: |r, s, f| serve(r, s, f, ""),
            digest: Known::Right,
            requests: 1,
            outcome: Ok(()),
        },
        Case {
            what: "in chunks, without a length",
            act: |_, s, f| {
                send(s, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                chunked(s, f);
                send(s, "0\r\n\r\n");
            },
            digest: Known::Not,
            requests: 1,
            outcome: Ok(()),
        },
        Case {
            what: "no length and nothing that tells a cut",
            act: |_, s, f| {
                send(s, "HTTP/1.0 200 OK\r\n\r\n");
                send(s, f);
            },
            digest: Known::Not,
            requests: 1,
            outcome: Err("bad_server"),
        },
        Case {
            what: "no length but a digest",
            act: |_, s, f| {
                send(s, "HTTP/1.0 200 OK\r\n\r\n");
                send(s, f);
            },
            digest: Known::Right,
            requests: 1,
            outcome: Ok(()),
        },
        Case {
            what: "another file than the digest says",
            act: |r, s, f| serve(r, s, f, TAG),
            digest: Known::Wrong,
            requests: 1,
            outcome: Err("digest_mismatch"),
        },
        Case {
            what: "another file than the server's own digest says",
            act: |r, s, f| {
                let other = Digest::of(b"another").to_hex();
                serve(r, s, f, &format!("X-Linked-ETag: \"{other}\"\r\n"));
            },
            digest: Known::Not,
            requests: 1,
            outcome: Err("digest_mismatch"),
        },
        Case {
            what: "packed without being asked to",
            act: |r, s, f| serve(r, s, f, "Content-Encoding: gzip\r\n"),
            digest: Known::Not,
            requests: 1,
            outcome: Err("bad_server"),
        },
        Case {
            what: "a page instead of a file",
            act: |r, s, _| {
                serve(
                    r,
                    s,
                    b"<!DOCTYPE html><html><body>Please log in</body></html>",
                    "",
                )
            },
            digest: Known::Not,
            requests: 1,
            outcome: Err("unsupported_format"),
        },
        Case {
            what: "a page in place of the digest's file",
            act: |r, s, _| {
                serve(
                    r,
                    s,
                    b"<html>Please log in to download this file</html>",
                    "",
                )
            },
            digest: Known::Right,
            requests: 1,
            outcome: Err("unsupported_format"),
        },
        Case {
            what: "nothing",
            act: |r, s, _| serve(r, s, b"", ""),
            digest: Known::Not,
            requests: 1,
            outcome: Err("unsupported_format"),
        },
        Case {
            what: "ten bytes",
            act: |r, s, f| serve(r, s, &f[..10], ""),
            digest: Known::Not,
            requests: 1,
            outcome: Err("unsupported_format"),
        },
        Case {
            what: "longer than any model",
            act: |_, s, _| {
                send(
                    s,
                    "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n",
                )
            },
            digest: Known::Not,
            requests: 1,
            outcome: Err("too_large"),
        },
        Case {
            what: "longer than the disk",
            act: |_, s, _| {
                send(
                    s,
                    "HTTP/1.1 200 OK\r\nContent-Length: 8796093022207\r\n\r\n",
                )
            },
            digest: Known::Not,
            requests: 1,
            outcome: Err("disk_full"),
        },
    ]);
}

#[test]
fn broken_answers() {
    check(&[
        Case {
            what: "hangs up without a word, always",
            act: |_, _, _| {},
            digest: Known::Not,
            requests: 5,
            outcome: Err("download_failed"),
        },
        Case {
            what: "hangs up without a word, twice",
            act: |r, s, f| {
                if r.number > 1 {
                    serve(r, s, f, TAG);
                }
            },
            digest: Known::Not,
            requests: 3,
            outcome: Ok(()),
        },
        Case {
            what: "does not speak HTTP",
            act: |_, s, _| send(s, "SSH-2.0-OpenSSH_9.2p1\r\n\r\n"),
            digest: Known::Not,
            requests: 5,
            outcome: Err("download_failed"),
        },
        Case {
            what: "headers without end",
            act: |_, s, _| {
                send(s, "HTTP/1.1 200 OK\r\n");
                while s.write_all(b"X-Filler: yes\r\n").is_ok() {}
            },
            digest: Known::Not,
            requests: 5,
            outcome: Err("download_failed"),
        },
        Case {
            what: "a length that is no number",
            act: |_, s, _| send(s, "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"),
            digest: Known::Not,
            requests: 5,
            outcome: Err("download_failed"),
        },
        Case {
            what: "not found",
            act: |_, s, _| send(s, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
            digest: Known::Not,
            requests: 1,
            outcome: Err("bad_server"),
        },
        Case {
            what: "busy for a moment",
            act: |r, s, f| match r.number {
                0 => send(
                    s,
                    "HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n",
                ),
                1 => send(s, "HTTP/1.1 429 Wait\r\nContent-Length: 0\r\n\r\n"),
                _ => serve(r, s, f, TAG),
            },
            digest: Known::Not,
            requests: 3,
            outcome: Ok(()),
        },
        Case {
            what: "broken for ever",
            act: |_, s, _| send(s, "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"),
            digest: Known::Not,
            requests: 5,
            outcome: Err("download_failed"),
        },
        Case {
            what: "stalls in the middle, then goes on",
            act: |r, s, f| match r.number {
                0 => {
                    half(r, s, f, TAG);
                    // Until the client gives up.
                    let _ = std::io::Read::read(s, &mut [0]);
                }
                _ => serve(r, s, f, TAG),
            },
            digest: Known::Not,
            requests: 2,
            outcome: Ok(()),
        },
    ]);
}

#[test]
fn resumed_answers() {
    check(&[
        Case {
            what: "breaks off, then gives the rest",
            act: |r, s, f| match r.number {
                0 => half(r, s, f, TAG),
                _ => {
                    assert_eq!(r.start, Some(f.len() / 2));
                    assert_eq!(r.if_range.as_deref(), Some("\"one\""));
                    serve(r, s, f, TAG);
                }
            },
            digest: Known::Not,
            requests: 2,
            outcome: Ok(()),
        },
        Case {
            what: "breaks off in chunks, then gives the rest",
            act: |r, s, f| match r.number {
                0 => {
                    send(
                        s,
                        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{TAG}\r\n"),
                    );
                    chunked(s, &f[..300_000]);
                }
                _ => serve(r, s, f, TAG),
            },
            digest: Known::Not,
            requests: 2,
            outcome: Ok(()),
        },
        Case {
            what: "knows its version by time only",
            act: |r, s, f| {
                let time = "Last-Modified: Wed, 21 Oct 2026 07:28:00 GMT\r\n";
                match r.number {
                    0 => half(r, s, f, time),
                    _ => {
                        assert!(
                            r.if_range
                                .as_deref()
                                .is_some_and(|t| t.ends_with("07:28:00 GMT"))
                        );
                        serve(r, s, f, time);
                    }
                }
            },
            digest: Known::Not,
            requests: 2,
            outcome: Ok(()),
        },
        Case {
            what: "has no word for its version: all of it again",
            act: |r, s, f| match r.number {
                0 => half(r, s, f, "ETag: W/\"weak\"\r\n"),
                _ => {
                    assert_eq!(r.start, None);
                    serve(r, s, f, "");
                }
            },
            digest: Known::Not,
            requests: 2,
            outcome: Ok(()),
        },
        Case {
            what: "has no word for its version, but the digest is known",
            act: |r, s, f| match r.number {
                0 => half(r, s, f, ""),
                _ => {
                    assert_eq!(r.start, Some(f.len() / 2));
                    serve(r, s, f, "");
                }
            },
            digest: Known::Right,
            requests: 2,
            outcome: Ok(()),
        },
        Case {
            what: "does not know ranges",
            act: |r, s, f| match r.number {
                0 => half(r, s, f, TAG),
                _ => serve(
                    &Request {
                        start: None,
                        ..r.clone()
                    },
                    s,
                    f,
                    TAG,
                ),
            },
            digest: Known::Not,
            requests: 2,
            outcome: Ok(()),
        },
        Case {
            what: "changed the file in between",
            act: |r, s, f| match r.number {
                0 => {
                    let mut old = f.to_vec();
                    old[1000] ^= 1;
                    half(r, s, &old, TAG);
                }
                _ => serve(
                    &Request {
                        start: None,
                        ..r.clone()
                    },
                    s,
                    f,
                    "ETag: \"two\"\r\n",
                ),
            },
            digest: Known::Not,
            requests: 2,
            outcome: Ok(()),
        },
        Case {
            what: "gives the rest of another version",
            act: |r, s, f| match r.number {
                0 => half(r, s, f, TAG),
                _ => serve(r, s, f, "ETag: \"two\"\r\n"),
            },
            digest: Known::Not,
            requests: 3,
            outcome: Ok(()),
        },
        Case {
            what: "what an attempt brought is not the file that the digest names",
            act: |r, s, f| match r.number {
                0 => {
                    let mut wrong = f.to_vec();
                    wrong[1000] ^= 1;
                    half(r, s, &wrong, TAG);
                }
                _ => serve(r, s, f, TAG),
            },
            digest: Known::Right,
            requests: 3,
            outcome: Ok(()),
        },
    ]);
}

#[test]
fn wrong_ranges() {
    let wrong = |what, act| Case {
        what,
        act,
        digest: Known::Not,
        requests: 3,
        outcome: Ok(()),
    };
    check(&[
        wrong("from the wrong place", |r, s, f| {
            then(
                r,
                s,
                f,
                "HTTP/1.1 206 P\r\nContent-Range: bytes 0-9/700000\r\nContent-Length: 10\r\n\r\n0123456789",
            );
        }),
        wrong("of another length", |r, s, f| {
            then(
                r,
                s,
                f,
                "HTTP/1.1 206 P\r\nContent-Range: bytes 350000-350009/350010\r\nContent-Length: 10\r\n\r\n0123456789",
            );
        }),
        wrong("shorter than it says", |r, s, f| {
            then(
                r,
                s,
                f,
                "HTTP/1.1 206 P\r\nContent-Range: bytes 350000-699999/700000\r\nContent-Length: 10\r\n\r\n0123456789",
            );
        }),
        wrong("without a word where", |r, s, f| {
            then(
                r,
                s,
                f,
                "HTTP/1.1 206 P\r\nContent-Length: 10\r\n\r\n0123456789",
            );
        }),
        wrong("in words that nobody knows", |r, s, f| {
            then(
                r,
                s,
                f,
                "HTTP/1.1 206 P\r\nContent-Range: pages 5-6/7\r\nContent-Length: 10\r\n\r\n0123456789",
            );
        }),
        wrong("that ends before it begins", |r, s, f| {
            then(
                r,
                s,
                f,
                "HTTP/1.1 206 P\r\nContent-Range: bytes 350000-5/700000\r\nContent-Length: 10\r\n\r\n0123456789",
            );
        }),
        wrong("of many parts", |r, s, f| {
            then(
                r,
                s,
                f,
                "HTTP/1.1 206 P\r\nContent-Type: multipart/byteranges; boundary=x\r\nContent-Length: 5\r\n\r\n--x--",
            );
        }),
        wrong("refused, for the file is shorter now", |r, s, f| {
            then(
                r,
                s,
                f,
                "HTTP/1.1 416 R\r\nContent-Range: bytes */300\r\nContent-Length: 0\r\n\r\n",
            );
        }),
        wrong("refused without a word", |r, s, f| {
            then(r, s, f, "HTTP/1.1 416 R\r\nContent-Length: 0\r\n\r\n");
        }),
        Case {
            what: "more than it announced",
            act: |r, s, f| match r.number {
                0 => half(r, s, f, TAG),
                _ => {
                    send(s, "HTTP/1.1 206 P\r\nTransfer-Encoding: chunked\r\n");
                    send(s, "Content-Range: bytes 350000-699999/700000\r\n\r\n");
                    chunked(s, f);
                    send(s, "0\r\n\r\n");
                }
            },
            digest: Known::Not,
            requests: 2,
            outcome: Err("bad_server"),
        },
        Case {
            what: "a part that nobody asked for",
            act: |_, s, f| {
                send(
                    s,
                    "HTTP/1.1 206 P\r\nContent-Range: bytes 0-9/700000\r\nContent-Length: 10\r\n\r\n",
                );
                send(s, &f[..10]);
            },
            digest: Known::Not,
            requests: 5,
            outcome: Err("download_failed"),
        },
    ]);
}

#[test]
fn redirects() {
    fn to(stream: &mut TcpStream, place: &str) {
        send(
            stream,
            format!("HTTP/1.1 302 F\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n"),
        );
    }
    let refused = |what, act| Case {
        what,
        act,
        digest: Known::Not,
        requests: 1,
        outcome: Err("bad_server"),
    };
    check(&[
        Case {
            what: "to another path, three times",
            act: |r, s, f| match r.path.as_str() {
                "/model.gguf" => to(s, "/a/b"),
                "/a/b" => to(s, "c?x=1#there"),
                "/a/c?x=1" => {
                    let own = s.local_addr().unwrap();
                    to(s, &format!("//{own}/d"));
                }
                _ => serve(r, s, f, TAG),
            },
            digest: Known::Not,
            requests: 4,
            outcome: Ok(()),
        },
        Case {
            what: "in a circle",
            act: |_, s, _| to(s, "/model.gguf"),
            digest: Known::Not,
            requests: 6,
            outcome: Err("bad_server"),
        },
        Case {
            what: "with the digest on the way",
            act: |r, s, f| match r.number {
                0 => {
                    let hex = Digest::of(b"another").to_hex();
                    send(
                        s,
                        format!(
                            "HTTP/1.1 302 F\r\nX-Linked-Etag: \"{hex}\"\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"
                        ),
                    );
                }
                _ => serve(r, s, f, TAG),
            },
            digest: Known::Not,
            requests: 2,
            outcome: Err("digest_mismatch"),
        },
        refused("to a file", |_, s, _| to(s, "file:///etc/passwd")),
        refused("to another protocol", |_, s, _| {
            to(s, "ftp://127.0.0.1/model.gguf")
        }),
        refused("to nowhere", |_, s, _| {
            send(s, "HTTP/1.1 302 F\r\nContent-Length: 0\r\n\r\n")
        }),
        refused("to what is no address", |_, s, _| to(s, "http://[::bad")),
    ]);
}

#[test]
fn an_interruption_at_every_point_costs_nothing() {
    let file = gguf(FILE_BYTES);
    let content = file.clone();
    // Each answer breaks off after another 3,001 bytes.
    let server = Server::start(move |request, stream| {
        let (head, body) = right(request, &content, TAG);
        send(stream, head);
        send(stream, &body[..body.len().min(3_001)]);
    });
    let place = Place::new();
    let model = pull(&server.url("/m"))
        .run(&place.catalogue, &Cancel::default(), &mut |_| {})
        .unwrap();
    assert_eq!(model.digest(), Digest::of(&file));
    assert_eq!(server.requests().len(), FILE_BYTES.div_ceil(3_001));
}

#[test]
fn one_file_is_pulled_once_at_a_time_and_a_cancelled_pull_goes_on() {
    let file = gguf(FILE_BYTES);
    let content = file.clone();
    let (arrived, wait_arrived) = mpsc::sync_channel(1);
    let server = Server::start(move |request, stream| match request.number {
        0 => {
            half(request, stream, &content, TAG);
            arrived.send(()).unwrap();
            let _ = std::io::Read::read(stream, &mut [0]);
        }
        _ => serve(request, stream, &content, TAG),
    });
    let place = Place::new();
    let wish = pull(&server.url("/m"));
    let cancel = Cancel::default();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| wish.run(&place.catalogue, &cancel, &mut |_| {}));
        wait_arrived.recv_timeout(Duration::from_secs(10)).unwrap();
        let second = wish.run(&place.catalogue, &Cancel::default(), &mut |_| {});
        assert_eq!(second.unwrap_err().code(), "busy");
        place.wait_for_bytes(FILE_BYTES / 2);
        cancel.cancel();
        assert_eq!(first.join().unwrap().unwrap_err().code(), "cancelled");
    });
    assert_eq!(place.files("manifests"), [""; 0]);
    assert_eq!(place.files("partial").len(), 2);
    let mut resumed = 0;
    let model = wish
        .run(&place.catalogue, &Cancel::default(), &mut |progress| {
            if let Progress::Bytes { resumed_bytes, .. } = progress {
                resumed = resumed_bytes;
            }
        })
        .unwrap();
    assert_eq!(model.digest(), Digest::of(&file));
    assert_eq!(resumed, FILE_BYTES as u64 / 2);
    assert_eq!(
        server.requests().last().unwrap().start,
        Some(FILE_BYTES / 2)
    );
}

#[test]
fn names_are_not_taken_over() {
    let file = gguf(1000);
    let content = file.clone();
    let server = Server::start(move |request, stream| serve(request, stream, &content, TAG));
    let place = Place::new();
    let run = |wish: &Pull| wish.run(&place.catalogue, &Cancel::default(), &mut |_| {});
    run(&pull(&server.url("/one?signature=secret"))).unwrap();
    let model = place.catalogue.find(&name("model")).unwrap();
    assert_eq!(
        model.source(),
        server.url("/one"),
        "without what may be secret"
    );
    assert_eq!(
        run(&pull(&server.url("/two"))).unwrap_err().code(),
        "name_taken"
    );
    // The same source brings a new version; the same digest brings nothing.
    run(&pull(&server.url("/one"))).unwrap();
    let known = Pull {
        expected: Some(Digest::of(&file)),
        ..pull(&server.url("/three"))
    };
    run(&known).unwrap();
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn sources() {
    let check = |text: &str, name: Option<&str>| {
        let got = text
            .parse::<Source>()
            .and_then(|source| source.default_name());
        assert_eq!(
            got.as_ref().ok().map(ModelName::as_str),
            name,
            "{text}: {got:?}"
        );
    };
    check(
        "https://example.org/a/Model.Q4_0.gguf?download=true",
        Some("Model.Q4_0"),
    );
    check("http://127.0.0.1:8000/my%20model.gguf", Some("my-model"));
    check("/tmp/tiny.gguf", Some("tiny"));
    check("http://example.org/", None);
    check("http://example.org", None);
    check("https://user:password@example.org/m.gguf", None);
    check("ftp://example.org/m.gguf", None);
    check("file:///etc/passwd", None);
    check("tiny.gguf", None);
    check("", None);
    check("http://", None);
    check(&format!("http://example.org/{}", "a".repeat(10_000)), None);
    check("http://example.org/\n", None);
}
