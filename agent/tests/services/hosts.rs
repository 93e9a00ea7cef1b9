//! Who is reached: what is granted, at the addresses that it has, and nothing else in whatever spelling.

use std::net::IpAddr;
use std::sync::atomic::Ordering;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::bench::{Service, Wish};
use crate::servers::{Authority, Names, Piece, Web, text};

fn hello() -> impl Fn(&str) -> Vec<Piece> {
    |_| text("200 OK", "", "hello")
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[tokio::test]
async fn what_is_granted_is_reached_and_told_apart() {
    let web = Web::start(hello()).await;
    let mut service = Service::with(&[web.grant()]).await;
    let said = service
        .says(&format!("fetch GET {}", web.url("/a?b=c")))
        .await;
    assert!(
        said.starts_with("200 5 ") && said.ends_with(" hello"),
        "{said}"
    );
    let asked = web.last();
    assert!(asked.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{asked}");
    assert!(
        asked.contains(&format!("\r\nhost: {}", web.address)),
        "{asked}"
    );
    // The same address in another dress is the same host.
    let mapped = format!("http://[::ffff:127.0.0.1]:{}/", web.address.port());
    let said = service
        .says(&format!("fetch POST {mapped} body=100000"))
        .await;
    assert!(said.starts_with("200 5 "), "{said}");
    assert!(
        web.last().starts_with("POST / ") && web.last().contains("\nbody 100"),
        "{}",
        web.last()
    );
    // Another port is another grant.
    let other = Web::start(hello()).await;
    let said = service.says(&format!("fetch GET {}", other.url("/"))).await;
    assert_eq!(said, "error ErrorCode::HttpRequestDenied");
    assert_eq!(other.connections(), 0);
    let command = format!("skep plugin grant reach {}", other.grant());
    assert!(service.said().contains(&command), "{}", service.said());
    let used = service.drained().await;
    assert_eq!((used.calls, used.requests_out, used.refused_out), (3, 3, 1));
    assert!(used.bytes_out > 100_000 && used.bytes_in > 10, "{used:?}");
    assert!(
        used.computing_us > 0 && used.memory_peak_bytes > 65_536,
        "{used:?}"
    );
}

#[tokio::test]
async fn nothing_is_reached_without_a_grant_however_it_is_spelled() {
    let web = Web::start(hello()).await;
    let port = web.address.port();
    // Granted as widely as grants go, but never what is tried.
    let mut service = Service::with(&[
        "http:example.org".to_owned(),
        "http:*.example.net".to_owned(),
        format!("http-local:192.0.2.1:{port}"),
        format!("http:127.0.0.1:{port}"),
    ])
    .await;
    for host in [
        "127.0.0.1",
        "[::1]",
        "0.0.0.0",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "017700000001",
        "0177.0.0.1",
        "127.0.0.1.",
        "localhost",
        "LOCALHOST",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "169.254.1.1",
        "[fe80::1]",
        "10.0.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "[fd12::1]",
        "224.0.0.1",
        "[ff02::1]",
        "255.255.255.255",
        "240.0.0.1",
        "*.example.net",
        "example.org@127.0.0.1",
        "127.0.0.1\\@example.org",
        "example.org:80@127.0.0.1",
        "",
    ] {
        let said = service
            .says(&format!("fetch GET http://{host}:{port}/"))
            .await;
        assert!(said.starts_with("error"), "{host}: {said}");
    }
    for url in [
        "file:///etc/passwd",
        "ftp://example.org/",
        "gopher://127.0.0.1/",
        "unix:///run/docker.sock",
        "http:127.0.0.1/",
    ] {
        let said = service.says(&format!("fetch GET {url}")).await;
        assert!(said.starts_with("error"), "{url}: {said}");
    }
    assert_eq!(web.connections(), 0);
}

#[tokio::test]
async fn odd_spellings_of_what_is_granted_are_refused_too() {
    let web = Web::start(hello()).await;
    let port = web.address.port();
    let mut service = Service::with(&[web.grant(), format!("http-local:0.0.0.0:{port}")]).await;
    for host in [
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0.0.0.0",
        "user@127.0.0.1",
    ] {
        let said = service
            .says(&format!("fetch GET http://{host}:{port}/"))
            .await;
        assert!(said.starts_with("error"), "{host}: {said}");
    }
    assert_eq!(web.connections(), 0);
}

#[tokio::test]
async fn a_name_is_reached_only_at_addresses_that_its_grant_allows() {
    let web = Web::start(hello()).await;
    let port = web.address.port();
    let names = Names::start(|name, _| match name {
        "public.example.org" => addresses(&["127.0.0.1", "10.0.0.1"]),
        "metadata.example.org" => addresses(&["169.254.169.254"]),
        "mixed.example.org" => addresses(&["169.254.169.254", "0.0.0.0", "127.0.0.1"]),
        "mapped.example.org" => addresses(&["::ffff:169.254.169.254"]),
        "local.example.org" => addresses(&["127.0.0.1"]),
        _ => Vec::new(),
    })
    .await;
    let grant = |kind: &str, host: &str| format!("{kind}:{host}.example.org:{port}");
    let mut service = Service::open(Wish {
        granted: vec![
            grant("http", "public"),
            grant("http-local", "metadata"),
            grant("http-local", "mixed"),
            grant("http-local", "mapped"),
            grant("http-local", "local"),
            grant("http-local", "nobody"),
        ],
        resolver: Some(names.address),
        ..Wish::default()
    })
    .await;
    let mut fetch = async |host: &str| {
        let url = format!("http://{host}.example.org:{port}/");
        service.says(&format!("fetch GET {url}")).await
    };
    let prohibited = "error ErrorCode::DestinationIpProhibited";
    assert_eq!(fetch("public").await, prohibited);
    assert_eq!(fetch("metadata").await, prohibited);
    assert_eq!(fetch("mapped").await, prohibited);
    assert!(fetch("nobody").await.contains("DnsError"));
    assert_eq!(web.connections(), 0);
    // What is not granted is not even asked about.
    let asked = names.asked.load(Ordering::SeqCst);
    assert_eq!(fetch("other").await, "error ErrorCode::HttpRequestDenied");
    assert_eq!(names.asked.load(Ordering::SeqCst), asked);

    assert!(fetch("local").await.starts_with("200 "));
    assert!(fetch("mixed").await.starts_with("200 "));
    assert_eq!(web.connections(), 2);
    let asked = web.last();
    assert!(
        asked.contains(&format!("host: mixed.example.org:{port}")),
        "{asked}"
    );
    let said = service.said();
    let allow = format!("skep plugin grant reach http-local:public.example.org:{port}");
    assert!(said.contains(&allow), "{said}");
}

/// The name has a right address when it is checked and a wrong one ever after: whoever looks it up twice connects to the wrong.
#[tokio::test]
async fn a_name_that_changes_its_mind_is_looked_up_once() {
    let right = Web::start(hello()).await;
    let port = right.address.port();
    let wrong = Web::at(&format!("127.0.0.2:{port}"), None, hello()).await;
    let names = Names::start(|_, asked| {
        let right = if asked == 0 { "127.0.0.1" } else { "127.0.0.2" };
        addresses(&[right])
    })
    .await;
    let mut service = Service::open(Wish {
        granted: vec![format!("http-local:rebinding.example.org:{port}")],
        resolver: Some(names.address),
        ..Wish::default()
    })
    .await;
    let url = format!("http://rebinding.example.org:{port}/");
    let said = service.says(&format!("fetch GET {url}")).await;
    assert!(said.starts_with("200 "), "{said}");
    assert_eq!(right.connections(), 1);
    assert_eq!(wrong.connections(), 0);
    assert_eq!(names.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_agent_itself_is_never_reached() {
    let web = Web::start(hello()).await;
    let port = web.address.port();
    let anywhere = Web::at("0.0.0.0:0", None, hello()).await;
    let other = anywhere.address.port();
    let mut service = Service::open(Wish {
        granted: vec![
            web.grant(),
            format!("http-local:127.0.0.1:{other}"),
            format!("http-local:127.9.9.9:{other}"),
            format!("http-local:localhost:{other}"),
        ],
        own: vec![web.address, format!("0.0.0.0:{other}").parse().unwrap()],
        ..Wish::default()
    })
    .await;
    for url in [
        web.url("/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://127.0.0.1:{other}/"),
        format!("http://127.9.9.9:{other}/"),
        format!("http://localhost:{other}/"),
    ] {
        let said = service.says(&format!("fetch GET {url}")).await;
        assert_eq!(said, "error ErrorCode::DestinationIpProhibited", "{url}");
    }
    assert_eq!(web.connections() + anywhere.connections(), 0);
    assert!(
        service.said().contains("is the agent itself"),
        "{}",
        service.said()
    );
}

#[tokio::test]
async fn a_redirect_is_a_request_of_its_own() {
    let other = Web::start(hello()).await;
    let onwards = other.url("/secret");
    let web = Web::start(move |path| {
        let to = match path {
            "/metadata" => "http://169.254.169.254/latest/",
            "/file" => "file:///etc/passwd",
            "/loop" => "/loop",
            _ => &onwards,
        };
        text("302 Found", &format!("location: {to}\r\n"), "")
    })
    .await;
    let mut service = Service::with(&[web.grant()]).await;
    let said = service
        .says(&format!("fetch GET {}", web.url("/other")))
        .await;
    assert!(said.starts_with("302 0 "), "{said}");
    for path in ["/other", "/metadata", "/file"] {
        let said = service.says(&format!("follow {}", web.url(path))).await;
        assert!(said.starts_with("error"), "{path}: {said}");
    }
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn a_certificate_is_believed_by_who_signed_it_and_for_whom() {
    let authority = Authority::new();
    let names = Names::start(|_, _| addresses(&["127.0.0.1"])).await;
    let tls = authority.acceptor(&["right.example.org", "127.0.0.1"]);
    let web = Web::at("127.0.0.1:0", Some(tls), hello()).await;
    let stranger = Authority::new().acceptor(&["right.example.org"]);
    let strange = Web::at("127.0.0.1:0", Some(stranger), hello()).await;
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let deaf = plain.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = plain.accept().await {
            let _ = stream.write_all(b"220 hive ESMTP\r\n").await;
        }
    });
    let (port, other) = (web.address.port(), strange.address.port());
    let mut service = Service::open(Wish {
        granted: vec![
            format!("http-local:right.example.org:{port}"),
            format!("http-local:wrong.example.org:{port}"),
            format!("http-local:right.example.org:{other}"),
            web.grant(),
            format!("http-local:{deaf}"),
        ],
        resolver: Some(names.address),
        authorities: vec![authority.der.clone()],
        ..Wish::default()
    })
    .await;
    let mut fetch = async |host: &str, port: u16| {
        service
            .says(&format!("fetch GET https://{host}:{port}/"))
            .await
    };
    assert!(fetch("right.example.org", port).await.starts_with("200 "));
    assert!(fetch("127.0.0.1", port).await.starts_with("200 "));
    let certificate = "error ErrorCode::TlsCertificateError";
    assert_eq!(fetch("wrong.example.org", port).await, certificate);
    assert_eq!(fetch("right.example.org", other).await, certificate);
    let said = fetch("127.0.0.1", deaf.port()).await;
    assert_eq!(said, "error ErrorCode::TlsProtocolError");
    assert_eq!(strange.asked.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn headers_that_say_where_a_message_ends_are_the_hosts() {
    let web = Web::start(hello()).await;
    let mut service = Service::with(&[web.grant()]).await;
    let url = web.url("/");
    for header in [
        "host=evil.example.org",
        "Host=evil.example.org",
        "transfer-encoding=chunked",
        "Transfer-Encoding=identity",
        "connection=upgrade",
        "upgrade=websocket",
        "te=trailers",
        "trailer=x",
        "expect=100-continue",
        "proxy-authorization=x",
        "keep-alive=1",
        "x=a%0d%0aevil:%20b",
        "x=a%0aevil:%20b",
        "x=a%00b",
        "x%0d%0aevil=b",
        "content-length=5 content-length=6",
        "content-length=+5",
        "content-length=5",
    ] {
        let said = service.says(&format!("fetch GET {url} {header}")).await;
        assert!(
            said.starts_with("header") || said.starts_with("error"),
            "{header}: {said}"
        );
    }
    assert_eq!(web.asked.lock().unwrap().len(), 0);
    let said = service.says(&format!("fetch CONNECT {url}")).await;
    assert!(said.starts_with("error"), "{said}");
    let said = service.says(&format!("fetch GET {url} x-own=fine")).await;
    assert!(said.starts_with("200 "), "{said}");
    assert!(web.last().contains("x-own: fine"), "{}", web.last());
}
