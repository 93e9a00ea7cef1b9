//! Who types a command, for what is kept of it.
//!
//! Decides by the system's own word and not by `$USER`, which anybody can set. It is a help to those who share a machine and no proof:
//! whoever can reach the agent's socket as this user can say anything.

use std::fs::File;
use std::io::Read as _;

/// The user's name, or number where it has none; behind `sudo`, whoever called it.
pub(in crate::cli) fn person() -> String {
    let uid = rustix::process::getuid().as_raw();
    let caller = std::env::var("SUDO_USER").ok();
    if let Some(caller) = caller.filter(|caller| uid == 0 && !caller.is_empty()) {
        return format!("{caller} (sudo)");
    }
    let mut users = String::new();
    // Where it is longer, a number is good enough.
    let read = File::open("/etc/passwd")
        .and_then(|file| file.take(USERS_BYTES).read_to_string(&mut users));
    let name = read.ok().and_then(|_| name(&users, uid));
    name.unwrap_or_else(|| format!("number {uid}"))
}

fn name(users: &str, uid: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, number) = (fields.next()?, fields.next()?, fields.next()?);
        (number.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// Of `/etc/passwd`: ten thousand users have less.
const USERS_BYTES: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_number() {
        let users = "root:x:0:0::/root:/bin/sh\nbroken\nada:x:1000:1000:Ada:/home/ada:/bin/sh\n";
        assert_eq!(name(users, 1000).as_deref(), Some("ada"));
        assert_eq!(name(users, 0).as_deref(), Some("root"));
        assert_eq!(name(users, 7), None);
    }
}
