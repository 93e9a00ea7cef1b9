//! Mail: it arrives as it was meant, the password crosses under TLS alone, and nobody writes another's headers.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use skep::host::World;
use skep::protocol::{Alert, Error, FromService, Severity, ToService};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::bench::{Service, Wish};
use crate::servers::Authority;

const PASSWORD: &str = "correct horse battery";

/// An alert that says where mail goes.
pub(crate) fn alert(facts: &[(&str, String)]) -> Alert {
    Alert {
        id: "1".to_owned(),
        kind: "node.down".to_owned(),
        severity: Severity::Critical,
        title: "Grüße from the hive".to_owned(),
        text: "one\n.\n..two\nthree".to_owned(),
        cluster: "c".to_owned(),
        node: None,
        at_unix_s: 1,
        resolved: false,
        facts: facts
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mood {
    Kind,
    /// It takes no `STARTTLS`.
    Plain,
    /// It says more before TLS than it was asked.
    Injects,
    Busy,
    RefusesPassword,
    RefusesRecipient,
    /// Its greeting has no end.
    Floods,
}

/// What a server heard, and whether under TLS.
type Heard = Arc<Mutex<Vec<(bool, String)>>>;

async fn server(mood: Mood, tls: TlsAcceptor, at_once: bool) -> (SocketAddr, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heard = Heard::default();
    let kept = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, heard) = (tls.clone(), Arc::clone(&kept));
            tokio::spawn(async move {
                if at_once {
                    if let Ok(stream) = tls.accept(stream).await {
                        converse(stream, mood, true, true, &heard).await;
                    }
                } else if let Some(stream) = converse(stream, mood, false, true, &heard).await
                    && let Ok(stream) = tls.accept(stream).await
                {
                    converse(stream, mood, true, false, &heard).await;
                }
            });
        }
    });
    (address, heard)
}

/// Speaks SMTP until the end, or until TLS is to begin.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    mood: Mood,
    under_tls: bool,
    greets: bool,
    heard: &Heard,
) -> Option<S> {
    let mut stream = BufReader::new(stream);
    if mood == Mood::Floods {
        while stream.write_all(&[b'x'; 1_000]).await.is_ok() {}
        return None;
    }
    if greets {
        stream.write_all(b"220 hive ESMTP\r\n").await.ok()?;
    }
    let mut data = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        heard.lock().unwrap().push((under_tls, line.clone()));
        let line = line.trim_end();
        if data {
            if line == "." {
                data = false;
                stream.write_all(b"250 taken\r\n").await.ok()?;
            }
            continue;
        }
        let verb = line.split([' ', ':']).next().unwrap_or_default();
        let answer: &[u8] = match verb {
            "EHLO" if mood == Mood::Plain => b"250-hive\r\n250 SIZE 1000000\r\n",
            "EHLO" if under_tls => b"250-hive\r\n250-AUTH LOGIN PLAIN\r\n250 SIZE 1000000\r\n",
            "EHLO" => b"250-hive\r\n250 STARTTLS\r\n",
            "STARTTLS" if mood == Mood::Injects => {
                stream
                    .write_all(b"220 go\r\n250-evil\r\n250 AUTH PLAIN\r\n")
                    .await
                    .ok()?;
                return Some(stream.into_inner());
            }
            "STARTTLS" => {
                stream.write_all(b"220 go\r\n").await.ok()?;
                return Some(stream.into_inner());
            }
            "AUTH" if mood == Mood::RefusesPassword => b"535 5.7.8 no\r\n",
            "AUTH" => b"235 welcome\r\n",
            "MAIL" if mood == Mood::Busy => b"451 come back later\r\n",
            "RCPT" if mood == Mood::RefusesRecipient => b"550 5.1.1 no such user\r\n",
            "DATA" => {
                data = true;
                b"354 go on\r\n"
            }
            "QUIT" => b"221 bye\r\n",
            _ => b"250 ok\r\n",
        };
        stream.write_all(answer).await.ok()?;
    }
}

struct Post {
    service: Service,
    facts: Vec<(&'static str, String)>,
    heard: Heard,
}

impl Post {
    async fn office(mood: Mood, security: &str) -> Self {
        let authority = Authority::new();
        let tls = authority.acceptor(&["127.0.0.1"]);
        let (address, heard) = server(mood, tls, security == "tls").await;
        let service = Service::open(Wish {
            guest: "tell",
            world: World::Notifier,
            granted: vec![format!("mail-local:{address}"), "secret:mail".to_owned()],
            secrets: vec![("mail", PASSWORD.to_owned())],
            authorities: vec![authority.der.clone()],
            ..Wish::default()
        })
        .await;
        let facts = vec![
            ("host", "127.0.0.1".to_owned()),
            ("port", address.port().to_string()),
            ("security", security.to_owned()),
            ("user", "bee".to_owned()),
            ("secret", "mail".to_owned()),
            ("sender", "The Hive <hive@example.org>".to_owned()),
            ("to", "a@example.org;B <b@example.org>".to_owned()),
        ];
        Self {
            service,
            facts,
            heard,
        }
    }

    fn without(mut self, name: &str) -> Self {
        self.facts.retain(|(fact, _)| *fact != name);
        self
    }

    fn set(&mut self, name: &'static str, value: &str) {
        self.facts.retain(|(fact, _)| *fact != name);
        self.facts.push((name, value.to_owned()));
    }

    async fn send(&mut self) -> Result<(), Error> {
        self.send_alert(alert(&self.facts)).await
    }

    async fn send_alert(&mut self, alert: Alert) -> Result<(), Error> {
        let call = self.service.id();
        self.service.send(&ToService::Notify { call, alert }).await;
        match self.service.of(call).await {
            FromService::Done { result, .. } => result,
            other => panic!("{other:?}"),
        }
    }

    fn lines(&self) -> Vec<(bool, String)> {
        self.heard.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn a_message_arrives_whole_and_the_password_under_tls_alone() {
    use base64::Engine as _;
    for security in ["tls", "starttls"] {
        let mut post = Post::office(Mood::Kind, security).await;
        post.send().await.unwrap();
        let lines = post.lines();
        let signed = base64::engine::general_purpose::STANDARD.encode(format!("\0bee\0{PASSWORD}"));
        let auth = lines
            .iter()
            .find(|(_, line)| line.starts_with("AUTH"))
            .unwrap();
        assert_eq!(
            *auth,
            (true, format!("AUTH PLAIN {signed}\r\n")),
            "{security}"
        );
        let under_tls = |line: &str| lines.iter().any(|(tls, heard)| *tls && heard == line);
        assert!(under_tls("RCPT TO:<a@example.org>\r\n"), "{lines:?}");
        assert!(under_tls("RCPT TO:<b@example.org>\r\n"));
        assert!(
            lines
                .iter()
                .any(|(tls, line)| *tls && line.starts_with("MAIL FROM:<hive@example.org>"))
        );
        let text: String = lines.iter().map(|(_, line)| line.as_str()).collect();
        assert!(text.contains("Subject: =?utf-8?"), "{text}");
        assert!(
            text.contains("\r\nDate: ") && text.contains("\r\nMessage-ID: <"),
            "{text}"
        );
        assert!(
            text.contains("\r\none\r\n..\r\n...two\r\nthree\r\n.\r\n"),
            "{text}"
        );
        assert!(lines.iter().all(|(_, line)| line.ends_with("\r\n")));
    }
}

#[tokio::test]
async fn a_local_server_takes_mail_without_a_password_in_the_clear() {
    let mut post = Post::office(Mood::Plain, "none")
        .await
        .without("user")
        .without("secret");
    post.send().await.unwrap();
    assert!(
        post.lines()
            .iter()
            .any(|(tls, line)| !tls && line.starts_with("DATA"))
    );
}

#[tokio::test]
async fn what_a_server_refuses_is_said_so_that_it_can_be_acted_on() {
    type Expected = fn(&Error) -> bool;
    let cases: [(Mood, &str, Expected); 6] = [
        (
            Mood::Busy,
            "starttls",
            |error| matches!(error, Error::Exhausted(text) if text.contains("later")),
        ),
        (Mood::RefusesPassword, "tls", |error| {
            matches!(error, Error::Denied(_))
        }),
        (
            Mood::RefusesRecipient,
            "tls",
            |error| matches!(error, Error::Invalid(what) if what.field.as_deref() == Some("recipients")),
        ),
        (
            Mood::Plain,
            "starttls",
            |error| matches!(error, Error::Other(text) if text.contains("STARTTLS")),
        ),
        (
            Mood::Injects,
            "starttls",
            |error| matches!(error, Error::Other(text) if text.contains("before TLS")),
        ),
        (
            Mood::Floods,
            "starttls",
            |error| matches!(error, Error::Other(text) if text.contains("SMTP")),
        ),
    ];
    for (mood, security, expected) in cases {
        let mut post = Post::office(mood, security).await;
        let error = post.send().await.unwrap_err();
        assert!(expected(&error), "{mood:?}: {error:?}");
        assert!(!format!("{error:?}").contains(PASSWORD));
        // Where TLS did not begin, nothing was said that matters.
        let clear: Vec<_> = post.lines().into_iter().filter(|(tls, _)| !tls).collect();
        let told =
            |(_, line): &(bool, String)| line.starts_with("AUTH") || line.starts_with("MAIL");
        assert!(!clear.iter().any(told), "{mood:?}: {clear:?}");
    }
}

#[tokio::test]
async fn what_a_plugin_writes_becomes_no_header_and_no_command() {
    let mut post = Post::office(Mood::Kind, "tls").await;
    for (name, value, field) in [
        ("sender", "a@example.org\r\nBcc: evil@example.org", "sender"),
        (
            "sender",
            "a@example.org> SIZE=1\r\nRCPT TO:<evil@example.org",
            "sender",
        ),
        ("to", "a@example.org\nevil@example.org", "recipients"),
        ("to", "", "recipients"),
        ("to", "nobody", "recipients"),
        ("to", "grüße@example.org", "recipients"),
        ("user", "a\r\nMAIL FROM:<evil@example.org>", "user"),
        ("security", "none", "security"),
    ] {
        let kept = post.facts.clone();
        post.set(name, value);
        match post.send().await {
            Err(Error::Invalid(invalid)) => {
                assert_eq!(
                    invalid.field.as_deref(),
                    Some(field),
                    "{value}: {invalid:?}"
                );
            }
            other => panic!("{name} {value}: {other:?}"),
        }
        post.facts = kept;
    }
    let mut forged = alert(&post.facts);
    forged.title = "a\r\nBcc: evil@example.org".to_owned();
    assert!(matches!(
        post.send_alert(forged).await,
        Err(Error::Invalid(_))
    ));
    let mut long = alert(&post.facts);
    long.text = "x".repeat((1 << 20) + 1);
    assert!(matches!(
        post.send_alert(long).await,
        Err(Error::Invalid(_))
    ));
    let many = vec!["a@example.org"; 101].join(";");
    post.set("to", &many);
    assert!(matches!(post.send().await, Err(Error::Invalid(_))));
    assert!(post.lines().is_empty(), "{:?}", post.lines());
}

#[tokio::test]
async fn mail_goes_to_granted_servers_alone() {
    let mut post = Post::office(Mood::Kind, "tls").await;
    let port = post.facts[1].1.clone();
    for (host, at) in [
        ("127.0.0.1", "25"),
        ("127.1", port.as_str()),
        ("localhost", port.as_str()),
        ("169.254.169.254", port.as_str()),
        ("127.0.0.1\r\nx", port.as_str()),
    ] {
        post.set("host", host);
        post.set("port", at);
        let error = post.send().await.unwrap_err();
        assert!(
            matches!(error, Error::Denied(_) | Error::Invalid(_)),
            "{host}: {error:?}"
        );
    }
    assert!(post.lines().is_empty());
}
