//! People sign in: by passwords kept here, a directory, a provider; with real browsers' requests and real servers.

mod directory;
mod nodes;
mod users;

use std::time::Duration;

use serde_json::{Value, json};
use skep_tests::agent::Agent;
use skep_tests::raw;

use super::services::NO_MODEL;

/// A browser: the agent that it talks to, and its cookies.
struct Browser<'a> {
    agent: &'a Agent,
    cookie: String,
}

impl<'a> Browser<'a> {
    fn new(agent: &'a Agent) -> Self {
        let cookie = String::new();
        Self { agent, cookie }
    }

    /// Signs in by name and password; the status and what was said.
    fn sign_in(&mut self, name: &str, password: &str) -> (u16, String) {
        let body = json!({ "name": name, "password": password });
        self.enter(&body.to_string())
    }

    fn enter(&mut self, body: &str) -> (u16, String) {
        let to = self.agent.address();
        let length = body.len();
        let request = format!(
            "POST /api/v1/session HTTP/1.1\r\nhost: {to}\r\norigin: http://{to}\r\nx-skep-csrf: 1\r\n{}connection: close\r\ncontent-length: {length}\r\n\r\n{body}",
            self.cookie
        );
        let heard = raw::say(to, request.as_bytes(), Duration::from_secs(60)).unwrap();
        let cookie = heard.text.lines().find_map(|line| {
            let field = line.strip_prefix("set-cookie: ")?;
            field.split(';').next().map(str::to_owned)
        });
        if let Some(cookie) = cookie {
            self.cookie = format!("cookie: {cookie}\r\n");
        }
        (heard.statuses()[0], heard.text)
    }

    fn get(&self, path: &str) -> (u16, Value) {
        self.ask("GET", path, "")
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.ask("POST", path, &body.to_string())
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let to = self.agent.address();
        let fields = format!("{}origin: http://{to}\r\nx-skep-csrf: 1\r\n", self.cookie);
        let (status, text) = raw::request(to, method, path, &fields, body).unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Who the agent says that this is.
    fn user(&self) -> Value {
        self.get("/api/v1/session").1["user"]["name"].clone()
    }
}

fn add(agent: &Agent, name: &str, role: &str, password: &str) {
    let arguments = ["user", "add", name, "--role", role, "--password-stdin"];
    let (done, _, said) = agent.skep(&arguments, password).unwrap();
    assert!(done, "{said}");
}
