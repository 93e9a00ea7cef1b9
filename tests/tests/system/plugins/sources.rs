//! Components from addresses and registries, on this machine alone.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use skep_tests::agent::Agent;

use super::{BARE, component, ill, keep, show, wait_until, well};

/// Answers each request for a path as it is told: a whole answer, head and body.
fn serve(answers: impl Fn(&str, &str) -> Vec<u8> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let answers = Arc::new(answers);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answers = answers.clone();
            std::thread::spawn(move || answer(stream, &*answers));
        }
    });
    address
}

fn answer(stream: TcpStream, answers: &dyn Fn(&str, &str) -> Vec<u8>) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while reader.read_line(&mut head).is_ok_and(|count| count > 2) {}
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    // Whoever has heard enough hangs up.
    let _ = reader.get_mut().write_all(&answers(&path, &head));
}

fn ok(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn to(location: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").into_bytes()
}

#[test]
fn an_address_is_asked_within_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::start(&[BARE]).unwrap();
    let bytes = component("spread", "calm", "1.0.0", &[]);
    let file = keep(folder.path(), "calm.wasm", &bytes);
    let path = folder
        .path()
        .join("ada")
        .into_os_string()
        .into_string()
        .unwrap();
    well(&agent, &["plugin", "keygen", &path, "--no-password"]);
    well(
        &agent,
        &["plugin", "sign", &file, "--key", &format!("{path}.key")],
    );
    well(&agent, &["plugin", "trust", &format!("{path}.pub")]);
    let signature = std::fs::read(format!("{file}.minisig")).unwrap();
    let newer = component("spread", "calm", "1.1.0", &[]);
    let served = Arc::new(std::sync::Mutex::new(bytes.clone()));
    let now = served.clone();
    let server = serve(move |path, _| match path {
        "/calm.wasm" => ok(&now.lock().unwrap()),
        "/calm.wasm.minisig" => ok(&signature),
        "/moved" => to("/calm.wasm"),
        "/round" => to("/round"),
        "/file" => to("file:///etc/passwd"),
        "/plain" => to("http://example.org/calm.wasm"),
        "/announced" => b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".to_vec(),
        "/cut" => {
            b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\nconnection: close\r\n\r\nabc".to_vec()
        }
        "/endless" => [
            &b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"[..],
            &vec![b'x'; 40 << 20],
        ]
        .concat(),
        "/encoded" => {
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\nx".to_vec()
        }
        "/broken" => b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n".to_vec(),
        _ => b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n".to_vec(),
    });
    let at = |path: &str| format!("http://{server}{path}");
    for (path, expected) in [
        ("/nothing", "there is no `"),
        ("/round", "without end"),
        ("/file", "which is not followed"),
        ("/plain", "which is not followed"),
        ("/announced", "which is the limit"),
        ("/cut", "could not get"),
        ("/endless", "which is the limit"),
        ("/encoded", "encoded"),
        ("/broken", "status 500"),
    ] {
        let said = ill(&agent, &["plugin", "add", &at(path), "--yes"]);
        assert!(said.contains(expected), "{path}: {said}");
    }
    for (address, expected) in [
        ("http://example.org/calm.wasm", "in plain HTTP"),
        (
            "ftp://example.org/calm.wasm",
            "no address that can be asked",
        ),
        (
            "https://user:word@example.org/calm.wasm",
            "no address that can be asked",
        ),
    ] {
        let said = ill(&agent, &["plugin", "add", address, "--yes"]);
        assert!(said.contains(expected), "{address}: {said}");
    }
    // Where the redirect leads, no signature lies beside the address that was typed.
    let said = ill(&agent, &["plugin", "add", &at("/moved"), "--yes"]);
    assert!(said.contains("--accept unsigned"), "{said}");
    let wrong = "0".repeat(64);
    let said = ill(
        &agent,
        &[
            "plugin",
            "add",
            &at("/calm.wasm"),
            "--yes",
            "--sha256",
            &wrong,
        ],
    );
    assert!(said.contains("and not what you named"), "{said}");
    let digest = skep_core::state::PluginDigest(Sha256::digest(&bytes).into()).to_string();
    well(
        &agent,
        &[
            "plugin",
            "add",
            &at("/calm.wasm"),
            "--yes",
            "--sha256",
            &digest,
        ],
    );
    let shown = show(&agent, "calm");
    assert_eq!(shown["signature"]["name"], "ada");
    assert_eq!(shown["versions"][0]["source"], at("/calm.wasm"));

    // A newer one at the same address needs no address; the old signature does not fit it.
    *served.lock().unwrap() = newer;
    let said = ill(&agent, &["plugin", "update", "calm"]);
    assert!(said.contains("does not fit"), "{said}");
    well(&agent, &["plugin", "remove", "calm"]);
}

/// Ended with its handle.
struct Registry {
    child: Child,
    address: SocketAddr,
}

impl Registry {
    /// None, and a word why, where there is no such program.
    fn start(folder: &Path) -> Option<Self> {
        if Command::new("docker-registry")
            .arg("--version")
            .output()
            .is_err()
        {
            eprintln!(
                "not tried: `docker-registry` is not installed (on Debian: apt-get install docker-registry)"
            );
            return None;
        }
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let settings = json!({
            "version": 0.1,
            "log": { "level": "error" },
            "storage": { "filesystem": { "rootdirectory": folder.join("registry") } },
            "http": { "addr": address.to_string() },
        });
        // JSON is YAML.
        let file = keep(folder, "registry.yml", settings.to_string().as_bytes());
        let mut command = Command::new("docker-registry");
        command
            .args(["serve", &file])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let registry = Self { child, address };
        wait_until("the registry answers", || {
            registry.send("GET", "/v2/", "", b"").0 == 200
        });
        Some(registry)
    }

    /// One request: status and the `location` of the answer.
    fn send(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> (u16, String) {
        let Ok(mut stream) = TcpStream::connect(self.address) else {
            return (0, String::new());
        };
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let text = String::from_utf8_lossy(&answer).into_owned();
        let status = text
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let mut lines = text.lines();
        let location = lines.find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("location")
                .then(|| value.to_owned())
        });
        (status.unwrap_or_default(), location.unwrap_or_default())
    }

    /// As a client pushes a blob; its digest.
    fn push_blob(&self, repository: &str, bytes: &[u8]) -> String {
        let (status, location) =
            self.send("POST", &format!("/v2/{repository}/blobs/uploads/"), "", b"");
        assert_eq!(status, 202);
        let place = location.split_once("/v2/").unwrap().1;
        let digest = digest(bytes);
        let path = format!("/v2/{place}&digest={digest}");
        let (status, _) = self.send("PUT", &path, "application/octet-stream", bytes);
        assert_eq!(status, 201);
        digest
    }

    /// As `wkg oci push` lays it out; the digest of the manifest.
    fn push(
        &self,
        repository: &str,
        tag: &str,
        config_kind: &str,
        layer_kind: &str,
        component: &[u8],
    ) -> String {
        let config = json!({
            "created": "2026-01-01T00:00:00Z", "architecture": "wasm", "os": "wasip2",
            "layerDigests": [digest(component)], "component": { "exports": [], "imports": [] },
        })
        .to_string();
        let described = |kind: &str, bytes: &[u8]| {
            let digest = self.push_blob(repository, bytes);
            json!({ "mediaType": kind, "digest": digest, "size": bytes.len() })
        };
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": described(config_kind, config.as_bytes()),
            "layers": [described(layer_kind, component)],
        })
        .to_string();
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let path = format!("/v2/{repository}/manifests/{tag}");
        let (status, _) = self.send("PUT", &path, kind, manifest.as_bytes());
        assert_eq!(status, 201);
        digest(manifest.as_bytes())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn digest(bytes: &[u8]) -> String {
    let digest = skep_core::state::PluginDigest(Sha256::digest(bytes).into());
    format!("sha256:{digest}")
}

const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const WASM: &str = "application/wasm";

/// A registry that others use, with what `wkg` puts there.
#[test]
fn a_component_comes_from_a_registry() {
    let folder = tempfile::tempdir().unwrap();
    let Some(registry) = Registry::start(folder.path()) else {
        return;
    };
    let agent = Agent::start(&[BARE]).unwrap();
    let first = component("spread", "calm", "1.0.0", &[]);
    let pinned = registry.push("lab/calm", "1", CONFIG, WASM, &first);
    let image = "application/vnd.oci.image.config.v1+json";
    registry.push(
        "lab/image",
        "1",
        image,
        "application/vnd.oci.image.layer.v1.tar",
        &first,
    );
    registry.push("lab/text", "1", CONFIG, "text/plain", &first);
    let at = |rest: &str| format!("oci://{}/{rest}", registry.address);
    for (rest, expected) in [
        ("lab/calm:2", "there is no"),
        ("lab/none:1", "there is no"),
        ("lab/image:1", "and no WebAssembly"),
        ("lab/text:1", "no `application/wasm`"),
        ("lab", "there is no"),
        ("LAB:1", "names nothing in a registry"),
    ] {
        let said = ill(&agent, &["plugin", "add", &at(rest), "--yes"]);
        assert!(said.contains(expected), "{rest}: {said}");
    }
    well(&agent, &["plugin", "add", &at("lab/calm:1"), "--yes"]);
    assert_eq!(
        show(&agent, "calm")["versions"][0]["source"],
        at("lab/calm:1")
    );

    // The tag moves on, and the update finds it; the digest does not.
    registry.push(
        "lab/calm",
        "1",
        CONFIG,
        WASM,
        &component("spread", "calm", "1.1.0", &[]),
    );
    well(&agent, &["plugin", "update", "calm"]);
    assert_eq!(show(&agent, "calm")["version"], "1.1.0");
    let old = at(&format!("lab/calm@{pinned}"));
    let said = ill(&agent, &["plugin", "update", "calm", &old, "--yes"]);
    assert!(said.contains("--accept older-version"), "{said}");
    well(
        &agent,
        &[
            "plugin",
            "update",
            "calm",
            &old,
            "--yes",
            "--accept",
            "older-version",
        ],
    );
    assert_eq!(show(&agent, "calm")["version"], "1.0.0");
}

/// A registry that wants a token first, and one that sends something else than it says.
#[test]
fn a_token_is_fetched_and_no_registry_is_believed() {
    let agent = Agent::start(&[BARE]).unwrap();
    let bytes = component("spread", "calm", "1.0.0", &[]);
    let layer = digest(&bytes);
    let manifest = json!({
        "schemaVersion": 2,
        "config": { "mediaType": CONFIG, "digest": digest(b"{}"), "size": 2 },
        "layers": [{ "mediaType": WASM, "digest": layer, "size": bytes.len() }],
    })
    .to_string();
    let pinned = digest(manifest.as_bytes());
    let mut changed = bytes.clone();
    changed[100] ^= 1;
    let blob = format!("/v2/lab/calm/blobs/{layer}");
    let lying = format!("/v2/lab/lying/blobs/{layer}");
    let server = serve(move |path, head| {
        let shown = head
            .to_ascii_lowercase()
            .contains("authorization: bearer let-me-in");
        match path {
            "/token?scope=repository%3Alab%2Fcalm%3Apull&service=lab" => {
                ok(br#"{"token":"let-me-in"}"#)
            }
            "/v2/lab/far/manifests/1" => {
                b"HTTP/1.1 401 No\r\nwww-authenticate: Bearer realm=\"http://example.org/token\"\r\ncontent-length: 0\r\n\r\n".to_vec()
            }
            path if path.starts_with("/v2/lab/calm/") && !shown => {
                let host = head.lines().find_map(|line| line.strip_prefix("host: ").or_else(|| line.strip_prefix("Host: "))).unwrap_or_default();
                format!("HTTP/1.1 401 No\r\nwww-authenticate: Bearer realm=\"http://{host}/token\",service=\"lab\"\r\ncontent-length: 0\r\n\r\n").into_bytes()
            }
            "/v2/lab/calm/manifests/1" | "/v2/lab/lying/manifests/1" => ok(manifest.as_bytes()),
            path if path.contains("/manifests/sha256:") => ok(b"{}"),
            path if path == blob => ok(&bytes),
            path if path == lying => ok(&changed),
            _ => b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n".to_vec(),
        }
    });
    let at = |rest: &str| format!("oci://{server}/{rest}");
    for (rest, expected) in [
        ("lab/lying:1".to_owned(), "has the digest"),
        (format!("lab/calm@{pinned}"), "has the digest"),
        ("lab/far:1".to_owned(), "in plain HTTP"),
    ] {
        let said = ill(&agent, &["plugin", "add", &at(&rest), "--yes"]);
        assert!(said.contains(expected), "{rest}: {said}");
    }
    well(&agent, &["plugin", "add", &at("lab/calm:1"), "--yes"]);
}
