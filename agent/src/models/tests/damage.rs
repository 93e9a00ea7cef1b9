//! Catalogues that somebody or something has damaged.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

fn with_model(bytes: usize) -> (Place, Model) {
    let place = Place::new();
    let file = gguf(bytes);
    let model = place
        .catalogue
        .ensure_embedded(&name("tiny"), &file, Digest::of(&file))
        .unwrap();
    (place, model)
}

#[test]
fn what_a_model_took_of_a_card_is_believed_under_the_same_settings_only() {
    let (place, model) = with_model(500);
    assert_eq!(model.card_bytes("one"), None);
    model.remember_card_bytes("one", 7).unwrap();
    Catalogue::open(&place.path("")).unwrap();
    assert_eq!(model.card_bytes("one"), Some(7));
    assert_eq!(model.card_bytes("other"), None);
    for text in ["", "7", "x one\n", "-1 one\n", "99999999999999999999 one\n"] {
        fs::write(model.need_path(), text).unwrap();
        assert_eq!(model.card_bytes("one"), None, "{text}");
    }
    place.catalogue.remove(model.name()).unwrap();
    assert!(!model.need_path().exists());
}

#[test]
fn hostile_manifests_are_reported_and_left() {
    let (place, model) = with_model(500);
    let good = fs::read_to_string(place.path("manifests/tiny.json")).unwrap();
    let hex = model.digest().to_hex();
    let changed = |from: &str, to: &str| {
        let text = good.replace(from, to).replace("\"tiny\"", "\"bad\"");
        assert_ne!(text, good.replace("\"tiny\"", "\"bad\""));
        text
    };
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    let cases = [
        changed(&hex, "../../../../etc/passwd"),
        changed(&hex, &format!("../{}", &hex[3..])),
        changed(&hex, &hex[1..]),
        changed(&hex, &"0".repeat(64)),
        changed("\"bytes\": 500", "\"bytes\": 501"),
        changed("\"bytes\": 500", "\"bytes\": -1"),
        changed("\"bytes\": 500", "\"bytes\": 18446744073709551615"),
        changed("\"version\": 1", "\"version\": 2"),
        changed("\"gguf\"", "\"pickle\""),
        good.clone(),
        good.replace("\"tiny\"", "\"../bad\""),
        good.replace("\"tiny\"", "\"CON\""),
        good[..good.len() / 2].to_owned(),
        String::new(),
        "{}".to_owned(),
        "\0\0\0\0".to_owned(),
        deep,
        format!("\"{}\"", "a".repeat(100_000)),
    ];
    for text in cases {
        fs::write(place.path("manifests/bad.json"), &text).unwrap();
        let reopened = Catalogue::open(&place.path("")).unwrap();
        let listing = reopened.list().unwrap();
        let shown: String = text.chars().take(300).collect();
        assert_eq!(listing.models.len(), 1, "{shown}");
        assert_eq!(listing.damaged.len(), 1, "{shown}");
        assert!(listing.damaged[0].path.ends_with("bad.json"));
        assert_eq!(
            fs::read_to_string(place.path("manifests/bad.json")).unwrap(),
            text
        );
    }
}

#[test]
fn what_is_no_file_is_reported() {
    let (place, model) = with_model(500);
    symlink(
        place.path("manifests/tiny.json"),
        place.path("manifests/link.json"),
    )
    .unwrap();
    fs::create_dir(place.path("manifests/folder.json")).unwrap();
    let pipe = place.path("manifests/pipe.json");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(pipe)
            .status()
            .unwrap()
            .success()
    );
    let listing = place.catalogue.list().unwrap();
    assert_eq!(listing.damaged.len(), 3, "{listing:?}");

    // A blob that is a link leads out of the catalogue.
    let outside = place.folder.path().join("outside");
    fs::rename(model.path(), &outside).unwrap();
    symlink(&outside, model.path()).unwrap();
    let listing = place.catalogue.list().unwrap();
    assert_eq!((listing.models.len(), listing.damaged.len()), (0, 4));
    assert!(place.catalogue.find(&name("tiny")).is_err());
}

#[test]
fn bytes_stay_while_a_name_uses_them() {
    let (place, model) = with_model(500);
    let manifest = fs::read_to_string(place.path("manifests/tiny.json")).unwrap();
    fs::write(
        place.path("manifests/two.json"),
        manifest.replace("\"tiny\"", "\"two\""),
    )
    .unwrap();
    place.catalogue.list().unwrap();
    assert_eq!(
        place.catalogue.remove(&name("tiny")).unwrap(),
        Removed { freed_bytes: 0 }
    );
    assert!(model.path().exists());
    assert_eq!(
        place.catalogue.remove(&name("two")).unwrap(),
        Removed { freed_bytes: 500 }
    );
    assert!(!model.path().exists());
    let error = place.catalogue.remove(&name("two")).unwrap_err();
    assert_eq!(error.code(), "model_not_found");
}

#[test]
fn bytes_stay_while_a_damaged_manifest_names_them() {
    let (place, model) = with_model(500);
    let manifest = fs::read_to_string(place.path("manifests/tiny.json")).unwrap();
    let damaged = manifest
        .replace("\"version\": 1", "\"version\": 7")
        .replace("tiny", "two");
    fs::write(place.path("manifests/two.json"), damaged).unwrap();
    assert_eq!(
        place.catalogue.remove(&name("tiny")).unwrap().freed_bytes,
        0
    );
    assert!(model.path().exists());
}

#[test]
fn the_embedded_model_follows_the_binary_but_not_over_the_operator() {
    let (place, _) = with_model(500);
    let newer = gguf(600);
    let ensure = |bytes: &[u8], digest| {
        place
            .catalogue
            .ensure_embedded(&name("tiny"), bytes, digest)
    };
    let error = ensure(&newer, Digest::of(b"other")).unwrap_err();
    assert_eq!(error.code(), "digest_mismatch");
    assert_eq!(ensure(&newer, Digest::of(&newer)).unwrap().bytes(), 600);
    assert_eq!(place.files("blobs").len(), 1, "the older one has gone");

    place.catalogue.remove(&name("tiny")).unwrap();
    let own = place.folder.path().join("own.gguf");
    fs::write(&own, gguf(700)).unwrap();
    let wish = Pull {
        name: name("tiny"),
        ..pull(own.to_str().unwrap())
    };
    wish.run(&place.catalogue, &Cancel::default(), &mut |_| {})
        .unwrap();
    assert_eq!(ensure(&newer, Digest::of(&newer)).unwrap().bytes(), 700);
}

#[test]
fn a_name_that_is_nearly_right_gets_a_hint() {
    let (place, _) = with_model(500);
    let error = place.catalogue.find(&name("tinny")).unwrap_err();
    assert_eq!(error.to_string(), "there is no model named `tinny`");
    assert_eq!(
        error.hint().unwrap(),
        "did you mean `tiny`? `skep models` lists what is here"
    );
}

#[test]
fn leftovers_of_a_killed_process_are_swept() {
    let (place, _) = with_model(500);
    for folder in ["blobs", "manifests", "partial", "packed"] {
        fs::write(place.path(&format!("{folder}/.new-1-1")), "half").unwrap();
    }
    let gone = place.path("packed/sha256-of-a-model-that-went");
    fs::create_dir(&gone).unwrap();
    fs::write(gone.join("weights"), "old").unwrap();
    let reopened = Catalogue::open(&place.path("")).unwrap();
    assert_eq!(reopened.list().unwrap().damaged, []);
    assert_eq!(
        (place.files("blobs").len(), place.files("partial").len()),
        (1, 0)
    );
    assert_eq!(place.files("packed"), [""; 0]);
}

#[test]
fn what_is_packed_of_a_model_stays_with_it_and_goes_with_it() {
    let (place, model) = with_model(500);
    let packed = model.packed_path();
    let folder = packed.parent().unwrap();
    assert_eq!(folder.parent(), Some(place.path("packed").as_path()));
    // Where an older version kept it, until a newer one starts.
    fs::write(folder, "old").unwrap();
    Catalogue::open(&place.path("")).unwrap();
    fs::create_dir(folder).unwrap();
    fs::write(&packed, [0; 300]).unwrap();
    Catalogue::open(&place.path("")).unwrap();
    assert!(packed.exists());
    let removed = place.catalogue.remove(model.name()).unwrap();
    assert_eq!(removed.freed_bytes, 800);
    assert!(!folder.exists());
}
