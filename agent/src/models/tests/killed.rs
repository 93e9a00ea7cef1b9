//! A process that is killed while it pulls: nothing under the final name, nothing lost.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::server::{Server, right, send};
use super::*;

/// How often the pull is killed.
const KILLS: usize = 20;
const FILE_BYTES: usize = 8_000_000;
const URL: &str = "SKEP_TEST_PULL_URL";
const FOLDER: &str = "SKEP_TEST_PULL_FOLDER";

#[test]
fn killed_pulls_resume_and_show_nothing_half() {
    let (Ok(url), Ok(folder)) = (std::env::var(URL), std::env::var(FOLDER)) else {
        return kill_pulls();
    };
    // The process that is killed.
    let catalogue = Catalogue::open(folder.as_ref()).unwrap();
    pull(&url)
        .run(&catalogue, &Cancel::default(), &mut |_| {})
        .unwrap();
}

fn kill_pulls() {
    let file = gguf(FILE_BYTES);
    let content = file.clone();
    let sent_bytes = Arc::new(AtomicUsize::new(0));
    let (count, step) = (Arc::clone(&sent_bytes), FILE_BYTES / (KILLS + 1));
    let (told, reached) = mpsc::channel();
    let server = Server::start(move |request, stream| {
        let (head, body) = right(request, &content, "ETag: \"one\"\r\n");
        send(stream, head);
        // Holds the rest back until the client is killed, except from the last one.
        let part = if request.number < KILLS {
            &body[..step.min(body.len())]
        } else {
            body
        };
        count.fetch_add(part.len(), Ordering::Relaxed);
        send(stream, part);
        told.send(request.start.unwrap_or(0) + part.len()).unwrap();
        let _ = std::io::Read::read(stream, &mut [0]);
    });
    let place = Place::new();
    let url = server.url("/model.gguf");
    for _ in 0..KILLS {
        let mut child = start(&url, &place);
        let bytes = reached.recv_timeout(Duration::from_secs(20)).unwrap();
        place.wait_for_bytes(bytes);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(place.files("blobs"), [""; 0]);
        assert_eq!(place.files("manifests"), [""; 0]);
    }
    assert!(start(&url, &place).wait().unwrap().success());
    let listing = Catalogue::open(&place.path("")).unwrap().list().unwrap();
    assert_eq!(listing.models[0].digest(), Digest::of(&file));
    assert_eq!(place.files("partial"), [""; 0]);
    let sent = sent_bytes.load(Ordering::Relaxed);
    assert!(
        sent <= FILE_BYTES * 105 / 100,
        "{sent} bytes were sent for {FILE_BYTES}"
    );
}

fn start(url: &str, place: &Place) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "models::tests::killed::killed_pulls_resume_and_show_nothing_half",
        ])
        .env(URL, url)
        .env(FOLDER, place.path(""))
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}
