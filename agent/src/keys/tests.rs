//! Keys survive restarts, and only whole and right ones open.

use super::*;

fn home() -> (tempfile::TempDir, Paths) {
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::under(folder.path()).unwrap();
    paths.create().unwrap();
    (folder, paths)
}

fn whole(id: u64) -> Holder {
    Holder {
        key: KeyId(id),
        owner: None,
    }
}

#[test]
fn the_first_key_is_made_once_and_its_text_is_nowhere() {
    let (_folder, paths) = home();
    let (keys, first) = Keys::open(&paths).unwrap();
    let first = first.unwrap();
    assert!(first.reveal().starts_with(PREFIX) && first.reveal().len() == PREFIX.len() + 43);
    assert_eq!(keys.verify(first.reveal()), Some(whole(1)));
    let file = std::fs::read_to_string(paths.keys_file()).unwrap();
    assert!(!file.contains(first.reveal()), "{file}");
    assert_eq!(format!("{first:?}"), "Secret(..)");

    let (again, none) = Keys::open(&paths).unwrap();
    assert_eq!(none, None);
    assert_eq!(again.verify(first.reveal()), Some(whole(1)));
}

#[test]
fn keys_come_and_go() {
    let (_folder, paths) = home();
    let (keys, _) = Keys::open(&paths).unwrap();
    let (view, secret) = keys.create("laptop", None).unwrap();
    assert_eq!((view.id, view.last_used_unix_s), (2, None));
    assert!(secret.reveal().starts_with(&view.prefix));
    assert!(matches!(
        keys.create("laptop", None),
        Err(KeysError::Taken(_))
    ));
    assert!(matches!(keys.create("", None), Err(KeysError::Name(_))));
    assert!(matches!(keys.create("a\nb", None), Err(KeysError::Name(_))));

    for wrong in ["", "sk-skep-", "sk-skep-AAAA", &secret.reveal()[1..]] {
        assert_eq!(keys.verify(wrong), None, "{wrong}");
    }
    assert_eq!(keys.verify(secret.reveal()), Some(whole(2)));
    keys.flush().unwrap();
    let (again, _) = Keys::open(&paths).unwrap();
    assert!(again.list()[1].last_used_unix_s.is_some());

    assert!(matches!(keys.revoke("phone"), Err(KeysError::Unknown(_))));
    keys.revoke("laptop").unwrap();
    assert_eq!(keys.verify(secret.reveal()), None);
    let (again, _) = Keys::open(&paths).unwrap();
    assert_eq!(again.verify(secret.reveal()), None);
    assert_eq!(again.list().len(), 1);
    keys.revoke("1").unwrap();
    // No key at all is a state of its own: no new first key appears.
    assert_eq!(Keys::open(&paths).unwrap().1, None);
}

#[test]
fn a_damaged_file_is_refused_and_kept() {
    let check = |text: &str, part: &str| {
        let (_folder, paths) = home();
        std::fs::write(paths.keys_file(), text).unwrap();
        let error = Keys::open(&paths).unwrap_err().to_string();
        assert!(
            error.contains(part) && error.contains("keys.json"),
            "{error}"
        );
        assert_eq!(std::fs::read_to_string(paths.keys_file()).unwrap(), text);
    };
    check("", "damaged");
    check("{\"version\":1,\"keys\":[", "damaged");
    check("{\"version\":9,\"keys\":[]}", "version is 9");
    check(
        r#"{"version":1,"keys":[{"id":1,"name":"x","prefix":"","sha256":"zz","created_unix_s":0,"last_used_unix_s":null}]}"#,
        "the hash of `x`",
    );
}

#[test]
fn a_users_keys_are_the_users() {
    let (_folder, paths) = home();
    let (keys, _) = Keys::open(&paths).unwrap();
    let (phone, secret) = keys.create("phone", Some(7)).unwrap();
    let (again, _) = Keys::open(&paths).unwrap();
    let holder = again.verify(secret.reveal()).unwrap();
    assert_eq!(holder.owner, Some(7));
    assert_eq!(again.holder(holder.key), Some(holder));
    for (name, owner) in [("first", 7), ("1", 7), ("phone", 8)] {
        let refused = again.revoke_of(name, Some(owner));
        assert!(matches!(refused, Err(KeysError::Unknown(_))), "{name}");
    }
    for number in 1..KEYS_OF_ONE_MAX {
        again.create(&format!("k{number}"), Some(7)).unwrap();
    }
    assert!(matches!(
        again.create("more", Some(7)),
        Err(KeysError::Full)
    ));
    again.create("others", Some(8)).unwrap();
    again.revoke_of(&phone.id.to_string(), Some(7)).unwrap();
    assert!(again.has_unowned());
    again.revoke("first").unwrap();
    assert!(!again.has_unowned());
}
