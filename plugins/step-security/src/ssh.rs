//! Keys of SSH: one that this node signs in elsewhere with, and those that may sign in here.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use skep_sdk::installer::{
    EditBlock, Facts, Form, GenerateKey, KeyKind, MakeFolder, Owner, Plan, is_path, toml,
};

/// What is to be done.
#[derive(Debug)]
pub(crate) struct Ssh {
    make: bool,
    /// A key elsewhere that is used; none: those of the usual names.
    identity: Option<String>,
    authorized: Vec<String>,
    /// Who is signed in as by them; none: the agent's own user.
    users: Vec<String>,
}

/// Whether there is a key of the agent's user.
pub(crate) const OWN_KEY: &str = "~/.ssh/id_ed25519.pub";

pub(crate) fn ask(facts: &Facts, form: &mut Form<'_>) -> Ssh {
    if facts.agent.home.is_empty() {
        return Ssh {
            make: false,
            identity: None,
            authorized: Vec::new(),
            users: Vec::new(),
        };
    }
    let has_one = facts.file(OWN_KEY).is_some();
    let now = facts.setting_text(IDENTITY);
    let kept = if has_one {
        "The key that is there is used."
    } else {
        "There is none, and none is made."
    };
    let key = form
        .choice("ssh-key", "Key for other machines")
        .help("`skep node add USER@HOST` signs in with it where it is allowed in.")
        .option(KEEP, "As it is", kept)
        .option(
            MAKE,
            "Make one",
            "Ed25519, in ~/.ssh; one that is there already stays.",
        )
        .option(
            OTHER,
            "One that you have",
            "A private key in a file that the agent's user may read. It stays where it is.",
        )
        .default(if now.is_some() { OTHER } else { KEEP })
        .advanced()
        .get();
    let identity = (key == OTHER).then(|| ask_identity(now, form));
    let authorized = form
        .lines("ssh-authorized", "Keys that may sign in here")
        .help("Public keys, one on each line, as `ssh-ed25519 AAAA... somebody`. They are added to those that may already.")
        .default("")
        .advanced()
        .get();
    if authorized.len() > KEYS_MAX {
        form.wrong("ssh-authorized", format!("{KEYS_MAX} at most"));
    } else if let Some(wrong) = authorized.iter().position(|line| !is_public_key(line)) {
        let problem = format!(
            "line {} is no public key; private ones never belong here",
            wrong + 1
        );
        form.wrong("ssh-authorized", problem);
    }
    Ssh {
        make: key == MAKE,
        identity,
        users: ask_users(facts, form, &authorized),
        authorized,
    }
}

fn ask_identity(now: Option<&str>, form: &mut Form<'_>) -> String {
    let path = form
        .text("ssh-identity", "File with the private key")
        .help("Without a passphrase, or with one that is asked for at the terminal.")
        .placeholder("/home/sam/.ssh/id_cluster")
        .at_most(1_024)
        .default(now.unwrap_or_default())
        .advanced()
        .get();
    if path.ends_with(".pub") {
        form.wrong(
            "ssh-identity",
            "that is the public half: name the file without `.pub`",
        );
    } else if !is_path(&path) {
        form.wrong(
            "ssh-identity",
            "an absolute path, as `/home/sam/.ssh/id_cluster`",
        );
    }
    path
}

/// Only root writes into the folders of others; nobody else is asked.
fn ask_users(facts: &Facts, form: &mut Form<'_>, authorized: &[String]) -> Vec<String> {
    if !facts.is_root() || authorized.is_empty() {
        return Vec::new();
    }
    let users = form
        .lines("ssh-users", "As whom they sign in")
        .help("Users of this machine whose homes are below /home, or root, one on each line. Empty: as root.")
        .default("")
        .advanced()
        .get();
    if users.len() > USERS_MAX {
        form.wrong("ssh-users", format!("{USERS_MAX} at most"));
    } else if let Some(wrong) = users.iter().position(|name| !is_user(name)) {
        form.wrong(
            "ssh-users",
            format!("line {} is no name of a user", wrong + 1),
        );
    }
    users
}

fn is_user(name: &str) -> bool {
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    begins && name.len() <= 32 && name.bytes().all(fits)
}

/// Where somebody's keys of SSH are.
fn folder_of(user: &str) -> String {
    match user {
        "root" => "/root/.ssh".into(),
        user => format!("/home/{user}/.ssh"),
    }
}

impl Ssh {
    pub(crate) fn plan(&self, facts: &Facts, plan: &mut Plan) -> Result<(), String> {
        if let Some(path) = &self.identity {
            let why = "`skep node add` signs in elsewhere with that key.";
            plan.set(IDENTITY, toml::text(path), why);
        } else if facts.setting(IDENTITY).is_some() {
            plan.unset(
                IDENTITY,
                "`skep node add` signs in with the keys in ~/.ssh.",
            );
        }
        if !self.make && self.authorized.is_empty() {
            return Ok(());
        }
        let home = facts.agent.home.trim_end_matches('/');
        if !home.starts_with('/') {
            return Err("it is not known where the home of the agent's user is".into());
        }
        let owner = |user: &str| Owner {
            user: user.into(),
            group: String::new(),
        };
        let keys = |folder: &str, user: &str| MakeFolder {
            path: folder.into(),
            mode: 0o700,
            owner: owner(user),
        };
        let own = format!("{home}/.ssh");
        let me = facts.agent.user.as_str();
        if self.make || self.users.is_empty() {
            plan.act(keys(&own, me), "Keys of SSH are kept there.");
        }
        if self.make {
            plan.act(
                GenerateKey {
                    path: format!("{own}/id_ed25519"),
                    kind: KeyKind::SshEd25519,
                    comment: "skep".into(),
                    owner: owner(me),
                },
                "This node signs in elsewhere with it.",
            );
        }
        if self.authorized.is_empty() {
            return Ok(());
        }
        let allow = |folder: &str| EditBlock {
            path: format!("{folder}/authorized_keys"),
            name: "skep".into(),
            comment: "#".into(),
            lines: self.authorized.clone(),
        };
        if self.users.is_empty() {
            plan.act(allow(&own), "Whoever has these keys may sign in here.");
        }
        for user in &self.users {
            let folder = folder_of(user);
            if !self.make || folder != own {
                plan.act(keys(&folder, user), "Keys of SSH are kept there.");
            }
            let why = format!("Whoever has these keys may sign in as `{user}`.");
            plan.act(allow(&folder), why);
        }
        Ok(())
    }
}

/// Kind, key in base64, and a comment (sshd(8)). Options before the kind are not taken: they run commands.
fn is_public_key(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let (Some(kind), Some(key)) = (words.next(), words.next()) else {
        return false;
    };
    let base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    let fits = key.len() >= 64 && key.starts_with("AAAA") && key.bytes().all(base64);
    KINDS.contains(&kind) && fits && line.len() <= 4096
}

const KINDS: [&str; 7] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

const KEEP: &str = "keep";
const MAKE: &str = "make";
const OTHER: &str = "other";
const IDENTITY: &str = "node.ssh_identity";
const KEYS_MAX: usize = 64;
const USERS_MAX: usize = 16;
