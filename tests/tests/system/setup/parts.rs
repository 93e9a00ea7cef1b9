//! A part of a setup from the first question to the last trace of it, over HTTP and by the command line: a step that makes a folder,
//! writes a file and sets a setting.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use skep_tests::agent::Agent;
use skep_tests::raw;

use crate::plugins::with_manifest;
use crate::services::NO_MODEL;

/// What the part is called here.
pub(super) const PART: &str = "waymark";

/// A component of `tests/guests/misstep`, as a plugin in a file of that folder.
pub(super) fn plugin(folder: &Path) -> String {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("compat/0.1.0/installer.wasm");
    let component = with_manifest(&fs::read(kept).unwrap(), PART, "1.0.0", "installer", &[]);
    let path = folder.join("waymark.wasm");
    fs::write(&path, component).unwrap();
    path.into_os_string().into_string().unwrap()
}

/// An agent with that plugin, and a file of settings that somebody wrote by hand.
pub(super) fn with_part() -> (tempfile::TempDir, Agent) {
    let folder = tempfile::tempdir().unwrap();
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("config.toml"), SETTINGS).unwrap();
    let agent = Agent::start_in(home, &[NO_MODEL]).unwrap();
    well(&agent, &["plugin", "add", &plugin(folder.path()), "--yes"]);
    (folder, agent)
}

const SETTINGS: &str = "# by hand\n[log]\nfilter = \"info\" # not less\n";

/// A command that has to succeed; what it printed.
fn well(agent: &Agent, arguments: &[&str]) -> String {
    let (done, printed, said) = agent.skep(arguments, "").unwrap();
    assert!(done, "skep {}: {said}{printed}", arguments.join(" "));
    printed
}

/// A command that has to fail; what it said.
fn ill(agent: &Agent, arguments: &[&str]) -> String {
    let (done, printed, said) = agent.skep(arguments, "").unwrap();
    assert!(!done, "skep {}: {printed}{said}", arguments.join(" "));
    said
}

/// What this machine's own user is known by.
pub(super) fn local(agent: &Agent) -> String {
    let endpoint = fs::read_to_string(agent.home().join("run/endpoint.json")).unwrap();
    let endpoint: Value = serde_json::from_str(&endpoint).unwrap();
    let token = endpoint["token"].as_str().unwrap();
    format!("authorization: Bearer {token}\r\n")
}

pub(super) fn ask(
    agent: &Agent,
    fields: &str,
    method: &str,
    path: &str,
    body: &Value,
) -> (u16, Value) {
    let path = format!("/api/v1/setup{path}");
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let (status, text) = raw::request(agent.address(), method, &path, fields, &body).unwrap();
    let value = if text.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    };
    (status, value)
}

/// An answer that has to come; `status` is part of what is expected.
pub(super) fn get(agent: &Agent, method: &str, path: &str, body: &Value, status: u16) -> Value {
    let (found, value) = ask(agent, &local(agent), method, path, body);
    assert_eq!(found, status, "{method} {path}: {value}");
    value
}

fn state(agent: &Agent) -> String {
    let view = get(agent, "GET", "", &Value::Null, 200);
    let steps = view["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 8, "{view}");
    let service = steps.iter().find(|step| step["id"] == "service").unwrap();
    let parts = service["parts"].as_array().unwrap();
    let part = parts.iter().find(|part| part["id"] == PART).unwrap();
    part["state"].as_str().unwrap().to_owned()
}

/// The events of a run, to its end.
fn events(agent: &Agent, run: &str) -> Vec<Value> {
    let to = agent.address();
    let request = format!(
        "GET /api/v1/setup/runs/{run}/events HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n{}\r\n",
        local(agent)
    );
    let heard = raw::say(to, request.as_bytes(), Duration::from_secs(60)).unwrap();
    assert!(
        heard.closed && heard.text.contains("text/event-stream"),
        "{}",
        heard.text
    );
    let lines = heard
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "));
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Every file below a folder with its content.
fn listing(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return found;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(listing(&path));
        } else {
            found.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn a_part_is_asked_planned_done_watched_and_undone() {
    let (_folder, agent) = with_part();
    let none = Value::Null;
    let part = format!("/parts/{PART}");
    assert_eq!(state(&agent), "todo");
    let shown = get(&agent, "GET", &part, &none, 200);
    assert_eq!(shown["findings"][0]["what"], "It was looked at.");
    assert_eq!(shown["questions"][0]["default"], "/srv/models");

    // Called as somebody types; nothing of it is kept.
    let typed = |answers: Value, status: u16| {
        let body = json!({ "answers": answers });
        get(&agent, "POST", &format!("{part}/ask"), &body, status)
    };
    let asked = typed(json!({ "folder": "models", "cellar": true }), 200);
    assert!(
        asked["questions"][0]["problem"]
            .as_str()
            .unwrap()
            .contains("begins with `/`")
    );
    assert_eq!(asked["unasked"], json!(["cellar"]));
    let wrong = typed(json!({ "folder": 7 }), 400);
    assert_eq!(wrong["error"]["code"], "invalid_answer", "{wrong}");
    assert_eq!(state(&agent), "todo");

    let keep = |folder: &str, status: u16| {
        let body = json!({ "answers": { "folder": folder } });
        get(&agent, "PUT", &format!("{part}/answers"), &body, status)
    };
    keep("models", 200);
    let open = get(&agent, "POST", &format!("{part}/plan"), &none, 409);
    assert_eq!(open["error"]["code"], "answers_needed", "{open}");
    let body = json!({ "answers": { "cellar": true } });
    let unasked = get(&agent, "PUT", &format!("{part}/answers"), &body, 400);
    assert_eq!(unasked["error"]["code"], "unknown_question", "{unasked}");

    let folder = agent.home().join("models");
    keep(folder.to_str().unwrap(), 200);
    assert_eq!(state(&agent), "answered");
    let plan = get(&agent, "POST", &format!("{part}/plan"), &none, 200);
    let actions = plan["actions"].as_array().unwrap();
    let of = |key: &str| -> Vec<&str> {
        actions
            .iter()
            .map(|action| action[key].as_str().unwrap())
            .collect()
    };
    assert_eq!(of("state"), ["needed"; 3], "{plan}");
    assert_eq!(of("actor"), ["user", "user", "agent"], "{plan}");
    assert!(
        actions[1]["diff"].as_str().unwrap().contains("+models"),
        "{plan}"
    );
    assert_eq!(plan["notes"], json!(["Nothing is moved there."]));
    assert!(!folder.exists());

    // Whoever saw another plan has not agreed to this one.
    let apply = |digest: &Value, status: u16| {
        let body = json!({ "digest": digest });
        get(&agent, "POST", &format!("{part}/apply"), &body, status)
    };
    assert_eq!(apply(&json!("0000"), 409)["error"]["code"], "plan_changed");
    assert!(!folder.exists());
    let run = apply(&plan["digest"], 202)["run"]
        .as_str()
        .unwrap()
        .to_owned();
    let told = events(&agent, &run);
    let last = told.last().unwrap();
    assert_eq!(last["state"], "done", "{last}");
    assert!(
        last["actions"]
            .as_array()
            .unwrap()
            .iter()
            .all(|action| action["state"] == "done")
    );
    assert_eq!(fs::read(folder.join("README")).unwrap(), b"models\n");
    let settings = agent.home().join("config.toml");
    let set = fs::read_to_string(&settings).unwrap();
    assert!(
        set.starts_with(SETTINGS) && set.contains("name = \"hive\""),
        "{set}"
    );
    assert_eq!(state(&agent), "applied");
    assert_eq!(get(&agent, "GET", "", &none, 200)["restart_needed"], true);
    assert_eq!(events(&agent, &run).len(), 1, "what is over is told once");

    // Once more changes nothing, and is no run.
    let before = listing(agent.home().join("state/setup").as_path());
    let plan = get(&agent, "POST", &format!("{part}/plan"), &none, 200);
    let already = |action: &Value| action["state"] == "already";
    assert!(
        plan["actions"].as_array().unwrap().iter().all(already),
        "{plan}"
    );
    assert_eq!(apply(&plan["digest"], 202)["run"], none);
    assert_eq!(listing(agent.home().join("state/setup").as_path()), before);

    // What somebody changed is told, and undoing leaves it alone.
    assert_eq!(get(&agent, "GET", "/drift", &none, 200)["drift"], json!([]));
    fs::write(folder.join("README"), "mine\n").unwrap();
    let drift = get(&agent, "GET", "/drift", &none, 200);
    assert_eq!(drift["drift"][0]["part"], PART, "{drift}");
    assert_eq!(state(&agent), "drifted");
    let said = agent.skep(&["setup", "drift"], "").unwrap();
    assert!(!said.0 && said.1.contains("README"), "{said:?}");
    fs::write(folder.join("README"), "models\n").unwrap();

    let said = ill(&agent, &["setup", "undo"]);
    assert!(
        said.contains(&format!("skep setup undo {run} --yes")),
        "{said}"
    );
    let undone: Value =
        serde_json::from_str(&well(&agent, &["setup", "undo", "--yes", "--json"])).unwrap();
    assert_eq!(undone["state"], "undone", "{undone}");
    assert!(!folder.exists());
    assert_eq!(fs::read_to_string(&settings).unwrap(), SETTINGS);
    assert_eq!(state(&agent), "answered");
    well(&agent, &["setup", "status"]);
    assert_eq!(
        get(&agent, "GET", "/runs/none", &none, 404)["error"]["code"],
        "run_not_found"
    );
    assert_eq!(
        get(&agent, "GET", "/parts/none", &none, 404)["error"]["code"],
        "part_not_found"
    );
}

/// The same from a file: mistakes are told with their line before anything is done.
/// What became of the part that these tests bring, among those of the program.
fn waymark(told: &Value) -> &Value {
    let parts = told["parts"].as_array().unwrap();
    parts.iter().find(|part| part["part"] == "waymark").unwrap()
}

#[test]
fn a_file_of_answers_is_checked_shown_and_carried_out() {
    let (files, agent) = with_part();
    let file = files.path().join("answers.toml");
    let path = file.to_str().unwrap();
    let folder = agent.home().join("models");
    let refused = |text: &str, part: &str| {
        fs::write(&file, text).unwrap();
        let said = ill(&agent, &["setup", "--from", path, "--yes"]);
        assert!(said.contains(part), "`{part}` is not in: {said}");
        assert!(!folder.exists());
    };
    refused("[waymark]\nfolder = 7\n", "line 2");
    refused(
        "[waymark]\n\nfolder = \"models\"\n",
        "line 3: `folder`: it begins with `/`",
    );
    refused(
        "[waymark]\ncellar = true\n",
        "line 2: `waymark` does not ask for `cellar`",
    );
    refused("\n[waypoint]\n", "line 2: there is no part `waypoint`");
    refused(
        "skip = [\"nothing\"]\n",
        "line 1: there is no part `nothing`",
    );
    refused("[waymark\n", "line 1");

    let example = well(&agent, &["setup", "--example"]);
    assert!(
        example.contains("[waymark]") && example.contains("# folder = \"/srv/models\""),
        "{example}"
    );
    fs::write(&file, &example).unwrap();
    let said = ill(&agent, &["setup", "--from", path]);
    assert!(
        said.contains("--dry-run") && said.contains("--yes"),
        "{said}"
    );

    let text = format!(
        "tests = false\nfinish = false\n[waymark]\nfolder = \"{}\"\n",
        folder.display()
    );
    fs::write(&file, text).unwrap();
    let planned: Value = serde_json::from_str(&well(
        &agent,
        &["setup", "--from", path, "--dry-run", "--json"],
    ))
    .unwrap();
    assert_eq!(
        waymark(&planned)["plan"]["actions"][0]["state"],
        "needed",
        "{planned}"
    );
    assert!(!folder.exists());
    assert_eq!(state(&agent), "todo", "a dry run keeps nothing");
    let done: Value =
        serde_json::from_str(&well(&agent, &["setup", "--from", path, "--yes", "--json"])).unwrap();
    assert_eq!(waymark(&done)["outcome"], "applied", "{done}");
    assert_eq!(fs::read(folder.join("README")).unwrap(), b"models\n");
    let again: Value =
        serde_json::from_str(&well(&agent, &["setup", "--from", path, "--yes", "--json"])).unwrap();
    assert_eq!(waymark(&again)["outcome"], "unchanged", "{again}");
}

/// Once it is finished, links and what came in by them end; a key reads, and changes nothing on the machine.
#[test]
fn a_setup_that_is_finished_is_closed_for_good() {
    let (_files, mut agent) = with_part();
    let none = Value::Null;
    let link = super::secret(&agent);
    let own = format!("origin: http://{}\r\n", agent.address());
    let (status, cookie) = super::sign_in(&agent, &own, &super::with_secret(&link));
    assert_eq!(status, 204);
    let session = format!("cookie: {}\r\nx-skep-csrf: 1\r\n{own}", cookie.unwrap());
    assert_eq!(ask(&agent, &session, "GET", "", &none).0, 200);
    assert_eq!(
        ask(&agent, &session, "POST", "/link", &none).0,
        401,
        "it lets in nobody else"
    );
    assert_eq!(ask(&agent, "", "GET", "", &none).0, 401);
    let (status, picture) = ask(&agent, &session, "GET", "/qr?for=phone", &none);
    assert!(
        status == 200 && picture.as_str().unwrap().starts_with("<svg"),
        "{picture}"
    );
    assert_eq!(ask(&agent, &session, "GET", "/qr?for=else", &none).0, 400);
    let folder = agent.home().join("models");
    let body = json!({ "answers": { "folder": folder } });
    assert_eq!(
        ask(&agent, &session, "PUT", "/parts/waymark/answers", &body).0,
        200
    );
    let unused = super::secret(&agent);
    assert_eq!(ask(&agent, &session, "POST", "/finish", &none).0, 204);

    for path in ["", "/parts/waymark", "/runs", "/drift"] {
        let (status, said) = ask(&agent, &session, "GET", path, &none);
        assert_eq!(
            (status, &said["error"]["code"]),
            (403, &json!("setup_closed")),
            "{path}"
        );
    }
    // It stays a sign-in.
    let known = raw::request(agent.address(), "GET", "/api/v1/keys", &session, "").unwrap();
    assert_eq!(known.0, 200);
    assert_eq!(
        super::sign_in(&agent, &own, &super::with_secret(&unused)).0,
        409
    );
    assert!(ill(&agent, &["setup", "link"]).contains("finished"));
    let key = well(&agent, &["keys", "new", "program"]);
    let key = format!("authorization: Bearer {}\r\n", key.trim());
    let (status, plan) = ask(&agent, &key, "POST", "/parts/waymark/plan", &none);
    assert_eq!(status, 200);
    let body = json!({ "digest": plan["digest"] });
    let (status, said) = ask(&agent, &key, "POST", "/parts/waymark/apply", &body);
    assert_eq!(
        (status, &said["error"]["code"]),
        (403, &json!("setup_closed")),
        "{said}"
    );
    assert!(!folder.exists());
    agent.restart(&[NO_MODEL]).unwrap();
    assert!(ill(&agent, &["setup", "link"]).contains("finished"));
    // Whoever is at the machine goes on.
    let run = get(&agent, "POST", "/parts/waymark/apply", &body, 202);
    let told = events(&agent, run["run"].as_str().unwrap());
    assert_eq!(told.last().unwrap()["state"], "done", "{told:?}");
}
