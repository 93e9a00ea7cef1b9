//! Paths that want to lead elsewhere, and files that change under our hands.

use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

fn rights(root: &Path) -> Rights {
    use std::os::unix::fs::MetadataExt as _;
    let about = root.metadata().unwrap();
    Rights {
        mode: 0o640,
        uid: about.uid(),
        gid: about.gid(),
    }
}

fn put(
    root: &Root,
    path: &str,
    text: &str,
    expected: &Entry,
    rights: Rights,
) -> Result<(), ActError> {
    root.put_file(path, rights, expected, |file| {
        file.write_all(text.as_bytes())
            .map_err(ActError::io("write", path))
    })
}

#[test]
fn no_link_leads_root_out_or_astray() {
    let outside = tempfile::tempdir().unwrap();
    let inside = tempfile::tempdir().unwrap();
    let victim = outside.path().join("victim");
    std::fs::write(&victim, "untouched").unwrap();
    std::fs::create_dir_all(inside.path().join("etc/real")).unwrap();
    symlink(outside.path(), inside.path().join("etc/out")).unwrap();
    symlink("real", inside.path().join("etc/near")).unwrap();
    symlink(&victim, inside.path().join("etc/file")).unwrap();
    let root = Root::open(inside.path(), false).unwrap();
    let rights = rights(inside.path());
    for path in ["/etc/out/victim", "/etc/near/new", "/etc/out/new"] {
        let failed = put(&root, path, "x", &Entry::Absent, rights);
        assert!(
            matches!(failed, Err(ActError::Link { .. })),
            "{path}: {failed:?}"
        );
        assert!(root.read(path, 100).is_err());
    }
    // A link at the end is seen as one, and never written through.
    assert!(matches!(
        root.entry("/etc/file").unwrap(),
        Entry::Link { .. }
    ));
    assert!(put(&root, "/etc/file", "x", &Entry::Absent, rights).is_err());
    assert!(root.read("/etc/file", 100).is_err());
    for path in [
        "/etc/../../victim",
        "/..",
        "/etc/..",
        "/etc/real/../../../x",
    ] {
        assert!(
            put(&root, path, "x", &Entry::Absent, rights).is_err(),
            "{path}"
        );
    }
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "untouched");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
    // Whoever is not root follows links as by hand, but never out of the root.
    let followed = Root::open(inside.path(), true).unwrap();
    put(&followed, "/etc/near/new", "x", &Entry::Absent, rights).unwrap();
    assert!(inside.path().join("etc/real/new").exists());
    assert!(put(&followed, "/etc/out/new", "x", &Entry::Absent, rights).is_err());
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn files_are_whole_and_only_replace_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    let root = Root::open(folder.path(), false).unwrap();
    let rights = rights(folder.path());
    put(&root, "/a", "one", &Entry::Absent, rights).unwrap();
    let one = root.entry("/a").unwrap();
    let Entry::File { mode, .. } = &one else {
        panic!()
    };
    assert_eq!(*mode, 0o640);
    // Somebody was faster.
    assert!(matches!(
        put(&root, "/a", "two", &Entry::Absent, rights),
        Err(ActError::Conflict(_))
    ));
    std::fs::write(folder.path().join("a"), "theirs").unwrap();
    assert!(matches!(
        put(&root, "/a", "two", &one, rights),
        Err(ActError::Conflict(_))
    ));
    assert_eq!(root.read("/a", 10).unwrap().unwrap(), b"theirs");
    // What a crash left beside it is no hindrance, and nothing of ours stays.
    std::fs::write(folder.path().join(".a.skep"), "half").unwrap();
    let now = root.entry("/a").unwrap();
    put(&root, "/a", "two", &now, rights).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    // A content that cannot be made leaves all as it was.
    let now = root.entry("/a").unwrap();
    let failed = root.put_file("/a", rights, &now, |_| Err(ActError::Random));
    assert!(failed.is_err());
    assert_eq!(root.entry("/a").unwrap(), now);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(root.read("/a", 2).is_err());
}

#[test]
fn folders_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let root = Root::open(folder.path(), false).unwrap();
    let rights = Rights {
        mode: 0o750,
        ..rights(folder.path())
    };
    root.put_folder("/f", rights).unwrap();
    let made = folder.path().join("f");
    assert_eq!(
        made.metadata().unwrap().permissions().mode() & 0o7777,
        0o750
    );
    assert!(
        root.put_folder(
            "/f",
            Rights {
                mode: 0o700,
                ..rights
            }
        )
        .is_err()
    );
    std::fs::write(made.join("x"), "").unwrap();
    let is = root.entry("/f").unwrap();
    assert!(!root.remove("/f", &is).unwrap());
    std::fs::remove_file(made.join("x")).unwrap();
    assert!(root.remove("/f", &is).unwrap());
    assert!(root.remove("/f", &is).unwrap());
    assert_eq!(root.entry("/f").unwrap(), Entry::Absent);
    assert_eq!(root.entry("/no/such/place").unwrap(), Entry::Absent);
}
