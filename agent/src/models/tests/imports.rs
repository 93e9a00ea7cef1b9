//! Files of this machine.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use super::*;

fn run(place: &Place, path: &std::path::Path) -> Result<Model, PullError> {
    pull(path.to_str().unwrap()).run(&place.catalogue, &Cancel::default(), &mut |_| {})
}

#[test]
fn a_file_is_taken_in_without_a_second_copy_where_that_can_be() {
    let place = Place::new();
    let path = place.folder.path().join("some.gguf");
    fs::write(&path, gguf(100_000)).unwrap();
    let model = run(&place, &path).unwrap();
    assert_eq!(model.digest(), Digest::of(&gguf(100_000)));
    assert_eq!(fs::read(model.path()).unwrap(), gguf(100_000));
    assert_eq!(place.files("blobs").len(), 1);

    // Where both names are one file, writing to it is noticed.
    let (original, blob) = (
        fs::metadata(&path).unwrap(),
        fs::metadata(model.path()).unwrap(),
    );
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(50).unwrap();
    let listing = place.catalogue.list().unwrap();
    let linked = original.ino() == blob.ino();
    assert_eq!(listing.damaged.len(), usize::from(linked));
    assert_eq!(listing.models.len(), usize::from(!linked));
}

#[test]
fn the_same_file_again_is_no_error_and_leaves_nothing_behind() {
    let place = Place::new();
    let path = place.folder.path().join("some.gguf");
    fs::write(&path, gguf(1000)).unwrap();
    run(&place, &path).unwrap();
    run(&place, &path).unwrap();
    assert_eq!(place.files("blobs").len(), 1, "{:?}", place.files("blobs"));
}

#[test]
fn a_copy_is_made_when_the_file_is_elsewhere() {
    // A memory file system is a file system of its own.
    let Ok(elsewhere) = tempfile::tempdir_in("/dev/shm") else {
        return;
    };
    let place = Place::new();
    let path = elsewhere.path().join("some.gguf");
    fs::write(&path, gguf(600_000)).unwrap();
    let model = run(&place, &path).unwrap();
    fs::write(&path, b"changed").unwrap();
    assert_eq!(Digest::of(&fs::read(model.path()).unwrap()), model.digest());
}

#[test]
fn what_is_not_a_model_is_refused() {
    let place = Place::new();
    let at = |name: &str| place.folder.path().join(name);
    let check = |name: &str, code: &str| {
        let error = run(&place, &at(name)).unwrap_err();
        assert_eq!(error.code(), code, "{name}: {error}");
        assert_eq!(place.files("blobs"), [""; 0], "{name}");
    };
    fs::write(at("page.gguf"), "<html>").unwrap();
    fs::write(at("empty.gguf"), "").unwrap();
    fs::create_dir(at("folder.gguf")).unwrap();
    let status = std::process::Command::new("mkfifo")
        .arg(at("pipe.gguf"))
        .status()
        .unwrap();
    assert!(status.success());
    check("page.gguf", "unsupported_format");
    check("empty.gguf", "unsupported_format");
    check("folder.gguf", "unreadable_source");
    check("pipe.gguf", "unreadable_source");
    check("nothing.gguf", "unreadable_source");
    let device = run(&place, "/dev/zero".as_ref()).unwrap_err();
    assert_eq!(device.code(), "unreadable_source");
    let endless = at("huge.gguf");
    fs::File::create(&endless)
        .unwrap()
        .set_len(9 << 40)
        .unwrap();
    check("huge.gguf", "too_large");
}

#[test]
fn a_wrong_digest_keeps_nothing() {
    let place = Place::new();
    let path = place.folder.path().join("some.gguf");
    fs::write(&path, gguf(1000)).unwrap();
    let mut wish = pull(path.to_str().unwrap());
    wish.expected = Some(Digest::of(b"other"));
    let error = wish
        .run(&place.catalogue, &Cancel::default(), &mut |_| {})
        .unwrap_err();
    assert_eq!(error.code(), "digest_mismatch");
    assert_eq!(place.files("blobs"), [""; 0]);
    assert!(path.exists());
}
