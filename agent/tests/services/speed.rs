//! What the sandbox costs a request. Prints figures; fails only where they are absurd.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bench::Service;
use crate::servers::{Web, text};

const ROUNDS: usize = 50;

#[tokio::test]
#[expect(clippy::print_stdout, reason = "figures are for people")]
async fn a_request_through_the_sandbox_costs_little() {
    let web = Web::start(|_| text("200 OK", "", "fine")).await;
    let mut service = Service::with(&[web.grant()]).await;
    let fetch = format!("fetch GET {}", web.url("/"));
    service.says(&fetch).await;
    let mut direct = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let mut stream = TcpStream::connect(web.address).await.unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        direct.push(began.elapsed());
    }
    let idle = service.resident_bytes();
    let empty = timed(&mut service, "say x").await;
    let through = timed(&mut service, &fetch).await;
    direct.sort();
    println!("direct request         {:?}", direct[ROUNDS / 2]);
    println!("through the sandbox    {through:?}");
    println!("instantiate and call   {empty:?}");
    println!("memory of the process  {} KiB", idle >> 10);
    assert!(through < Duration::from_secs(1) && empty < Duration::from_secs(1));
    assert!(idle < 128 << 20, "{idle}");
}

/// The median of a script from submission to its last event.
async fn timed(service: &mut Service, command: &str) -> Duration {
    let mut took = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        service.says(command).await;
        took.push(began.elapsed());
    }
    took.sort();
    took[ROUNDS / 2]
}
