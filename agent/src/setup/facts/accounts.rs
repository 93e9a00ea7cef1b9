//! Users and groups, as the machine's own files have them (passwd(5), group(5)).

use super::Places;
use crate::host::installer::Account;

pub(super) fn look(places: &Places, own: &str, wanted: &[String]) -> Vec<Account> {
    let users = places.text("/etc/passwd", FILE_BYTES);
    let groups = places.text("/etc/group", FILE_BYTES);
    let is_wanted = |name: &str| name == own || wanted.iter().any(|wanted| wanted == name);
    let accounts = users.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, home, ..] = fields.as_slice() else {
            return None;
        };
        if !is_wanted(name) {
            return None;
        }
        let of = groups.lines().filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [group, _, id, members] = fields.as_slice() else {
                return None;
            };
            let is_in = id == gid || members.split(',').any(|member| member == *name);
            is_in.then(|| (*group).to_owned())
        });
        Some(Account {
            name: (*name).to_owned(),
            uid: uid.parse().ok()?,
            groups: of.collect(),
            home: (*home).to_owned(),
        })
    });
    accounts.collect()
}

pub(super) fn groups(places: &Places, wanted: &[String]) -> Vec<String> {
    let groups = places.text("/etc/group", FILE_BYTES);
    let names = groups.lines().filter_map(|line| line.split(':').next());
    let names = names.filter(|name| wanted.iter().any(|wanted| wanted == name));
    names.map(str::to_owned).collect()
}

/// Of a machine with some ten thousand users.
const FILE_BYTES: u64 = 2 << 20;
