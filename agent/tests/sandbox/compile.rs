//! The compiler child and its cache: what is not a plugin is refused, what was damaged is made again.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use skep::compiler::{CompileError, Compiled};
use skep::host::{InspectError, World, inspect};

use crate::bench::guest;

fn fresh() -> (Compiled, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("compiled");
    (
        Compiled::open(cache, env!("CARGO_BIN_EXE_skep").into()).unwrap(),
        dir,
    )
}

/// A component from its text form.
fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

const ENGINE_SHELL: &str = r#"(instance $i) (export "skep:plugin/model@0.1.0" (instance $i))"#;

#[tokio::test]
async fn what_is_not_a_plugin_is_refused_with_its_reason() {
    let (compiled, _dir) = fresh();
    let native = {
        let path = compiled
            .obtain(World::Engine, &fs::read(guest("echo")).unwrap())
            .await
            .unwrap();
        fs::read(path).unwrap()
    };
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (native, "compiled code of others is never loaded"),
        (b"".to_vec(), "is not WebAssembly"),
        (wat("(module)"), "it is a core module"),
        (wat("(component)"), "exports no world"),
        (
            wat(&format!(
                r#"(component (import "wasi:sockets/tcp@0.2.0" (instance)) {ENGINE_SHELL})"#
            )),
            "it imports `wasi:sockets/tcp@0.2.0`, which is not granted",
        ),
        (
            wat(&format!(
                r#"(component (import "skep:plugin/secrets@0.1.0" (instance)) {ENGINE_SHELL})"#
            )),
            "it imports `skep:plugin/secrets@0.1.0`, which is not granted",
        ),
        (
            wat(
                r#"(component (import "wasi:cli/environment@0.2.0" (instance))
                (instance $i) (export "skep:plugin/policy@0.1.0" (instance $i)))"#,
            ),
            "it imports `wasi:cli/environment@0.2.0`, which is not granted to the world `scheduler`",
        ),
        (
            wat(&format!(
                "(component (core module (memory i64 1)) {ENGINE_SHELL})"
            )),
            "memory64",
        ),
        (
            wat(&format!(
                "(component (core module (memory 1 1 shared)) {ENGINE_SHELL})"
            )),
            "threads",
        ),
        (
            wat(&format!(
                "(component (core module (memory 1) (memory 1)) {ENGINE_SHELL})"
            )),
            "more than 1 memory in one module",
        ),
        (
            wat(&format!(
                "(component (core module (type (struct))) {ENGINE_SHELL})"
            )),
            "gc",
        ),
        (
            wat(&format!(
                "(component (core module (func (param v128 v128 v128) (result v128)
                    (f32x4.relaxed_madd (local.get 0) (local.get 1) (local.get 2)))) {ENGINE_SHELL})"
            )),
            "relaxed SIMD",
        ),
        (
            wat(&format!(
                "(component (core module (func $f (return_call $f))) {ENGINE_SHELL})"
            )),
            "tail calls",
        ),
        (
            wat(&format!(
                "(component (core module (memory 1 (pagesize 1))) {ENGINE_SHELL})"
            )),
            "custom page sizes",
        ),
        (
            wat(&format!(
                "(component (core module (func (param i64 i64 i64 i64) (result i64 i64)
                    (i64.add128 (local.get 0) (local.get 1) (local.get 2) (local.get 3)))) {ENGINE_SHELL})"
            )),
            "wide arithmetic",
        ),
        (
            wat(&format!(
                "(component (core module (tag)) {ENGINE_SHELL})"
            )),
            "exceptions",
        ),
        (
            wat(&format!(
                r#"(component
                    (core module $m (memory (export "m") 1) (func (export "f") (param i32 i32))
                        (func (export "r") (param i32 i32 i32 i32) (result i32) unreachable))
                    (core instance $c (instantiate $m))
                    (func (param "text" string) (canon lift (core func $c "f") string-encoding=utf16
                        (memory (core memory $c "m")) (realloc (core func $c "r"))))
                    {ENGINE_SHELL})"#
            )),
            "passes text in another encoding than UTF-8",
        ),
    ];
    for (bytes, cause) in cases {
        let world = if cause.contains("scheduler") {
            World::Scheduler
        } else {
            World::Engine
        };
        let error = compiled
            .obtain(world, &bytes)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(cause), "`{cause}` is not in: {error}");
    }
    let large = vec![0; (32 << 20) + 1];
    assert!(matches!(
        compiled.obtain(World::Engine, &large).await,
        Err(CompileError::Component(InspectError::TooLarge(_)))
    ));
}

#[tokio::test]
async fn every_cut_of_a_component_is_refused() {
    let whole = fs::read(guest("astray")).unwrap();
    let (compiled, _dir) = fresh();
    for share in [1, 3, 10, 30, 60, 90, 99] {
        let cut = &whole[..whole.len() * share / 100];
        let result = compiled.obtain(World::Scheduler, cut).await;
        assert!(result.is_err(), "{share} %");
    }
}

#[tokio::test]
async fn a_damaged_file_is_compiled_again_and_an_intact_one_is_not() {
    let (compiled, dir) = fresh();
    let component = fs::read(guest("astray")).unwrap();
    let obtain = async || compiled.obtain(World::Scheduler, &component).await.unwrap();
    let path = obtain().await;
    let good = fs::read(&path).unwrap();
    let made = fs::metadata(&path).unwrap().modified().unwrap();
    assert_eq!(obtain().await, path);
    assert_eq!(
        fs::metadata(&path).unwrap().modified().unwrap(),
        made,
        "an intact file is used"
    );

    let damage: [fn(&PathBuf); 4] = [
        |path| {
            let mut bytes = fs::read(path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes).unwrap();
        },
        |path| {
            fs::File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_len(100)
                .unwrap()
        },
        |path| fs::remove_file(path).unwrap(),
        |path| fs::remove_file(path.with_extension("cwasm.sha256")).unwrap(),
    ];
    for damage in damage {
        damage(&path);
        obtain().await;
        assert_eq!(fs::read(&path).unwrap(), good);
    }
    let left: Vec<_> = fs::read_dir(dir.path().join("compiled"))
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[tokio::test]
async fn a_sealed_program_brings_its_plugins_compiled() {
    let (compiled, dir) = fresh();
    let component = fs::read(guest("echo")).unwrap();
    let made = compiled.obtain(World::Engine, &component).await.unwrap();
    let sealed = dir.path().join("sealed");
    compiled
        .seal(&sealed, &[(World::Engine, &component)])
        .await
        .unwrap();
    // It cannot be started, so it cannot compile either.
    fs::set_permissions(&sealed, fs::Permissions::from_mode(0o600)).unwrap();
    let other = Compiled::open(dir.path().join("other"), sealed).unwrap();
    let path = other.obtain(World::Engine, &component).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), fs::read(&made).unwrap());
    // One that was refused is compiled, and that fails here.
    other.forget(&path);
    let error = other.obtain(World::Engine, &component).await.unwrap_err();
    assert!(matches!(error, CompileError::Start(_)), "{error}");
}

#[tokio::test]
async fn a_folder_that_others_may_write_to_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let opened = Compiled::open(dir.path().to_owned(), env!("CARGO_BIN_EXE_skep").into());
    assert!(
        matches!(opened, Err(CompileError::Exposed(_))),
        "{opened:?}"
    );
}

#[test]
fn a_component_says_what_it_is_without_being_run() {
    let inspection = inspect(&fs::read(guest("astray")).unwrap()).unwrap();
    assert_eq!(inspection.world, Some(World::Scheduler));
    assert!(
        inspection
            .imports
            .iter()
            .all(|name| name.starts_with("skep:plugin/scheduler-types@")),
        "{inspection:?}"
    );
    assert_eq!(inspection.digest.len(), 64);

    let inspection = inspect(&fs::read(guest("wayward")).unwrap()).unwrap();
    assert_eq!(inspection.world, Some(World::Engine));
    assert!(
        inspection
            .imports
            .iter()
            .any(|name| name == "skep:plugin/compute@0.1.0"),
        "{inspection:?}"
    );
    assert!(
        inspection.ungranted().is_empty(),
        "{:?}",
        inspection.ungranted()
    );
}
