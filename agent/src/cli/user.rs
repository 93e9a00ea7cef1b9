//! `skep user`: who may sign in.
//!
//! Decides where a password comes from: a terminal that does not show it, or standard input, and never the arguments, which others on
//! the machine can see.

use std::io::{self, IsTerminal as _};

use zeroize::Zeroizing;

use super::arguments::{NewUser, UserCommand};
use super::figures;
use super::plugin::person::person;
use super::secret::{ask, read};
use super::table::{Cell, Hue, Table};
use super::terminal::{Paint, printable, say};
use super::{Failure, print_json, segment};
use crate::client::Client;
use crate::wire::{self, User, Users};

pub(super) fn act(client: &Client, command: UserCommand) -> Result<(), Failure> {
    match command {
        UserCommand::Add(wish) => add(client, wish),
        UserCommand::Ls(listed) => list(client, listed.json),
        UserCommand::Show(one) => {
            let user: User = client.get(&path(&one.name, ""))?;
            if one.json {
                return print_json(&user);
            }
            Ok(say(describe(&user, figures::ago))?)
        }
        UserCommand::Passwd {
            name,
            password_stdin,
        } => {
            let wish = wire::NewPassword {
                password: password(&name, password_stdin)?.to_string(),
            };
            let user: User = client.post(&path(&name, "/password"), &wish)?;
            Ok(say(format!(
                "`{}` has another password; what they were signed in with has ended",
                printable(&user.name)
            ))?)
        }
        UserCommand::Role { name, role } => {
            let user: User = client.post(&path(&name, "/role"), &wire::NewRole { role })?;
            let name = printable(&user.name);
            Ok(say(format!("`{name}` is {} now", article(&user.role)))?)
        }
        UserCommand::Disable { name } => {
            let user: User = client.post(&path(&name, "/disable"), &())?;
            Ok(say(format!(
                "`{}` may sign in no more, and is signed out everywhere",
                printable(&user.name)
            ))?)
        }
        UserCommand::Enable { name } => {
            let user: User = client.post(&path(&name, "/enable"), &())?;
            let name = printable(&user.name);
            Ok(say(format!("`{name}` may sign in again"))?)
        }
        UserCommand::Remove { name } => {
            let user: User = client.delete(&path(&name, ""))?;
            Ok(say(format!("removed `{}`", printable(&user.name)))?)
        }
    }
}

fn add(client: &Client, wish: NewUser) -> Result<(), Failure> {
    let new = wire::NewUser {
        password: password(&wish.name, wish.password_stdin)?.to_string(),
        name: wish.name,
        display: wish.display,
        role: wish.role,
        by: Some(person()),
    };
    let user: User = client.post("/api/v1/users", &new)?;
    if wish.json {
        return print_json(&user);
    }
    let (name, role) = (printable(&user.name), article(&user.role));
    Ok(say(format!("`{name}` may sign in, as {role}"))?)
}

fn list(client: &Client, json: bool) -> Result<(), Failure> {
    let users: Users = client.get("/api/v1/users")?;
    if json {
        return print_json(&users);
    }
    Ok(say(render(&users, Paint::for_stdout(), figures::ago))?)
}

pub(super) fn render(users: &Users, paint: Paint, ago: impl Fn(u64) -> String) -> String {
    if users.users.is_empty() {
        return "there are no users; `skep user add NAME --role admin` adds one".to_owned();
    }
    let mut table = Table::new([
        "NAME", "ROLE", "KNOWN BY", "STATE", ">KEYS", "ADDED", "CALLED",
    ]);
    for user in &users.users {
        let state = if user.disabled {
            Cell::new("disabled", Hue::Faint)
        } else {
            "may sign in".into()
        };
        table.row([
            Cell::new(user.name.as_str(), Hue::Strong),
            user.role.as_str().into(),
            known_by(user).into(),
            state,
            user.keys.to_string().into(),
            ago(user.created_unix_s).into(),
            user.display.as_str().into(),
        ]);
    }
    table.render(paint)
}

fn describe(user: &User, ago: impl Fn(u64) -> String) -> String {
    let state = if user.disabled { "no" } else { "yes" };
    let mut lines = vec![
        format!("{}", printable(&user.name)),
        format!("  called       {}", printable(&user.display)),
        format!("  role         {}", user.role),
        format!("  may sign in  {state}"),
        format!("  known by     {}", known_by(user)),
    ];
    if let Some(known_as) = &user.known_as {
        lines.push(format!("  there as     {}", printable(known_as)));
    }
    let by = user.added_by.as_deref();
    let by = by.map_or_else(String::new, |by| format!(" by {}", printable(by)));
    lines.push(format!("  added        {}{by}", ago(user.created_unix_s)));
    lines.push(format!("  keys here    {}", user.keys));
    lines.join("\n")
}

fn known_by(user: &User) -> &str {
    match user.source.as_str() {
        "local" => "password",
        "ldap" => "LDAP",
        "oidc" => "OpenID Connect",
        other => other,
    }
}

fn article(role: &str) -> String {
    match role {
        "admin" => "an admin".to_owned(),
        other => format!("a {other}"),
    }
}

fn path(name: &str, verb: &str) -> String {
    format!("/api/v1/users/{}{verb}", segment(name))
}

/// A new password.
pub(super) fn password(name: &str, from_stdin: bool) -> Result<Zeroizing<String>, Failure> {
    let trimmed = |text: Zeroizing<String>| {
        let line = text.lines().next().unwrap_or_default();
        Zeroizing::new(line.to_owned())
    };
    if from_stdin {
        return Ok(trimmed(read(io::stdin().lock())?));
    }
    if !io::stdin().is_terminal() {
        let failure = Failure::usage("there is no terminal to ask for the password at");
        return Err(failure.with_hint(Some("`--password-stdin` takes it from standard input")));
    }
    let first = trimmed(ask(&format!("password of `{}`", printable(name)))?);
    let again = trimmed(ask("once more")?);
    if *first != *again {
        return Err(Failure::usage("the two passwords are not the same"));
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_told_in_a_table_and_one_by_one() {
        let user = |name: &str, source: &str, disabled| User {
            name: name.into(),
            display: "A. Lovelace".into(),
            role: "admin".into(),
            source: source.into(),
            known_as: (source == "ldap").then(|| "uid=ada,ou=people".into()),
            disabled,
            created_unix_s: 5,
            added_by: Some("user ada".into()),
            keys: 2,
        };
        let users = Users {
            users: vec![user("ada", "local", false), user("eve", "ldap", true)],
        };
        let ago = |at: u64| format!("{at} s ago");
        let table = render(&users, Paint::none(), ago);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 3, "{table}");
        for (line, parts) in [
            (1, ["ada", "admin", "password", "may sign in", "5 s ago"]),
            (2, ["eve", "admin", "LDAP", "disabled", "A. Lovelace"]),
        ] {
            for part in parts {
                assert!(lines[line].contains(part), "{part}: {table}");
            }
        }
        let one = describe(&users.users[1], ago);
        assert!(one.contains("there as     uid=ada,ou=people"), "{one}");
        assert!(one.contains("5 s ago by user ada"), "{one}");
        let none = render(&Users { users: vec![] }, Paint::none(), ago);
        assert!(none.contains("skep user add"), "{none}");
    }
}
